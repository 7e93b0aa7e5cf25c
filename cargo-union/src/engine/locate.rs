//! Where the engine is: found as the docker CLI finds it, then where podman listens.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use union_build::key::hex;

use super::http_client::EngineEndpoint;
use super::tls;
use crate::sys::process::Environment;

/// A place where an engine may be.
#[derive(Clone, Debug)]
pub(super) struct EngineCandidate {
    /// As a user would type it: `unix:///var/run/docker.sock`.
    pub(super) address: String,
    /// Who says so: `DOCKER_HOST`, a context; `None` for one of the usual places.
    pub(super) said_by: Option<String>,
    /// What leads there, or why nothing can.
    pub(super) way: Result<EngineEndpoint, String>,
}

/// The places in the order in which they are tried: the one that the user chose, alone, or else the
/// usual sockets of Docker and then of podman.
pub(super) fn candidates(environment: &Environment) -> Vec<EngineCandidate> {
    let set = |name| environment.get(name).filter(|value| !value.is_empty());
    if let Some(host) = set("DOCKER_HOST") {
        let certificates =
            set("DOCKER_TLS_VERIFY").map(|_| set("DOCKER_CERT_PATH").map(PathBuf::from).or_else(|| docker_folder(environment)));
        let way = way(host, certificates.flatten().as_deref(), environment);
        return vec![EngineCandidate { address: host.to_owned(), said_by: Some("DOCKER_HOST".to_owned()), way }];
    }
    let folder = docker_folder(environment);
    let chosen = set("DOCKER_CONTEXT").map(str::to_owned).or_else(|| current_context(folder.as_deref()?));
    match (chosen.filter(|name| name != "default"), folder) {
        (Some(name), Some(folder)) => vec![of_context(&name, &folder, environment)],
        _ => usual(environment).into_iter().map(|address| at(address, environment)).collect(),
    }
}

/// A place that is named by its address alone.
pub(super) fn at(address: String, environment: &Environment) -> EngineCandidate {
    let way = way(&address, None, environment);
    EngineCandidate { address, said_by: None, way }
}

fn usual(environment: &Environment) -> Vec<String> {
    let folder = |name| environment.get(name).filter(|value| !value.is_empty()).map(Path::new);
    let (runtime, home) = (folder("XDG_RUNTIME_DIR"), folder("HOME"));
    let below = |folder: Option<&Path>, socket: &str| folder.map(|folder| folder.join(socket));
    let sockets = [
        Some(PathBuf::from("/var/run/docker.sock")),
        below(runtime, "docker.sock"),
        below(home, ".docker/run/docker.sock"),
        below(runtime, "podman/podman.sock"),
        Some(PathBuf::from("/run/podman/podman.sock")),
    ];
    sockets.into_iter().flatten().map(|socket| format!("unix://{}", socket.display())).collect()
}

fn docker_folder(environment: &Environment) -> Option<PathBuf> {
    let set = |name| environment.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("DOCKER_CONFIG").or_else(|| Some(set("HOME")?.join(".docker")))
}

fn current_context(folder: &Path) -> Option<String> {
    #[derive(Deserialize)]
    struct DockerCliConfig {
        #[serde(rename = "currentContext")]
        current_context: Option<String>,
    }
    let config: DockerCliConfig = serde_json::from_slice(&std::fs::read(folder.join("config.json")).ok()?).ok()?;
    config.current_context.filter(|name| !name.is_empty())
}

/// What a context's `meta.json` holds, as far as it matters here.
#[derive(Deserialize)]
struct ContextMeta {
    #[serde(rename = "Endpoints")]
    endpoints: std::collections::BTreeMap<String, ContextEndpoint>,
}

#[derive(Deserialize)]
struct ContextEndpoint {
    #[serde(rename = "Host", default)]
    host: String,
    #[serde(rename = "SkipTLSVerify", default)]
    skip_tls_verify: bool,
}

