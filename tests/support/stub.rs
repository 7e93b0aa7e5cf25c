//! A backend that others have made: the official messages and server, with validation on, and the
//! official command line that reads back what was registered.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::project::repository;

mod builds;

/// A program of the virtual environment that `.ci/tools` makes.
///
/// # Panics
/// When it is not there.
pub fn python(program: &str) -> PathBuf {
    let path = repository().join(".python/bin").join(program);
    assert!(path.is_file(), "{} is missing: run `.ci/tools`", path.display());
    path
}

/// A running backend; dropping it ends it.
pub struct Stub {
    child: Child,
    host: String,
    folder: TempDir,
    refused: String,
    behaviour: String,
}

impl Stub {
    /// A backend with the projects `flytesnacks` and `another` that takes everything which is valid.
    pub fn start() -> Self {
        Self::of("", "")
    }

    /// A backend that refuses tasks: `name=message;…`.
    pub fn refusing(refused: &str) -> Self {
        Self::of(refused, "")
    }

    /// A backend that misbehaves: words of its sources, separated by commas.
    pub fn behaving(behaviour: &str) -> Self {
        Self::of("", behaviour)
    }

    fn of(refused: &str, behaviour: &str) -> Self {
        let folder = TempDir::with_prefix("union-stub-").expect("a temporary folder");
        let (child, host) = serve(&folder, refused, behaviour, "0");
        Self { child, host, folder, refused: refused.to_owned(), behaviour: behaviour.to_owned() }
    }

    /// Kills it, as a machine does that loses its power.
    pub fn kill(&mut self) {
        // One that has ended already is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Starts it again after a [`kill`](Self::kill), at the same address and with everything that it knew.
    pub fn start_again(&mut self) {
        let (_, port) = self.host.rsplit_once(':').expect("the address has a port");
        let (child, _) = serve(&self.folder, &self.refused, &self.behaviour, port);
        self.child = child;
    }

    /// Lets runs end that are on `hold`.
    ///
    /// # Panics
    /// When its folder is gone.
    pub fn let_go(&self) {
        std::fs::write(self.folder.path().join("state/go"), "").expect("the folder is ours");
    }

    /// The names of all runs.
    pub fn runs(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path().join("state/runs")).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    /// Why a run was aborted, when it was.
    pub fn aborted(&self, run: &str) -> Option<String> {
        std::fs::read_to_string(self.folder.path().join("state/aborted").join(run)).ok()
    }

    /// `127.0.0.1:port`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// `http://127.0.0.1:port`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.host)
    }

    /// Every call so far: `method`, `request`, and `invalid` with the rule that was broken.
    pub fn calls(&self) -> Vec<Value> {
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        log.lines().map(|line| serde_json::from_str(line).expect("the backend writes JSON")).collect()
    }

    /// How often a method was called.
    pub fn count(&self, method: &str) -> usize {
        self.calls().iter().filter(|call| call["method"] == method).count()
    }

    /// How often a task was written.
    pub fn writes(&self) -> usize {
        self.count("DeployTask")
    }

    /// What the official command line prints, such as of `get task`.
    ///
    /// # Panics
    /// When it fails.
    pub fn official(&self, words: &[&str]) -> String {
        let output = Command::new(python("flyte"))
            .args(["--endpoint", &self.host, "--insecure", "--org", "acme", "--output-format", "json"])
            .args(words)
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("COLUMNS", "400")
            .env("NO_COLOR", "1")
            .env("LC_ALL", "C.UTF-8")
            .output()
            .expect("the virtual environment has the command line");
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        // Its native parts may crash while Python ends, when everything has been printed.
        let has_crashed_at_its_end = output.status.code().is_none() && !stdout.trim().is_empty() && stderr.is_empty();
        assert!(output.status.success() || has_crashed_at_its_end, "flyte {words:?}: {}: {stdout}{stderr}", output.status);
        stdout.into_owned()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts a backend, and waits until it says where it is.
fn serve(folder: &TempDir, refused: &str, behaviour: &str, port: &str) -> (Child, String) {
    let state = folder.path().join("state");
    std::fs::create_dir_all(&state).expect("the folder is ours");
    let mut child = Command::new(python("python"))
        .arg(repository().join("tests/flyte/stub/server.py"))
        .env_clear()
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("LOG", folder.path().join("log"))
        .env("STATE", state)
        .env("REFUSED", refused)
        .env("BEHAVIOUR", behaviour)
        .env("PORT", port)
        // It serves until this ends, and so ends with the test.
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the virtual environment has a Python");
    let mut host = String::new();
    let stdout = child.stdout.take().expect("stdout is piped");
    BufReader::new(stdout).read_line(&mut host).expect("the backend says where it is");
    assert!(host.contains(':'), "the backend did not start");
    (child, host.trim().to_owned())
}

/// Runs a line of Python with the official messages, and gives what it prints.
///
/// # Panics
/// When it fails.
pub fn official_python(code: &str, arguments: &[&str]) -> String {
    let output = Command::new(python("python")).arg("-c").arg(code).args(arguments).output().expect("the virtual environment has a Python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
