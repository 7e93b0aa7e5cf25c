//! Connections to an engine: TLS, ssh and Docker contexts.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use union_tests::engine::{Engine, Setting};
use union_tests::http::ReservedPort;
use union_tests::tls::Authority;
use union_tests::{Outcome, Project};

/// An engine that listens on loopback and requires a client certificate.
struct TlsEngine {
    engine: Engine,
    authority: Authority,
    directory: TempDir,
    host: String,
    _port: ReservedPort,
}

impl TlsEngine {
    fn start() -> Self {
        let (authority, directory) = (
            Authority::new(),
            tempfile::tempdir().expect("a temporary directory"),
        );
        let free = ReservedPort::new();
        let (certificate, key) = authority.leaf();
        for (name, text) in [("server.pem", certificate), ("server-key.pem", key)] {
            std::fs::write(directory.path().join(name), text).expect("the directory is ours");
        }
        std::fs::copy(authority.certificate(), directory.path().join("ca.pem"))
            .expect("the directory is ours");
        let encrypted = Some((directory.path().to_owned(), free.port()));
        let engine = Engine::start_with(&Setting {
            encrypted,
            ..Setting::default()
        });
        Self {
            engine,
            authority,
            directory,
            host: free.host(),
            _port: free,
        }
    }

    /// A directory with the trusted certificate authority of a client and, if it has one, its own certificate.
    fn client(&self, name: &str, trusted: &Authority, signed_by: Option<&Authority>) -> PathBuf {
        let directory = self.directory.path().join(name);
        std::fs::create_dir_all(&directory).expect("the directory is ours");
        std::fs::copy(trusted.certificate(), directory.join("ca.pem"))
            .expect("the directory is ours");
        if let Some(authority) = signed_by {
            let (certificate, key) = authority.leaf();
            std::fs::write(directory.join("cert.pem"), certificate).expect("the directory is ours");
            std::fs::write(directory.join("key.pem"), key).expect("the directory is ours");
        }
        directory
    }
}

fn hello() -> Project {
    Project::package("hello")
        .union("[package.metadata.union.images.default]\nbase-image = \"scratch\"\n")
        .locked()
}

fn build(project: &Project) -> Outcome {
    project.run(["build", "--output", "docker:"])
}

fn by_variables(project: Project, host: &str, certificates: &Path) -> Project {
    project
        .env("DOCKER_HOST", format!("tcp://{host}"))
        .env("DOCKER_TLS_VERIFY", "1")
        .env("DOCKER_CERT_PATH", certificates.display().to_string())
}

/// A context as `docker context create` writes it.
fn context(directory: &Path, name: &str, host: &str, certificates: Option<&Path>) {
    let id: String = Sha256::digest(name)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let meta = directory.join("contexts/meta").join(&id);
    std::fs::create_dir_all(&meta).expect("the directory is ours");
    let text = format!(
        r#"{{"Name":"{name}","Metadata":{{}},"Endpoints":{{"docker":{{"Host":"{host}","SkipTLSVerify":false}}}}}}"#
    );
    std::fs::write(meta.join("meta.json"), text).expect("the directory is ours");
    if let Some(certificates) = certificates {
        let tls = directory.join("contexts/tls").join(&id).join("docker");
        std::fs::create_dir_all(&tls).expect("the directory is ours");
        for file in ["ca.pem", "cert.pem", "key.pem"] {
            std::fs::copy(certificates.join(file), tls.join(file)).expect("the directory is ours");
        }
    }
}

