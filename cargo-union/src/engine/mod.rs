//! The container engine, Docker or podman: found, reached, and spoken to through its API.
//!
//! This is the door to bollard and to BuildKit. Images go in and come out, environments are built,
//! containers run; what for is for `build`, `publish` and `command` to know. It never prints, never
//! asks a registry, and needs no login: bases are brought to the engine, not pulled by it.
//!
//! `find` says where an engine may be, `wire` is the line to it, `images` moves images, `buildkit` and
//! `buildah` build, `container` runs.

use std::time::Duration;

use bollard::errors::Error as EngineError;
use bollard::{API_DEFAULT_VERSION, Docker};
use tokio::sync::OnceCell;
use union_build::diag::Code;

use crate::image::platform::Platform;
use crate::sys::error::{Error, Result};
use crate::sys::process::Environment;
use http_client::{EngineHttpClient, HOST};
use locate::{EngineCandidate, at, candidates};

pub mod archive;
mod buildah;
mod buildkit;
mod container;
mod http_client;
mod images;
mod lines;
mod locate;
mod session;
mod solve;
mod tls;

pub use container::{BindMount, Container, ContainerOptions};
pub use images::{EngineImage, LoadReport};
pub use solve::{DockerfileLocation, DockerfileRequest, PullCredentials, SolveError, SolveListener};

/// The engine that the user means. Nobody is called before it is needed.
#[derive(Debug)]
pub struct EngineLocator {
    candidates: Vec<EngineCandidate>,
    reached: OnceCell<Engine>,
}

impl EngineLocator {
    /// The engine that the docker CLI would take, else podman.
    pub fn of(environment: &Environment) -> Self {
        Self { candidates: candidates(environment), reached: OnceCell::new() }
    }

    /// The engine at the first of these addresses that answers: `unix:///path`, `tcp://host:port`.
    pub fn at(addresses: impl IntoIterator<Item = String>) -> Self {
        let candidates = addresses.into_iter().map(|address| at(address, &Environment::default())).collect();
        Self { candidates, reached: OnceCell::new() }
    }

    /// The first engine that answers.
    ///
    /// # Errors
    /// `EngineUnreachable`, with everything that was tried.
    pub async fn engine(&self) -> Result<&Engine> {
        self.reached.get_or_try_init(|| self.reach()).await
    }

    async fn reach(&self) -> Result<Engine> {
        let mut tried = Vec::new();
        for EngineCandidate { address, said_by, way } in &self.candidates {
            let reached = match way {
                Ok(way) => Engine::reach(address, EngineHttpClient::new(way.clone())).await.map_err(|why| tls::advise(way, why)),
                Err(why) => Err(why.clone()),
            };
            match reached {
                Ok(engine) => return Ok(engine),
                Err(why) => tried.push(match said_by {
                    Some(source) => format!("{address}, which {source} names: {why}"),
                    None => format!("{address}: {why}"),
                }),
            }
        }
        Err(Error::new(Code::EngineUnreachable, "could not reach a container engine").because(format!("tried {}", tried.join("; "))))
    }
}

/// What speaks at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EngineKind {
    /// Docker, which has BuildKit.
    Docker,
    /// podman, which has buildah.
    Podman,
}

/// An engine that has answered.
#[derive(Clone)]
pub struct Engine {
    docker: Docker,
    wire: EngineHttpClient,
    address: String,
    kind: EngineKind,
    platform: Platform,
}

impl Engine {
    async fn reach(address: &str, wire: EngineHttpClient) -> Result<Self, String> {
        const PATIENCE: Duration = Duration::from_secs(30);
        let answered = tokio::time::timeout(PATIENCE, Self::greet(address, wire)).await;
        answered.map_err(|_| "it did not answer in time".to_owned())?.map_err(|cause| innermost(&cause))
    }

    async fn greet(address: &str, wire: EngineHttpClient) -> Result<Self, EngineError> {
        // An engine may take long to unpack a large layer before it answers.
        const SECONDS: u64 = 3600;
        let line = wire.clone();
        let transport = move |request: bollard::BollardRequest| {
            let line = line.clone();
            async move { Ok(line.send(request.map(http_body_util::BodyExt::boxed_unsync)).await?) }
        };
        let docker = Docker::connect_with_custom_transport(transport, Some(HOST), SECONDS, API_DEFAULT_VERSION)?;
        let docker = docker.negotiate_version().await?;
        let version = docker.version().await?;
        let platform = Platform::new(version.os.as_deref().unwrap_or("linux"), version.arch.as_deref().unwrap_or_default(), None);
        let is_podman = version.components.iter().flatten().any(|component| component.name.contains("Podman"));
        let kind = if is_podman { EngineKind::Podman } else { EngineKind::Docker };
        Ok(Self { docker, wire, address: address.to_owned(), kind, platform })
    }

    /// Where it is, as a user would type it.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The platform that it runs without emulation.
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// Whether BuildKit builds; else buildah does.
    pub fn has_buildkit(&self) -> bool {
        self.kind == EngineKind::Docker
    }

    /// Whether it runs as an ordinary user, whose own files are then its root's.
    ///
    /// # Errors
    /// `EngineFailed`.
    pub async fn is_rootless(&self) -> Result<bool> {
        let info = self.docker.info().await.map_err(|cause| self.failed("ask about rights").because(cause))?;
        Ok(info.security_options.into_iter().flatten().any(|option| option.contains("rootless")))
    }

    fn failed(&self, what: &str) -> Error {
        Error::new(Code::EngineFailed, format!("could not {what} in the engine at {}", self.address))
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("address", &self.address).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// The cause at the end of the chain: what is above it only says that a request failed.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
