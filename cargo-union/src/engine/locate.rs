//! Finds the engine as the docker CLI does, and then at podman's sockets.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use union_build::key::hex;

use super::http_client::EngineEndpoint;
use super::tls;
use crate::sys::process::Environment;

/// An address at which an engine may be.
#[derive(Clone, Debug)]
pub(super) struct EngineCandidate {
    /// In the form of `DOCKER_HOST`: `unix:///var/run/docker.sock`.
    pub(super) address: String,
    /// Where the address is configured: `DOCKER_HOST`, a context; `None` for a default socket.
    pub(super) source: Option<String>,
    /// How to connect, or why the address is invalid.
    pub(super) endpoint: Result<EngineEndpoint, String>,
}

/// The candidates in the order in which they are tried: only the one that the user has configured, or else the default
/// sockets of Docker and then of podman.
pub(super) fn candidates(environment: &Environment) -> Vec<EngineCandidate> {
    let variable = |name| environment.get(name).filter(|value| !value.is_empty());
    if let Some(host) = variable("DOCKER_HOST") {
        let certificates = variable("DOCKER_TLS_VERIFY").map(|_| {
            variable("DOCKER_CERT_PATH")
                .map(PathBuf::from)
                .or_else(|| docker_config_directory(environment))
        });
        let endpoint = endpoint(host, certificates.flatten().as_deref(), environment);
        return vec![EngineCandidate {
            address: host.to_owned(),
            source: Some("DOCKER_HOST".to_owned()),
            endpoint,
        }];
    }
    let directory = docker_config_directory(environment);
    let context = variable("DOCKER_CONTEXT")
        .map(str::to_owned)
        .or_else(|| current_context(directory.as_deref()?));
    match (context.filter(|name| name != "default"), directory) {
        (Some(name), Some(directory)) => vec![context_candidate(&name, &directory, environment)],
        _ => default_sockets(environment)
            .into_iter()
            .map(|address| candidate_at(address, environment))
            .collect(),
    }
}

pub(super) fn candidate_at(address: String, environment: &Environment) -> EngineCandidate {
    let endpoint = endpoint(&address, None, environment);
    EngineCandidate {
        address,
        source: None,
        endpoint,
    }
}

/// The pipe of Docker Desktop.
#[cfg(windows)]
fn default_sockets(_: &Environment) -> Vec<String> {
    vec!["npipe:////./pipe/docker_engine".to_owned()]
}

#[cfg(unix)]
fn default_sockets(environment: &Environment) -> Vec<String> {
    let directory = |name| {
        environment
            .get(name)
            .filter(|value| !value.is_empty())
            .map(Path::new)
    };
    let runtime = directory("XDG_RUNTIME_DIR");
    let home = directory("HOME");
    let socket_in =
        |directory: Option<&Path>, socket: &str| directory.map(|directory| directory.join(socket));
    let sockets = [
        Some(PathBuf::from("/var/run/docker.sock")),
        socket_in(runtime, "docker.sock"),
        socket_in(home, ".docker/run/docker.sock"),
        socket_in(runtime, "podman/podman.sock"),
        Some(PathBuf::from("/run/podman/podman.sock")),
    ];
    sockets
        .into_iter()
        .flatten()
        .map(|socket| format!("unix://{}", socket.display()))
        .collect()
}

