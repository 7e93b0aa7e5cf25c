//! A backend with the official protobuf messages and server library, with validation on, and the official command line,
//! which reads back what was registered.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::project::repository;

mod builds;

/// The path of a program in the virtual environment that `.ci/tools` creates.
///
/// # Panics
/// When it does not exist.
pub fn python(program: &str) -> PathBuf {
    let path = repository().join(".python/bin").join(program);
    assert!(
        path.is_file(),
        "{} is missing: run `.ci/tools`",
        path.display()
    );
    path
}

/// A running backend. It stops when this is dropped.
pub struct Stub {
    child: Child,
    host: String,
    directory: TempDir,
    refused: String,
    behaviour: String,
}

impl Stub {
    /// A backend with the projects `flytesnacks` and `another` that accepts all valid requests.
    pub fn start() -> Self {
        Self::of("", "")
    }

    /// A backend that rejects tasks: `name=message;…`.
    pub fn refusing(refused: &str) -> Self {
        Self::of(refused, "")
    }

    /// A backend that misbehaves, by keywords of its source separated by commas.
    pub fn behaving(behaviour: &str) -> Self {
        Self::of("", behaviour)
    }

    fn of(refused: &str, behaviour: &str) -> Self {
        let directory = TempDir::with_prefix("union-stub-").expect("a temporary directory");
        let (child, host) = serve(&directory, refused, behaviour, "0");
        Self {
            child,
            host,
            directory,
            refused: refused.to_owned(),
            behaviour: behaviour.to_owned(),
        }
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        // It may have exited already.
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Starts it again after a [`kill`](Self::kill), with the same address and state.
    pub fn start_again(&mut self) {
        let (_, port) = self.host.rsplit_once(':').expect("the address has a port");
        let (child, _) = serve(&self.directory, &self.refused, &self.behaviour, port);
        self.child = child;
    }

    /// Lets runs on `hold` finish.
    ///
    /// # Panics
    /// When its directory does not exist.
    pub fn let_go(&self) {
        std::fs::write(self.directory.path().join("state/go"), "")
            .expect("the directory is writable");
    }

    /// The names of all runs.
    pub fn runs(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.directory.path().join("state/runs"))
            .into_iter()
            .flatten()
            .flatten();
        entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect()
    }

    /// The reason with which a run was aborted.
    pub fn aborted(&self, run: &str) -> Option<String> {
        std::fs::read_to_string(self.directory.path().join("state/aborted").join(run)).ok()
    }

    /// The request that created a run, in the text format of protobuf.
    ///
    /// # Panics
    /// When there is no such run.
    pub fn request_of_run(&self, run: &str) -> String {
        let path = self.directory.path().join("state/runs").join(run);
        let code = "import sys; from flyteidl2.workflow.run_service_pb2 import CreateRunRequest as R; print(R.FromString(open(sys.argv[1], 'rb').read()))";
        official_python(code, &[path.to_str().expect("the path is text")])
    }

    /// The inputs of a run that were sent to the store, in the text format of protobuf.
    ///
    /// # Panics
    /// When there is no such run, or its inputs are in its request.
    pub fn inputs_of_run(&self, run: &str) -> String {
        let request = self.request_of_run(run);
        let (_, rest) = request
            .split_once("offloaded-inputs/")
            .expect("the inputs are in the store");
        let hash: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
        let path = self.directory.path().join("state/inputs").join(hash);
        let code = "import sys; from flyteidl2.task.common_pb2 import Inputs as I; print(I.FromString(open(sys.argv[1], 'rb').read()))";
        official_python(code, &[path.to_str().expect("the path is text")])
    }

    /// The value of a secret, by its scope (`PROJECT-DOMAIN` or `all`) and name.
    pub fn secret(&self, scope: &str, name: &str) -> Option<Vec<u8>> {
        let values = self.directory.path().join("state/values");
        std::fs::read(values.join(format!("{scope}.{name}"))).ok()
    }

    /// `127.0.0.1:port`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// `http://127.0.0.1:port`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.host)
    }

    /// All calls so far: `method`, `request`, and `invalid` with the violated rule.
    pub fn calls(&self) -> Vec<Value> {
        let log = std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        log.lines()
            .map(|line| serde_json::from_str(line).expect("the backend writes JSON"))
            .collect()
    }

    /// Checks that no call has violated a rule of the official messages.
    ///
    /// # Panics
    /// When one has.
    #[track_caller]
    pub fn assert_all_valid(&self) {
        let calls = self.calls();
        let all_valid = calls.iter().all(|call| call.get("invalid").is_none());
        assert!(all_valid, "{calls:?}");
    }

    /// How often a method was called.
    pub fn count(&self, method: &str) -> usize {
        self.calls()
            .iter()
            .filter(|call| call["method"] == method)
            .count()
    }

    /// How often a task was deployed.
    pub fn writes(&self) -> usize {
        self.count("DeployTask")
    }

    /// The stdout of the official command line in the project and domain of the tests, such as of `get task`.
    ///
    /// # Panics
    /// When it fails.
    pub fn official_in_project(&self, command: [&str; 2], words: &[&str]) -> String {
        let project = ["-p", "flytesnacks", "-d", "development"];
        self.official(&[&command[..], &project, words].concat())
    }

    /// The stdout of the official command line, such as of `get task`.
    ///
    /// # Panics
    /// When it fails.
    pub fn official(&self, words: &[&str]) -> String {
        let output = Command::new(python("flyte"))
            .args([
                "--endpoint",
                &self.host,
                "--insecure",
                "--org",
                "acme",
                "--output-format",
                "json",
            ])
            .args(words)
            .current_dir(self.directory.path())
            .env_clear()
            .env("HOME", self.directory.path())
            .env("COLUMNS", "400")
            .env("NO_COLOR", "1")
            .env("LC_ALL", "C.UTF-8")
            .output()
            .expect("the virtual environment has the command line");
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        // Its native extensions may crash during Python's shutdown, after all output.
        let has_crashed_at_its_end =
            output.status.code().is_none() && !stdout.trim().is_empty() && stderr.is_empty();
        assert!(
            output.status.success() || has_crashed_at_its_end,
            "flyte {words:?}: {}: {stdout}{stderr}",
            output.status
        );
        stdout.into_owned()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts a backend, and reads its address from its stdout.
fn serve(directory: &TempDir, refused: &str, behaviour: &str, port: &str) -> (Child, String) {
    let state = directory.path().join("state");
    std::fs::create_dir_all(&state).expect("the directory is writable");
    let mut child = Command::new(python("python"))
        .arg(repository().join("tests/flyte/stub/server.py"))
        .env_clear()
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("LOG", directory.path().join("log"))
        .env("STATE", state)
        .env("REFUSED", refused)
        .env("BEHAVIOUR", behaviour)
        .env("PORT", port)
        // It serves until its stdin is closed, and so stops with the test.
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the virtual environment has a Python");
    let mut host = String::new();
    let stdout = child.stdout.take().expect("stdout is piped");
    BufReader::new(stdout)
        .read_line(&mut host)
        .expect("the backend prints its address");
    assert!(host.contains(':'), "the backend did not start");
    (child, host.trim().to_owned())
}

/// Runs Python code with the official messages, and returns its stdout.
///
/// # Panics
/// When it fails.
pub fn official_python(code: &str, arguments: &[&str]) -> String {
    let output = Command::new(python("python"))
        .arg("-c")
        .arg(code)
        .args(arguments)
        .output()
        .expect("the virtual environment has a Python");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