#[test]
fn engine_over_tls_by_variables_and_context() {
    let encrypted = TlsEngine::start();
    let client = encrypted.client("client", &encrypted.authority, Some(&encrypted.authority));
    let project = by_variables(hello(), &encrypted.host, &client);
    let built = build(&project).succeeds();
    let name = built
        .stdout()
        .trim()
        .strip_prefix("docker:")
        .expect("stdout names the engine")
        .to_owned();
    assert_eq!(
        encrypted
            .engine
            .docker(&["run", "--rm", "--network", "none", &name]),
        "hello"
    );

    let docker = project.temp().join("docker");
    context(
        &docker,
        "far",
        &format!("tcp://{}", encrypted.host),
        Some(&client),
    );
    let of_context = hello()
        .without_env("DOCKER_HOST")
        .env("DOCKER_CONFIG", docker.display().to_string());
    build(&of_context.env("DOCKER_CONTEXT", "far")).succeeds();
    std::fs::write(docker.join("config.json"), r#"{"currentContext":"far"}"#)
        .expect("the directory is ours");
    build(
        &hello()
            .without_env("DOCKER_HOST")
            .env("DOCKER_CONFIG", docker.display().to_string()),
    )
    .succeeds();
}

#[test]
fn engine_tls_errors_tell_server_and_client_certificates_apart() {
    let (encrypted, stranger) = (TlsEngine::start(), Authority::new());
    let deceived = encrypted.client("deceived", &stranger, Some(&encrypted.authority));
    let refused = |certificates: &Path| {
        build(&by_variables(hello(), &encrypted.host, certificates)).fails_with("U0414")
    };
    refused(&deceived)
        .stderr_has("not issued by the authority in `ca.pem`")
        .stderr_has("DOCKER_HOST")
        .stderr_has(&encrypted.host);
    let nobody = encrypted.client("nobody", &encrypted.authority, None);
    refused(&nobody).stderr_has("`cert.pem` and `key.pem` beside `ca.pem`");
    let forged = encrypted.client("forged", &encrypted.authority, Some(&stranger));
    refused(&forged).stderr_has("issued by an authority that it trusts");
    build(&hello().env("DOCKER_HOST", format!("tcp://{}", encrypted.host)))
        .fails_with("U0414")
        .stderr_has("DOCKER_TLS_VERIFY");
}

#[test]
fn engine_over_ssh_shows_stderr_of_ssh() {
    let engine = Engine::shared();
    let tools = tempfile::tempdir().expect("a temporary directory");
    let ssh = |script: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        let path = tools.path().join("ssh");
        std::fs::write(&path, script).expect("the directory is ours");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
            .expect("the file is ours");
    };
    let path = format!(
        "{}:{}",
        tools.path().display(),
        std::env::var("PATH").expect("PATH is set")
    );
    let project = hello()
        .env("PATH", path)
        .env("DOCKER_HOST", "ssh://me@far.example.com:2222");
    // The remote host is this machine: the command of ssh runs here.
    let words = tools.path().join("words").display().to_string();
    ssh(&format!(
        "#!/bin/sh\necho \"$*\" >{words}\nwhile [ \"$1\" != -- ]; do shift; done\nshift 2\nDOCKER_HOST={} exec \"$@\"\n",
        engine.address()
    ));
    build(&project).succeeds();
    let printed = std::fs::read_to_string(&words).expect("ssh was asked");
    assert_eq!(
        printed.trim(),
        "-o ConnectTimeout=20 -T -l me -p 2222 -- far.example.com docker system dial-stdio"
    );
    ssh("#!/bin/sh\necho 'me@far.example.com: Permission denied (publickey).' >&2\nexit 255\n");
    build(&project)
        .fails_with("U0414")
        .stderr_has("ssh://me@far.example.com:2222")
        .stderr_has("Permission denied (publickey)");
}

#[test]
fn missing_docker_context_is_named_without_fallback() {
    let project = hello().without_env("DOCKER_HOST");
    let docker = project.temp().join("docker");
    std::fs::create_dir_all(&docker).expect("the directory is ours");
    let outcome = build(
        &project
            .env("DOCKER_CONFIG", docker.display().to_string())
            .env("DOCKER_CONTEXT", "gone"),
    );
    outcome
        .fails_with("U0414")
        .stderr_has("Docker's context `gone`")
        .stderr_has("docker context ls")
        .stderr_lacks("podman.sock");
}
