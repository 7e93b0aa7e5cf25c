//! Debian's `docker-registry` on loopback: open, with a password, with TLS, or with a token server.

use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::tls::{Authority, Defect};
use crate::token::TokenServer;

/// A running registry. It stops when this is dropped.
pub struct Registry {
    child: Child,
    host: String,
    requests: Requests,
    directory: TempDir,
    tokens: Option<TokenServer>,
}

impl Registry {
    /// A registry without authentication.
    pub fn open() -> Self {
        Self::start(
            tempfile::tempdir().expect("a temporary directory"),
            "",
            "",
            None,
        )
    }

    /// A registry for one user, without anonymous access.
    pub fn htpasswd(user: &str, password: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let output = Command::new("htpasswd")
            .args(["-Bbn", user, password])
            .output()
            .expect("`htpasswd` is installed");
        let file = directory.path().join("htpasswd");
        std::fs::write(&file, output.stdout).expect("the directory is writable");
        let auth = format!(
            "auth:\n  htpasswd:\n    realm: test\n    path: {}\n",
            file.display()
        );
        Self::start(directory, "", &auth, None)
    }

    /// A registry with TLS and a certificate of a private authority.
    pub fn tls() -> Self {
        let authority = Authority::new();
        Self::start_tls(&authority, authority.leaf(), "")
    }

    /// Over TLS, with a certificate that there is a reason to refuse.
    pub fn defective_tls(authority: &Authority, defect: Defect) -> Self {
        Self::start_tls(authority, authority.defective(defect), "")
    }

    /// Over TLS, with a certificate that is signed by its own key: `ca.crt` is the same.
    pub fn self_signed_tls() -> Self {
        let registry = Self::start_tls(&Authority::new(), Authority::self_signed(), "");
        std::fs::copy(
            registry.directory.path().join("leaf.crt"),
            registry.authority(),
        )
        .expect("the directory is ours");
        registry
    }

    /// A registry with TLS, only for clients with a certificate of this authority, which has issued its own as well.
    pub fn mutual_tls(authority: &Authority) -> Self {
        Self::start_tls(
            authority,
            authority.leaf(),
            &format!(
                "    clientcas:\n      - {}\n",
                authority.certificate().display()
            ),
        )
    }

    fn start_tls(
        authority: &Authority,
        (certificate, key): (String, String),
        clients: &str,
    ) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let root =
            std::fs::read_to_string(authority.certificate()).expect("the authority wrote it");
        for (name, text) in [
            ("ca.crt", root),
            ("leaf.crt", certificate),
            ("leaf.key", key),
        ] {
            std::fs::write(directory.path().join(name), text).expect("the directory is writable");
        }
        let path = directory.path().display();
        let tls = format!(
            "  tls:\n    certificate: {path}/leaf.crt\n    key: {path}/leaf.key\n{clients}"
        );
        Self::start(directory, &tls, "", None)
    }

    /// A registry with a token server for one user. Anonymous tokens allow nothing.
    pub fn token(user: &str, password: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let tokens = TokenServer::start(user, password);
        let bundle = directory.path().join("token.crt");
        std::fs::write(&bundle, tokens.certificate()).expect("the directory is writable");
        let auth = format!(
            "auth:\n  token:\n    realm: http://{}/token\n    service: test-registry\n    issuer: test-issuer\n    rootcertbundle: {}\n",
            tokens.host(),
            bundle.display()
        );
        Self::start(directory, "", &auth, Some(tokens))
    }

    /// `127.0.0.1:port`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The certificate of the private authority of a registry with TLS.
    pub fn authority(&self) -> PathBuf {
        self.directory.path().join("ca.crt")
    }

    /// The token server of the registry.
    pub fn tokens(&self) -> &TokenServer {
        self.tokens
            .as_ref()
            .expect("a registry with a token server")
    }

    /// The directory of its data.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// All requests so far, oldest first: `GET /v2/`. Only for a registry without TLS.
    ///
    /// # Panics
    /// When the registry no longer responds.
    pub fn requests(&self) -> Vec<String> {
        static MARKS: AtomicUsize = AtomicUsize::new(0);
        // The log is written after the responses; once the mark is in it, all earlier requests are too.
        let mark = format!("GET /mark/{}", MARKS.fetch_add(1, Ordering::Relaxed));
        let mut stream = TcpStream::connect(&self.host).expect("the registry listens");
        write!(stream, "{mark} HTTP/1.0\r\n\r\n").expect("the registry listens");
        stream
            .read_to_end(&mut Vec::new())
            .expect("the registry answers");
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let seen = self
                .requests
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            if seen.contains(&mark) {
                return seen
                    .into_iter()
                    .filter(|request| !request.starts_with("GET /mark/"))
                    .collect();
            }
            assert!(
                Instant::now() < deadline,
                "the registry writes no log: {seen:?}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The requests so far that are not GET or HEAD.
    pub fn writes(&self) -> Vec<String> {
        self.requests()
            .into_iter()
            .filter(|request| !request.starts_with("GET ") && !request.starts_with("HEAD "))
            .collect()
    }

    fn start(directory: TempDir, tls: &str, auth: &str, tokens: Option<TokenServer>) -> Self {
        let config = directory.path().join("config.yml");
        let data = directory.path().join("data");
        let text = format!(
            "version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:0\n{tls}{auth}",
            data.display()
        );
        std::fs::write(&config, text).expect("the directory is writable");
        let (child, host, requests) = serve(&config);
        Self {
            child,
            host,
            requests,
            directory,
            tokens,
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Method and path of each request in the access log.
type Requests = Arc<Mutex<Vec<String>>>;

/// Starts the program, and reads its port from its log.
fn serve(config: &Path) -> (Child, String, Requests) {
    let mut command = Command::new("docker-registry");
    command
        .arg("serve")
        .arg(config)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("`docker-registry` is installed");
    let log = BufReader::new(child.stderr.take().expect("the log is a pipe"));
    let requests = read_access_log(child.stdout.take().expect("the access log is a pipe"));
    let (sender, ports) = mpsc::channel();
    // The log is read to its end, since the registry would block when the pipe is full.
    std::thread::spawn(move || {
        let mut lines = Vec::new();
        for line in log.lines().map_while(Result::ok) {
            if let Some((_, rest)) = line.split_once("listening on 127.0.0.1:") {
                let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
                let _ = sender.send(Ok(port));
            }
            lines.push(line);
        }
        let _ = sender.send(Err(lines.join("\n")));
    });
    match ports.recv().expect("the thread sends a port or the log") {
        Ok(port) => (child, format!("127.0.0.1:{port}"), requests),
        Err(log) => panic!("docker-registry did not start:\n{log}"),
    }
}

/// Collects the quoted request of each line: `"GET /v2/ HTTP/1.1"`.
fn read_access_log(log: impl Read + Send + 'static) -> Requests {
    let requests = Requests::default();
    let seen = requests.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            if let Some((request, _)) = line
                .split_once('"')
                .and_then(|(_, rest)| rest.split_once(" HTTP/"))
            {
                seen.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(request.to_owned());
            }
        }
    });
    requests
}