fn docker_config_directory(environment: &Environment) -> Option<PathBuf> {
    let variable = |name| {
        environment
            .get(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    variable("DOCKER_CONFIG").or_else(|| Some(variable("HOME")?.join(".docker")))
}

fn current_context(directory: &Path) -> Option<String> {
    #[derive(Deserialize)]
    struct DockerCliConfig {
        #[serde(rename = "currentContext")]
        current_context: Option<String>,
    }
    let config: DockerCliConfig =
        serde_json::from_slice(&std::fs::read(directory.join("config.json")).ok()?).ok()?;
    config.current_context.filter(|name| !name.is_empty())
}

/// The part of a context's `meta.json` that is used.
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

fn context_candidate(name: &str, directory: &Path, environment: &Environment) -> EngineCandidate {
    let id = hex(&Sha256::digest(name));
    let meta = directory.join("contexts/meta").join(&id).join("meta.json");
    let read = || -> Result<ContextEndpoint, String> {
        let bytes = std::fs::read(&meta).map_err(|cause| match cause.kind() {
            ErrorKind::NotFound => format!(
                "`{}` not found; `docker context ls` lists the existing contexts",
                meta.display()
            ),
            _ => format!("`{}`: {cause}", meta.display()),
        })?;
        let context: ContextMeta = serde_json::from_slice(&bytes)
            .map_err(|cause| format!("`{}`: {cause}", meta.display()))?;
        context
            .endpoints
            .into_iter()
            .find_map(|(name, endpoint)| (name == "docker").then_some(endpoint))
            .ok_or("it has no `docker` endpoint".to_owned())
    };
    let certificates = Some(directory.join("contexts/tls").join(id).join("docker"))
        .filter(|directory| directory.is_dir());
    let source = Some(format!("Docker's context `{name}`"));
    match read() {
        Ok(endpoint) if endpoint.skip_tls_verify => {
            let reason =
                "it does not verify the engine's certificate, which is not supported".to_owned();
            EngineCandidate {
                address: endpoint.host,
                source,
                endpoint: Err(reason),
            }
        }
        Ok(context) => {
            let endpoint = endpoint(&context.host, certificates.as_deref(), environment);
            EngineCandidate {
                address: context.host,
                source,
                endpoint,
            }
        }
        Err(reason) => EngineCandidate {
            address: "an engine".to_owned(),
            source,
            endpoint: Err(reason),
        },
    }
}

/// How to connect to an address: with TLS when there is a directory of certificates.
fn endpoint(
    address: &str,
    certificates: Option<&Path>,
    environment: &Environment,
) -> Result<EngineEndpoint, String> {
    match address.split_once("://") {
        Some(("unix", path)) => Ok(EngineEndpoint::Unix(path.into())),
        #[cfg(windows)]
        Some(("npipe", path)) => Ok(EngineEndpoint::Unix(path.into())),
        Some(("tcp" | "http", host)) if certificates.is_none() => {
            Ok(EngineEndpoint::Tcp(with_port(host, 2375)))
        }
        Some(("tcp" | "https", host)) => tls::endpoint(&with_port(host, 2376), certificates),
        Some(("ssh", host)) => Ok(EngineEndpoint::Program {
            words: ssh_command(host)?,
            environment: environment.clone(),
        }),
        _ => Err("expected a scheme of unix, tcp, http, https or ssh".to_owned()),
    }
}

fn with_port(host: &str, port: u16) -> String {
    let host = host.trim_end_matches('/');
    let has_port = host.rsplit_once(':').is_some_and(|(before, port)| {
        !port.contains(']') && (before.ends_with(']') || !before.contains(':'))
    });
    if has_port {
        host.to_owned()
    } else {
        format!("{host}:{port}")
    }
}

/// The command that connects to the engine of another machine through the docker CLI there.
fn ssh_command(host: &str) -> Result<Vec<String>, String> {
    let (host, socket) = host.split_once('/').map_or((host, None), |(host, path)| {
        (host, Some(path).filter(|path| !path.is_empty()))
    });
    let (user, host) = host
        .rsplit_once('@')
        .map_or((None, host), |(user, host)| (Some(user), host));
    let (host, port) = host
        .split_once(':')
        .map_or((host, None), |(host, port)| (host, Some(port)));
    let is_word = |text: &str| {
        !text.is_empty() && !text.starts_with('-') && !text.contains(char::is_whitespace)
    };
    if !is_word(host) || user.is_some_and(|user| !is_word(user) || user.contains(':')) {
        return Err("write `ssh://[user@]host[:port]`; passwords are not supported".to_owned());
    }
    let mut words: Vec<String> = ["ssh", "-o", "ConnectTimeout=20", "-T"]
        .map(str::to_owned)
        .to_vec();
    words.extend(user.iter().flat_map(|user| ["-l", user]).map(str::to_owned));
    words.extend(port.iter().flat_map(|port| ["-p", port]).map(str::to_owned));
    words.extend(["--", host, "docker"].map(str::to_owned));
    words.extend(
        socket
            .iter()
            .flat_map(|path| ["--host".to_owned(), format!("unix:///{path}")]),
    );
    words.extend(["system", "dial-stdio"].map(str::to_owned));
    Ok(words)
}

#[cfg(test)]
mod tests;
