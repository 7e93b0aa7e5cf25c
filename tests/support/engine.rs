//! Container engines of our own, on private sockets, with their data in temporary folders.
//!
//! None of them touches what this machine has: each lives in `Namespaces` of its own.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::namespaces::{Inside, Namespaces};

/// How long an engine may take to start. Nothing is timed by it: it only ends what hangs.
const LIMIT: Duration = Duration::from_secs(300);

/// A running `dockerd`, which ends with its containers when it is dropped or this process ends.
pub struct Engine {
    namespaces: Namespaces,
}

impl Engine {
    /// The engine of this test program, whose containers have no network, started by the first test that asks for it.
    ///
    /// # Panics
    /// When `dockerd` is not installed or does not start.
    pub fn shared() -> &'static Self {
        static ENGINE: OnceLock<Engine> = OnceLock::new();
        ENGINE.get_or_init(Self::start)
    }

    /// Another one, whose containers reach the network through a bridge of its own.
    ///
    /// # Panics
    /// When `dockerd` is not installed or does not start.
    pub fn with_network() -> &'static Self {
        static ENGINE: OnceLock<Engine> = OnceLock::new();
        ENGINE.get_or_init(|| Self::start_with(&Setting { network: true, ..Setting::default() }))
    }

    /// Starts an engine whose containers have no network and waits until it answers.
    ///
    /// # Panics
    /// When `dockerd` is not installed or does not start.
    pub fn start() -> Self {
        Self::start_with(&Setting::default())
    }

    /// Starts an engine and waits until it answers.
    ///
    /// # Panics
    /// When `dockerd` is not installed or does not start.
    pub fn start_with(setting: &Setting) -> Self {
        // Its own port, whatever the one is at which it is reached from outside.
        const PORT: u16 = 2376;
        let inside = Inside { disk: setting.disk, hidden: setting.hides.as_deref() };
        let namespaces = Namespaces::start("engine", inside, |folder| {
            let below = |name: &str| folder.join(name).display().to_string();
            let mut words = vec!["dockerd".to_owned(), "--host".to_owned(), format!("unix://{}", below("socket"))];
            for (flag, name) in [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid")] {
                words.extend([flag.to_owned(), below(name)]);
            }
            // What systemd manages would be outside of the namespaces.
            words.extend(["--exec-opt", "native.cgroupdriver=cgroupfs"].map(str::to_owned));
            words.extend(["--cgroup-parent".to_owned(), format!("/{}", folder.file_name().unwrap_or_default().display())]);
            if !setting.network {
                words.extend(["--iptables=false", "--ip-forward=false", "--ip-masq=false", "--bridge=none"].map(str::to_owned));
            }
            if let Some((certificates, _)) = &setting.encrypted {
                let pem = |name: &str| certificates.join(name).display().to_string();
                words.extend(["--host".to_owned(), format!("tcp://0.0.0.0:{PORT}"), "--tlsverify".to_owned()]);
                for (flag, name) in [("--tlscacert", "ca.pem"), ("--tlscert", "server.pem"), ("--tlskey", "server-key.pem")] {
                    words.extend([flag.to_owned(), pem(name)]);
                }
            }
            words
        });
        let mut engine = Self { namespaces };
        let deadline = Instant::now() + LIMIT;
        while !engine.try_docker(&["version"]).status.success() {
            let waits = Instant::now() < deadline && !engine.namespaces.ended();
            assert!(waits, "dockerd does not answer; its log:\n{}", engine.namespaces.log());
            std::thread::sleep(Duration::from_millis(100));
        }
        if let Some((_, port)) = setting.encrypted {
            engine.namespaces.forward(port, PORT);
        }
        engine
    }

    /// Its address, as `DOCKER_HOST` has it.
    pub fn address(&self) -> String {
        format!("unix://{}/socket", self.namespaces.folder().display())
    }

    /// Runs the `docker` client and returns what it prints.
    ///
    /// # Panics
    /// When it fails, with its words.
    pub fn docker(&self, arguments: &[&str]) -> String {
        let output = self.try_docker(arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        assert!(output.status.success(), "docker {arguments:?}: {}\n{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    /// Runs the `docker` client, which may fail.
    ///
    /// # Panics
    /// When the client is not installed.
    pub fn try_docker(&self, arguments: &[&str]) -> Output {
        let mut docker = Command::new("docker");
        docker.arg("--host").arg(self.address()).args(arguments).env_remove("DOCKER_HOST").env_remove("DOCKER_CONTEXT");
        docker.output().expect("`docker` is installed")
    }

    /// Kills it at once, as a crash would.
    pub fn kill(&self) {
        self.namespaces.signal("KILL");
    }

    /// Its network namespace, as `/proc/self/ns/net` names it.
    pub fn network_namespace(&self) -> String {
        self.namespaces.network()
    }
}

/// How an engine is started.
#[derive(Clone, Debug, Default)]
pub struct Setting {
    /// Whether its containers reach the network.
    pub network: bool,
    /// The size of its disk, such as `300m`; `None` is all there is.
    pub disk: Option<&'static str>,
    /// A folder of this machine that it does not see, as if it ran on another one.
    pub hides: Option<PathBuf>,
    /// A folder with `ca.pem`, `server.pem` and `server-key.pem`, and the port of loopback at which it listens with
    /// them, to those whom the authority has signed.
    pub encrypted: Option<(PathBuf, u16)>,
}

/// podman's service with storage of its own, stopped when it is dropped.
pub struct Podman {
    namespaces: Namespaces,
}

impl Podman {
    /// Starts the service and waits until it listens.
    ///
    /// # Panics
    /// When `podman` is not installed or does not listen.
    pub fn start() -> Self {
        let namespaces = Namespaces::start("podman", Inside::default(), |folder| {
            // What podman asks for by itself may be more than this machine's limits allow, and what systemd manages
            // would be outside of the namespaces.
            let config = folder.join("containers.conf");
            let text = "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n\
                        [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n";
            std::fs::write(&config, text).expect("the folder is ours");
            let below = |name: &str| folder.join(name).display().to_string();
            let mut words = vec!["env".to_owned(), format!("CONTAINERS_CONF={}", config.display()), "podman".to_owned()];
            words.extend(["--root".to_owned(), below("data"), "--runroot".to_owned(), below("run")]);
            words.extend(["--storage-driver", "overlay", "system", "service", "--time", "0"].map(str::to_owned));
            words.push(format!("unix://{}", below("socket")));
            words
        });
        let mut podman = Self { namespaces };
        let deadline = Instant::now() + LIMIT;
        while !podman.try_podman(&["version"]).status.success() {
            let waits = Instant::now() < deadline && !podman.namespaces.ended();
            assert!(waits, "podman does not answer; its log:\n{}", podman.namespaces.log());
            std::thread::sleep(Duration::from_millis(100));
        }
        podman
    }

    /// Its address, as `DOCKER_HOST` has it.
    pub fn address(&self) -> String {
        format!("unix://{}/socket", self.namespaces.folder().display())
    }

    /// Its network namespace, as `/proc/self/ns/net` names it.
    pub fn network_namespace(&self) -> String {
        self.namespaces.network()
    }

    /// Runs the `podman` client and returns what it prints.
    ///
    /// # Panics
    /// When it fails, with its words.
    pub fn podman(&self, arguments: &[&str]) -> String {
        let output = self.try_podman(arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        assert!(output.status.success(), "podman {arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    fn try_podman(&self, arguments: &[&str]) -> Output {
        let mut podman = Command::new("podman");
        podman.args(["--remote", "--url", &self.address()]).args(arguments).env_remove("CONTAINER_HOST");
        podman.output().expect("`podman` is installed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_share_neither_network_nor_mounts_nor_processes_with_this_machine() {
        let own = std::fs::read_link("/proc/self/ns/net").expect("a process has a namespace").display().to_string();
        let (docker, podman) = (Engine::start_with(&Setting { network: true, ..Setting::default() }), Podman::start());
        assert!(docker.docker(&["network", "ls", "--format", "{{.Name}}"]).contains("bridge"));
        assert!(![docker.network_namespace(), podman.network_namespace()].contains(&own));
        let folders = [docker.namespaces.folder().to_owned(), podman.namespaces.folder().to_owned()];
        let mounts = std::fs::read_to_string("/proc/self/mounts").expect("a process has mounts");
        drop((docker, podman));
        for folder in folders {
            assert!(!mounts.contains(&folder.display().to_string()), "{mounts}");
            assert!(!folder.exists(), "{} is left", folder.display());
        }
    }

    #[test]
    fn an_engine_that_was_killed_leaves_nothing() {
        let engine = Engine::start();
        let folder = engine.namespaces.folder().to_owned();
        engine.kill();
        while engine.try_docker(&["version"]).status.success() {
            std::thread::sleep(Duration::from_millis(10));
        }
        drop(engine);
        assert!(!folder.exists());
    }
}
