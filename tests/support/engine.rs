//! A container engine of our own: `dockerd` on a private socket, with its data in a temporary folder.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A running `dockerd`, without any network.
///
/// A shell stands between: it holds the read end of a pipe of this process, so the engine is stopped
/// by its id and its data removed however this process ends, also when the value is never dropped.
pub struct Engine {
    shell: Child,
    folder: PathBuf,
}

impl Engine {
    /// The engine of this test program, started by the first test that asks for it.
    ///
    /// # Panics
    /// When `dockerd` is not installed or does not start.
    pub fn shared() -> &'static Self {
        static ENGINE: OnceLock<Engine> = OnceLock::new();
        ENGINE.get_or_init(Self::start)
    }

    /// Starts an engine and waits until it answers.
    ///
    /// # Panics
    /// When `dockerd` is not installed or does not start.
    pub fn start() -> Self {
        const SCRIPT: &str = r#"
            dockerd --host "unix://$0/socket" --data-root "$0/data" --exec-root "$0/exec" --pidfile "$0/pid" \
                --iptables=false --ip-forward=false --ip-masq=false --bridge=none >"$0/log" 2>&1 &
            engine=$!
            cat >/dev/null
            kill "$engine"; wait "$engine"
            rm -rf "$0"
        "#;
        // A socket's path must be short, so this does not follow TMPDIR into deep folders.
        let folder = tempfile::Builder::new().prefix("engine-").tempdir().expect("a temporary folder can be made").keep();
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(SCRIPT).arg(&folder).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
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

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}
