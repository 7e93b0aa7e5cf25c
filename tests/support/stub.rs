//! A backend that others have made: the official messages and server, with validation on, and the
//! official command line that reads back what was registered.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::project::repository;

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
}

impl Stub {
    /// A backend with the projects `flytesnacks` and `another` that takes everything which is valid.
    pub fn start() -> Self {
        Self::refusing("")
    }

    /// A backend that refuses tasks: `name=message;…`.
    ///
    /// # Panics
    /// When it does not start.
    pub fn refusing(refused: &str) -> Self {
        let folder = TempDir::with_prefix("union-stub-").expect("a temporary folder");
        let mut child = Command::new(python("python"))
            .arg(repository().join("tests/flyte/stub/server.py"))
            .env_clear()
            .env("LOG", folder.path().join("log"))
            .env("REFUSED", refused)
            // It serves until this ends, and so ends with the test.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the virtual environment has a Python");
        let mut host = String::new();
        let stdout = child.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut host).expect("the backend says where it is");
        assert!(host.contains(':'), "the backend did not start");
        Self { child, host: host.trim().to_owned(), folder }
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

    /// How often something was written.
    pub fn writes(&self) -> usize {
        self.calls().iter().filter(|call| call["method"] == "DeployTask").count()
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
        assert!(output.status.success(), "flyte {words:?}: {stdout}{stderr}");
        stdout.into_owned()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        // One that has ended already is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
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
