//! Container engines of our own, on private sockets, with their data in temporary folders.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A running `dockerd`.
///
/// A shell stands between: it holds the read end of a pipe of this process, so the engine is stopped
/// by its id and its data removed however this process ends, also when the value is never dropped.
pub struct Engine {
    shell: Child,
    folder: PathBuf,
}

impl Engine {
    /// The engine of this test program, without any network, started by the first test that asks for it.
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

    /// Starts an engine without any network and waits until it answers.
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
        const SCRIPT: &str = r#"
            if [ -n "$2" ]; then
                mkdir "$0/data" && mount -t tmpfs -o "size=$2" tmpfs "$0/data"
            fi
            network="--iptables=false --ip-forward=false --ip-masq=false --bridge=none"
            if [ -n "$1" ]; then
                bridge="union$$"
                ip link add "$bridge" type bridge && ip addr add "10.213.$(($$ % 250)).1/24" dev "$bridge" && ip link set "$bridge" up
                network="--bridge=$bridge"
            fi
            hide() { [ -n "$hidden" ] && set -- unshare --mount sh -c 'mount -t tmpfs tmpfs "$0" && exec "$@"' "$hidden" "$@"; exec "$@"; }
            encrypted=
            if [ -n "$4" ]; then
                encrypted="--host tcp://$5 --tlsverify --tlscacert $4/ca.pem --tlscert $4/server.pem --tlskey $4/server-key.pem"
            fi
            hidden="$3"
            hide dockerd --host "unix://$0/socket" --data-root "$0/data" --exec-root "$0/exec" --pidfile "$0/pid" $network $encrypted >"$0/log" 2>&1 &
            engine=$!
            cat >/dev/null
            kill "$engine"; wait "$engine"
            [ -z "$1" ] || ip link del "$bridge"
            [ -z "$2" ] || umount "$0/data"
            umount "$0"/exec/netns/*
            rm -rf "$0"
        "#;
        // A socket's path must be short, so this does not follow TMPDIR into deep folders.
        let folder = tempfile::Builder::new().prefix("engine-").tempdir().expect("a temporary folder can be made").keep();
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(SCRIPT).arg(&folder).arg(if setting.network { "network" } else { "" }).arg(setting.disk.unwrap_or(""));
        shell.arg(setting.hides.as_deref().unwrap_or(Path::new("")));
        let (certificates, address) = setting.encrypted.clone().unwrap_or_default();
        shell.arg(certificates).arg(address);
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // Engines that make their rules for packets at the same time trip over one another.
        let rules = std::fs::File::create(std::env::temp_dir().join("union-engine-rules.lock")).expect("a temporary file can be made");
        if setting.network {
            rules.lock().expect("a lock can be had");
        }
        let engine = Self { shell: shell.spawn().expect("`sh` starts"), folder };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !engine.try_docker(&["version"]).status.success() {
            assert!(Instant::now() < deadline, "dockerd does not answer; its log:\n{}", engine.log());
            std::thread::sleep(Duration::from_millis(100));
        }
        engine
    }

    /// Its address, as `DOCKER_HOST` has it.
    pub fn address(&self) -> String {
        format!("unix://{}/socket", self.folder.display())
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
    ///
    /// # Panics
    /// When it is not there any more.
    pub fn kill(&self) {
        let pid = std::fs::read_to_string(self.folder.join("pid")).expect("a running engine has a pid file");
        let killed = Command::new("kill").args(["-KILL", pid.trim()]).status().expect("`kill` is installed");
        assert!(killed.success(), "the engine could not be killed");
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
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
    /// A folder with `ca.pem`, `server.pem` and `server-key.pem`, and the `host:port` at which it listens with
    /// them, to those whom the authority has signed.
    pub encrypted: Option<(PathBuf, String)>,
}

impl Drop for Engine {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

/// podman's service with storage of its own, stopped when it is dropped.
pub struct Podman {
    service: Child,
    folder: tempfile::TempDir,
}

impl Podman {
    /// Starts the service and waits until it listens.
    ///
    /// # Panics
    /// When `podman` is not installed or does not listen.
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("podman-").tempdir().expect("a temporary folder can be made");
        let mut podman = podman(folder.path());
        let address = format!("unix://{}", folder.path().join("socket").display());
        podman.args(["system", "service", "--time", "0", &address]).stdout(Stdio::null()).stderr(Stdio::null());
        // From here on it is stopped whatever happens.
        let podman = Self { service: podman.spawn().expect("`podman` is installed"), folder };
        for _ in 0..600 {
            if podman.folder.path().join("socket").exists() {
                return podman;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("podman does not listen");
    }

    /// Its address, as `DOCKER_HOST` has it.
    pub fn address(&self) -> String {
        format!("unix://{}", self.folder.path().join("socket").display())
    }

    /// Runs the `podman` client and returns what it prints.
    ///
    /// # Panics
    /// When it fails, with its words.
    pub fn podman(&self, arguments: &[&str]) -> String {
        let output = podman(self.folder.path()).args(arguments).output().expect("`podman` is installed");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        assert!(output.status.success(), "podman {arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = self.service.kill();
        let _ = self.service.wait();
    }
}

fn podman(folder: &Path) -> Command {
    // What podman asks for by itself may be more than this machine's limits allow.
    let config = folder.join("containers.conf");
    std::fs::write(&config, "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n").expect("the folder is ours");
    let mut podman = Command::new("podman");
    podman
        .env("CONTAINERS_CONF", config)
        .arg("--root")
        .arg(folder.join("root"))
        .arg("--runroot")
        .arg(folder.join("run"))
        .args(["--storage-driver", "overlay"]);
    podman
}
