//! Debian's `docker-registry` on loopback: open, behind a password, behind TLS, behind a token server.

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

/// A running registry; dropping it ends it.
pub struct Registry {
    child: Child,
    host: String,
    requests: Requests,
    folder: TempDir,
    tokens: Option<TokenServer>,
}

impl Registry {
    /// Everybody may do everything.
    pub fn open() -> Self {
        Self::start(tempfile::tempdir().expect("a temporary folder"), "", "", None)
    }

    /// One user may do everything, and nobody else anything.
    pub fn htpasswd(user: &str, password: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let output = Command::new("htpasswd").args(["-Bbn", user, password]).output().expect("`htpasswd` is installed");
        let file = folder.path().join("htpasswd");
        std::fs::write(&file, output.stdout).expect("the folder is ours");
        let auth = format!("auth:\n  htpasswd:\n    realm: test\n    path: {}\n", file.display());
        Self::start(folder, "", &auth, None)
    }

    /// Over TLS, with a certificate of a private authority.
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
        std::fs::copy(registry.folder.path().join("leaf.crt"), registry.authority()).expect("the folder is ours");
        registry
    }

    /// Over TLS, for clients with a certificate of this authority only. Its own is of the same one.
    pub fn mutual_tls(authority: &Authority) -> Self {
        Self::start_tls(authority, authority.leaf(), &format!("    clientcas:\n      - {}\n", authority.certificate().display()))
    }

    fn start_tls(authority: &Authority, (certificate, key): (String, String), clients: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = std::fs::read_to_string(authority.certificate()).expect("the authority wrote it");
        for (name, text) in [("ca.crt", root), ("leaf.crt", certificate), ("leaf.key", key)] {
            std::fs::write(folder.path().join(name), text).expect("the folder is ours");
        }
        let path = folder.path().display();
        let tls = format!("  tls:\n    certificate: {path}/leaf.crt\n    key: {path}/leaf.key\n{clients}");
        Self::start(folder, &tls, "", None)
    }

    /// Behind a token server that knows one user. Everybody else gets tokens that allow nothing.
    pub fn token(user: &str, password: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let tokens = TokenServer::start(user, password);
        let bundle = folder.path().join("token.crt");
        std::fs::write(&bundle, tokens.certificate()).expect("the folder is ours");
        let auth = format!(
            "auth:\n  token:\n    realm: http://{}/token\n    service: test-registry\n    issuer: test-issuer\n    rootcertbundle: {}\n",
            tokens.host(),
            bundle.display()
        );
        Self::start(folder, "", &auth, Some(tokens))
    }

    /// `127.0.0.1:port`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The certificate of the private authority, of a registry over TLS.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// The token server beside it.
    pub fn tokens(&self) -> &TokenServer {
        self.tokens.as_ref().expect("a registry with a token server")
    }

    /// Where it keeps its data.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Every request so far, oldest first: `GET /v2/`. Of a registry without TLS.
    ///
    /// # Panics
    /// When the registry no longer answers.
    pub fn requests(&self) -> Vec<String> {
        static MARKS: AtomicUsize = AtomicUsize::new(0);
        // The log comes a little later than the answers; with the mark in it, all that was before is in it.
        let mark = format!("GET /mark/{}", MARKS.fetch_add(1, Ordering::Relaxed));
        let mut stream = TcpStream::connect(&self.host).expect("the registry listens");
        write!(stream, "{mark} HTTP/1.0\r\n\r\n").expect("the registry listens");
        stream.read_to_end(&mut Vec::new()).expect("the registry answers");
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let seen = self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if seen.contains(&mark) {
                return seen.into_iter().filter(|request| !request.starts_with("GET /mark/")).collect();
            }
            assert!(Instant::now() < deadline, "the registry writes no log: {seen:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The requests so far that write something: what a read-only registry would refuse.
    pub fn writes(&self) -> Vec<String> {
        self.requests().into_iter().filter(|request| !request.starts_with("GET ") && !request.starts_with("HEAD ")).collect()
    }

    fn start(folder: TempDir, tls: &str, auth: &str, tokens: Option<TokenServer>) -> Self {
        let config = folder.path().join("config.yml");
        let data = folder.path().join("data");
        let text = format!(
            "version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:0\n{tls}{auth}",
            data.display()
        );
        std::fs::write(&config, text).expect("the folder is ours");
        let (child, host, requests) = serve(&config);
        Self { child, host, requests, folder, tokens }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Method and path of each request, as the access log has them.
type Requests = Arc<Mutex<Vec<String>>>;

/// Starts the program, and learns from its log which port it was given.
fn serve(config: &Path) -> (Child, String, Requests) {
    let mut command = Command::new("docker-registry");
    command.arg("serve").arg(config).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("`docker-registry` is installed");
    let log = BufReader::new(child.stderr.take().expect("the log is a pipe"));
    let requests = listen(child.stdout.take().expect("the access log is a pipe"));
    let (told, ports) = mpsc::channel();
    // The log is read to its end, or the registry would stop when the pipe is full.
    std::thread::spawn(move || {
        let mut before = Vec::new();
        for line in log.lines().map_while(Result::ok) {
            if let Some((_, rest)) = line.split_once("listening on 127.0.0.1:") {
                let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
                let _ = told.send(Ok(port));
            }
            before.push(line);
        }
        let _ = told.send(Err(before.join("\n")));
    });
    match ports.recv().expect("the thread tells one or the other") {
        Ok(port) => (child, format!("127.0.0.1:{port}"), requests),
        Err(log) => panic!("docker-registry did not start:\n{log}"),
    }
}

/// Keeps what stands between the first quotes of each line: `"GET /v2/ HTTP/1.1"`.
fn listen(log: impl Read + Send + 'static) -> Requests {
    let requests = Requests::default();
    let seen = requests.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            if let Some((request, _)) = line.split_once('"').and_then(|(_, rest)| rest.split_once(" HTTP/")) {
                seen.lock().unwrap_or_else(PoisonError::into_inner).push(request.to_owned());
            }
        }
    });
    requests
}
