//! Container engines for tests, on private sockets, with their data in temporary directories.
//!
//! They do not change this machine: each one runs in its own `Namespaces`.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::namespaces::{Inside, Namespaces};

/// The timeout for an engine's start.
const LIMIT: Duration = Duration::from_secs(300);

/// A running `dockerd`, which is stopped with its containers when this is dropped or this process exits.
pub struct Engine {
    namespaces: Namespaces,
}

impl Engine {
    /// The shared engine of this test program, started by the first test that requires it. Its containers have no network.
    ///
    /// # Panics
    /// When `dockerd` is not installed or does not start.
    pub fn shared() -> &'static Self {
        static ENGINE: OnceLock<Engine> = OnceLock::new();
        ENGINE.get_or_init(Self::start)
    }

    /// A shared engine whose containers reach the network through a bridge.
    ///
    /// # Panics
    /// When `dockerd` is not installed or does not start.
    pub fn with_network() -> &'static Self {
        static ENGINE: OnceLock<Engine> = OnceLock::new();
        ENGINE.get_or_init(|| {
            Self::start_with(&Setting {
                network: true,
                ..Setting::default()
            })
        })
    }

    /// Starts an engine whose containers have no network, and waits until it responds.
    ///
    /// # Panics
    /// When `dockerd` is not installed or does not start.
    pub fn start() -> Self {
        Self::start_with(&Setting::default())
    }

    /// Starts an engine, and waits until it responds.
    ///
    /// # Panics
    /// When `dockerd` is not installed or does not start.
    pub fn start_with(setting: &Setting) -> Self {
        // The port in the namespaces, independent of the port outside.
        const PORT: u16 = 2376;
        let inside = Inside {
            disk: setting.disk,
            hidden: setting.hides.as_deref(),
        };
        let namespaces = Namespaces::start("engine", inside, |directory| {
            let below = |name: &str| directory.join(name).display().to_string();
            let mut words = vec![
                "dockerd".to_owned(),
                "--host".to_owned(),
                format!("unix://{}", below("socket")),
            ];
            for (flag, name) in [
                ("--data-root", "data"),
                ("--exec-root", "exec"),
                ("--pidfile", "pid"),
            ] {
                words.extend([flag.to_owned(), below(name)]);
            }
            // systemd would manage the cgroups outside of the namespaces.
            words.extend(["--exec-opt", "native.cgroupdriver=cgroupfs"].map(str::to_owned));
            words.extend([
                "--cgroup-parent".to_owned(),
                format!("/{}", directory.file_name().unwrap_or_default().display()),
            ]);
            if !setting.network {
                words.extend(
                    [
                        "--iptables=false",
                        "--ip-forward=false",
                        "--ip-masq=false",
                        "--bridge=none",
                    ]
                    .map(str::to_owned),
                );
            }
            if let Some((certificates, _)) = &setting.encrypted {
                let pem = |name: &str| certificates.join(name).display().to_string();
                words.extend([
                    "--host".to_owned(),
                    format!("tcp://0.0.0.0:{PORT}"),
                    "--tlsverify".to_owned(),
                ]);
                for (flag, name) in [
                    ("--tlscacert", "ca.pem"),
                    ("--tlscert", "server.pem"),
                    ("--tlskey", "server-key.pem"),
                ] {
                    words.extend([flag.to_owned(), pem(name)]);
                }
            }
            words
        });
        let mut engine = Self { namespaces };
        let deadline = Instant::now() + LIMIT;
        while !engine.try_docker(&["version"]).status.success() {
            let waits = Instant::now() < deadline && !engine.namespaces.ended();
            assert!(
                waits,
                "dockerd does not answer; its log:\n{}",
                engine.namespaces.log()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        if let Some((_, port)) = setting.encrypted {
            engine.namespaces.forward(port, PORT);
        }
        engine
    }

    /// Its address, as `DOCKER_HOST` has it.
    pub fn address(&self) -> String {
        format!("unix://{}/socket", self.namespaces.directory().display())
    }

    /// Runs the `docker` client and returns its stdout.
    ///
    /// # Panics
    /// When it fails, with its output.
    pub fn docker(&self, arguments: &[&str]) -> String {
        let output = self.try_docker(arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        assert!(
            output.status.success(),
            "docker {arguments:?}: {}\n{}",
            text(&output.stdout),
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// Runs the `docker` client, which may fail.
    ///
    /// # Panics
    /// When the client is not installed.
    pub fn try_docker(&self, arguments: &[&str]) -> Output {
        let mut docker = Command::new("docker");
        docker
            .arg("--host")
            .arg(self.address())
            .args(arguments)
            .env_remove("DOCKER_HOST")
            .env_remove("DOCKER_CONTEXT");
        docker.output().expect("`docker` is installed")
    }

    /// Kills it with SIGKILL.
    pub fn kill(&self) {
        self.namespaces.signal("KILL");
    }

    /// Its network namespace, as `/proc/self/ns/net` names it.
    pub fn network_namespace(&self) -> String {
        self.namespaces.network()
    }
}

/// Options of an engine.
#[derive(Clone, Debug, Default)]
pub struct Setting {
    /// Whether its containers reach the network.
    pub network: bool,
    /// The size of its disk, such as `300m`; `None` for no limit.
    pub disk: Option<&'static str>,
    /// A directory of this machine that is hidden from it, as if it ran on another machine.
    pub hides: Option<PathBuf>,
    /// A directory with `ca.pem`, `server.pem` and `server-key.pem`, and the port on loopback at which it listens with TLS,
    /// for clients with a certificate of the authority.
    pub encrypted: Option<(PathBuf, u16)>,
}

/// podman's service with separate storage, stopped when this is dropped.
pub struct Podman {
    namespaces: Namespaces,
}

impl Podman {
    /// Starts the service and waits until it listens.
    ///
    /// # Panics
    /// When `podman` is not installed or does not listen.
    pub fn start() -> Self {
        let namespaces = Namespaces::start("podman", Inside::default(), |directory| {
            // podman's default limits may exceed those of this machine, and systemd would manage the cgroups outside of the
            // namespaces.
            let config = directory.join("containers.conf");
            let text = "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n\
                        [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n";
            std::fs::write(&config, text).expect("the directory is writable");
            let below = |name: &str| directory.join(name).display().to_string();
            let mut words = vec![
                "env".to_owned(),
                format!("CONTAINERS_CONF={}", config.display()),
                "podman".to_owned(),
            ];
            words.extend([
                "--root".to_owned(),
                below("data"),
                "--runroot".to_owned(),
                below("run"),
            ]);
            words.extend(
                [
                    "--storage-driver",
                    "overlay",
                    "system",
                    "service",
                    "--time",
                    "0",
                ]
                .map(str::to_owned),
            );
            words.push(format!("unix://{}", below("socket")));
            words
        });
        let mut podman = Self { namespaces };
        let deadline = Instant::now() + LIMIT;
        while !podman.try_podman(&["version"]).status.success() {
            let waits = Instant::now() < deadline && !podman.namespaces.ended();
            assert!(
                waits,
                "podman does not answer; its log:\n{}",
                podman.namespaces.log()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        podman
    }

    /// Its address, as `DOCKER_HOST` has it.
    pub fn address(&self) -> String {
        format!("unix://{}/socket", self.namespaces.directory().display())
    }

    /// Its network namespace, as `/proc/self/ns/net` names it.
    pub fn network_namespace(&self) -> String {
        self.namespaces.network()
    }

    /// Runs the `podman` client and returns its stdout.
    ///
    /// # Panics
    /// When it fails, with its output.
    pub fn podman(&self, arguments: &[&str]) -> String {
        let output = self.try_podman(arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        assert!(
            output.status.success(),
            "podman {arguments:?}: {}",
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    fn try_podman(&self, arguments: &[&str]) -> Output {
        let mut podman = Command::new("podman");
        podman
            .args(["--remote", "--url", &self.address()])
            .args(arguments)
            .env_remove("CONTAINER_HOST");
        podman.output().expect("`podman` is installed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_are_isolated_from_this_machine() {
        let host_network = std::fs::read_link("/proc/self/ns/net")
            .expect("a process has a namespace")
            .display()
            .to_string();
        let docker = Engine::start_with(&Setting {
            network: true,
            ..Setting::default()
        });
        let podman = Podman::start();
        assert!(
            docker
                .docker(&["network", "ls", "--format", "{{.Name}}"])
                .contains("bridge")
        );
        assert!(![docker.network_namespace(), podman.network_namespace()].contains(&host_network));
        let directories = [
            docker.namespaces.directory().to_owned(),
            podman.namespaces.directory().to_owned(),
        ];
        let mounts = std::fs::read_to_string("/proc/self/mounts").expect("a process has mounts");
        drop((docker, podman));
        for directory in directories {
            assert!(
                !mounts.contains(&directory.display().to_string()),
                "{mounts}"
            );
            assert!(!directory.exists(), "{} still exists", directory.display());
        }
    }

    #[test]
    fn killed_engine_leaves_no_files() {
        let engine = Engine::start();
        let directory = engine.namespaces.directory().to_owned();
        engine.kill();
        while engine.try_docker(&["version"]).status.success() {
            std::thread::sleep(Duration::from_millis(10));
        }
        drop(engine);
        assert!(!directory.exists());
    }
}
