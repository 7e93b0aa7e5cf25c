//! A control plane of Flyte 1 with the official protobuf messages.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::project::repository;
use crate::stub::python;
use crate::tls::Authority;

/// A running control plane. It stops when this is dropped.
pub struct ControlPlane {
    child: Child,
    host: String,
    directory: TempDir,
    behaviour: String,
    authority: Option<Authority>,
}

impl ControlPlane {
    /// A control plane with the projects `flytesnacks` and `another` that accepts all valid requests.
    pub fn start() -> Self {
        Self::behaving("")
    }

    /// A control plane that behaves by keywords of its source, separated by commas.
    pub fn behaving(behaviour: &str) -> Self {
        Self::of(behaviour, None)
    }

    /// The same with TLS.
    pub fn secure(behaviour: &str) -> Self {
        Self::of(behaviour, Some(Authority::new()))
    }

    fn of(behaviour: &str, authority: Option<Authority>) -> Self {
        let directory = TempDir::with_prefix("union-flyte1-").expect("a temporary directory");
        if let Some(authority) = &authority {
            let (certificate, key) = authority.leaf();
            for (name, content) in [("certificate.pem", certificate), ("key.pem", key)] {
                std::fs::write(directory.path().join(name), content)
                    .expect("the directory is writable");
            }
        }
        let (child, host) = serve(&directory, behaviour, authority.is_some(), "0");
        Self {
            child,
            host,
            directory,
            behaviour: behaviour.to_owned(),
            authority,
        }
    }

    /// The certificate of the authority that has to be trusted.
    ///
    /// # Panics
    /// Without TLS.
    pub fn certificate(&self) -> PathBuf {
        let authority = self.authority.as_ref();
        authority.expect("a server with TLS").certificate()
    }

    /// `127.0.0.1:port`.
    pub fn host(&self) -> &str {
        &self.host
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
        let (child, _) = serve(
            &self.directory,
            &self.behaviour,
            self.authority.is_some(),
            port,
        );
        self.child = child;
    }

    /// Lets runs on `hold` finish.
    ///
    /// # Panics
    /// When its directory does not exist.
    pub fn let_go(&self) {
        std::fs::write(self.directory.path().join("go"), "").expect("the directory is writable");
    }

    /// `http://127.0.0.1:port`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.host)
    }

    /// All requests so far: `method`, `path`, `status` and `time`.
    pub fn calls(&self) -> Vec<Value> {
        let log = std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        log.lines()
            .map(|line| serde_json::from_str(line).expect("the server writes JSON"))
            .collect()
    }

    /// The requests that were not reads, as `POST api/v1/tasks 200`.
    pub fn writes(&self) -> Vec<String> {
        let calls = self.calls().into_iter();
        calls
            .filter(|call| call["method"] != "GET")
            .map(|call| {
                let text = |name: &str| call[name].as_str().unwrap_or_default().to_owned();
                format!("{} {} {}", text("method"), text("path"), call["status"])
            })
            .collect()
    }

    /// How many requests there were of a method on paths that begin so.
    pub fn count(&self, method: &str, path: &str) -> usize {
        let is_meant = |call: &&Value| {
            call["method"] == method
                && call["path"]
                    .as_str()
                    .is_some_and(|called| called.starts_with(path))
        };
        self.calls().iter().filter(is_meant).count()
    }

    /// What it keeps, by kind and key; messages are base64.
    ///
    /// # Panics
    /// When it keeps nothing yet.
    pub fn state(&self) -> Value {
        let text = std::fs::read_to_string(self.directory.path().join("state.json"))
            .expect("the server has written its state");
        serde_json::from_str(&text).expect("the server writes JSON")
    }

    /// The names of the launch plans that are active, with their versions.
    pub fn active_plans(&self) -> Vec<String> {
        let state = self.state();
        let plans = state["active"].as_object();
        let mut active: Vec<String> = plans
            .into_iter()
            .flatten()
            .filter(|(_, entry)| entry[1] == "yes")
            .map(|(name, _)| name.clone())
            .collect();
        active.sort_unstable();
        active
    }

    /// A file that was sent to its store.
    pub fn stored(&self, name: &str) -> Option<PathBuf> {
        let uploads = std::fs::read_dir(self.directory.path().join("store/uploads")).ok()?;
        uploads
            .flatten()
            .map(|entry| entry.path().join(name))
            .find(|path| path.is_file())
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts a control plane, and reads its address from its stdout.
fn serve(directory: &TempDir, behaviour: &str, tls: bool, port: &str) -> (Child, String) {
    let certificates = tls.then(|| directory.path().to_owned());
    let mut child = Command::new(python("python"))
        .arg(repository().join("tests/flyte1/server.py"))
        .env_clear()
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("LOG", directory.path().join("log"))
        .env("STATE", directory.path().join("state.json"))
        .env("BEHAVIOUR", behaviour)
        .env("TLS", certificates.unwrap_or_default())
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
        .expect("the server prints its address");
    assert!(host.contains(':'), "the server did not start");
    (child, host.trim().to_owned())
}