fn of_context(name: &str, folder: &Path, environment: &Environment) -> EngineCandidate {
    let id = hex(&Sha256::digest(name));
    let meta = folder.join("contexts/meta").join(&id).join("meta.json");
    let read = || -> Result<ContextEndpoint, String> {
        let bytes = std::fs::read(&meta).map_err(|cause| match cause.kind() {
            ErrorKind::NotFound => format!("`{}` is not there; `docker context ls` lists those that are", meta.display()),
            _ => format!("`{}`: {cause}", meta.display()),
        })?;
        let meta_: ContextMeta = serde_json::from_slice(&bytes).map_err(|cause| format!("`{}`: {cause}", meta.display()))?;
        meta_.endpoints.into_iter().find_map(|(name, endpoint)| (name == "docker").then_some(endpoint)).ok_or("it has no engine".to_owned())
    };
    let certificates = Some(folder.join("contexts/tls").join(id).join("docker")).filter(|folder| folder.is_dir());
    let said_by = Some(format!("Docker's context `{name}`"));
    match read() {
        Ok(endpoint) if endpoint.skip_tls_verify => {
            let why = "it does not verify the engine's certificate, which is not supported".to_owned();
            EngineCandidate { address: endpoint.host, said_by, way: Err(why) }
        }
        Ok(endpoint) => {
            let way = way(&endpoint.host, certificates.as_deref(), environment);
            EngineCandidate { address: endpoint.host, said_by, way }
        }
        Err(why) => EngineCandidate { address: "an engine".to_owned(), said_by, way: Err(why) },
    }
}

/// What leads to an address; with a folder of certificates, TLS does.
fn way(address: &str, certificates: Option<&Path>, environment: &Environment) -> Result<EngineEndpoint, String> {
    match address.split_once("://") {
        Some(("unix", path)) => Ok(EngineEndpoint::Unix(path.into())),
        Some(("tcp" | "http", host)) if certificates.is_none() => Ok(EngineEndpoint::Tcp(with_port(host, 2375))),
        Some(("tcp" | "https", host)) => tls::way(&with_port(host, 2376), certificates),
        Some(("ssh", host)) => Ok(EngineEndpoint::Program { words: ssh(host)?, environment: environment.clone() }),
        _ => Err("its scheme is none of unix, tcp, http, https and ssh".to_owned()),
    }
}

fn with_port(host: &str, port: u16) -> String {
    let host = host.trim_end_matches('/');
    let has_port =
        host.rsplit_once(':').is_some_and(|(before, port)| !port.contains(']') && (before.ends_with(']') || !before.contains(':')));
    if has_port { host.to_owned() } else { format!("{host}:{port}") }
}

/// The docker client on the other machine speaks to its engine and hands everything on.
fn ssh(host: &str) -> Result<Vec<String>, String> {
    let (host, socket) = host.split_once('/').map_or((host, None), |(host, path)| (host, Some(path).filter(|path| !path.is_empty())));
    let (user, host) = host.rsplit_once('@').map_or((None, host), |(user, host)| (Some(user), host));
    let (host, port) = host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port)));
    let is_a_word = |text: &str| !text.is_empty() && !text.starts_with('-') && !text.contains(char::is_whitespace);
    if !is_a_word(host) || user.is_some_and(|user| !is_a_word(user) || user.contains(':')) {
        return Err("write `ssh://[user@]host[:port]`; a password cannot stand there".to_owned());
    }
    let mut words: Vec<String> = ["ssh", "-o", "ConnectTimeout=20", "-T"].map(str::to_owned).to_vec();
    words.extend(user.iter().flat_map(|user| ["-l", user]).map(str::to_owned));
    words.extend(port.iter().flat_map(|port| ["-p", port]).map(str::to_owned));
    words.extend(["--", host, "docker"].map(str::to_owned));
    words.extend(socket.iter().flat_map(|path| ["--host".to_owned(), format!("unix:///{path}")]));
    words.extend(["system", "dial-stdio"].map(str::to_owned));
    Ok(words)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    fn found(variables: &[(&str, &str)]) -> Vec<String> {
        candidates(&environment(variables)).into_iter().map(|candidate| candidate.address).collect()
    }

    fn words(address: &str) -> Result<String, String> {
        match way(address, None, &environment(&[])) {
            Ok(EngineEndpoint::Program { words, .. }) => Ok(words.join(" ")),
            Ok(other) => panic!("{address} is no program: {other:?}"),
            Err(why) => Err(why),
        }
    }

    #[test]
    fn docker_host_is_asked_alone() {
        assert_eq!(found(&[("DOCKER_HOST", "tcp://127.0.0.1:2375"), ("HOME", "/home/me")]), ["tcp://127.0.0.1:2375"]);
    }

    #[test]
    fn without_it_docker_comes_before_podman() {
        assert_eq!(
            found(&[("XDG_RUNTIME_DIR", "/run/user/7"), ("HOME", "/home/me")]),
            [
                "unix:///var/run/docker.sock",
                "unix:///run/user/7/docker.sock",
                "unix:///home/me/.docker/run/docker.sock",
                "unix:///run/user/7/podman/podman.sock",
                "unix:///run/podman/podman.sock",
            ]
        );
    }

    #[test]
    fn a_context_is_asked_alone_and_a_variable_chooses_before_the_config() {
        let folder = tempfile::tempdir().unwrap();
        let docker = folder.path().to_str().unwrap();
        for (name, host) in [("work", "tcp://work:2375"), ("home", "unix:///home.sock")] {
            let meta = folder.path().join("contexts/meta").join(hex(&Sha256::digest(name)));
            std::fs::create_dir_all(&meta).unwrap();
            let text = format!(r#"{{"Name":"{name}","Metadata":{{}},"Endpoints":{{"docker":{{"Host":"{host}","SkipTLSVerify":false}}}}}}"#);
            std::fs::write(meta.join("meta.json"), text).unwrap();
        }
        std::fs::write(folder.path().join("config.json"), r#"{"auths":{},"currentContext":"work"}"#).unwrap();
        assert_eq!(found(&[("DOCKER_CONFIG", docker)]), ["tcp://work:2375"]);
        assert_eq!(found(&[("DOCKER_CONFIG", docker), ("DOCKER_CONTEXT", "home")]), ["unix:///home.sock"]);
        assert_eq!(found(&[("DOCKER_CONFIG", docker), ("DOCKER_HOST", "unix:///a")]), ["unix:///a"]);
        assert_eq!(found(&[("DOCKER_CONFIG", docker), ("DOCKER_CONTEXT", "default")]).len(), 2);
        let gone = candidates(&environment(&[("DOCKER_CONFIG", docker), ("DOCKER_CONTEXT", "gone")]));
        assert!(gone[0].way.as_ref().unwrap_err().contains("meta.json"), "{gone:?}");
    }

    #[test]
    fn ssh_is_asked_to_hand_on_what_the_engine_says() {
        assert_eq!(words("ssh://host").unwrap(), "ssh -o ConnectTimeout=20 -T -- host docker system dial-stdio");
        assert_eq!(
            words("ssh://me@host:22/run/a.sock").unwrap(),
            "ssh -o ConnectTimeout=20 -T -l me -p 22 -- host docker --host unix:///run/a.sock system dial-stdio"
        );
        for refused in ["ssh://-oProxyCommand=x", "ssh://me:secret@host", "ssh://", "ssh://a b"] {
            assert!(words(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn a_port_is_added_only_where_there_is_none() {
        for (typed, meant) in [("host", "host:2375"), ("host:1/", "host:1"), ("[::1]", "[::1]:2375"), ("[::1]:7", "[::1]:7")] {
            assert_eq!(with_port(typed, 2375), meant);
        }
    }
}
