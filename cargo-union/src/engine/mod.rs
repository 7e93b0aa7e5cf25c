//! The client of the container engine, Docker or podman.
//!
//! This is the only module that uses bollard and BuildKit's protocol. It loads and saves images, builds Dockerfiles and
//! runs containers for `build`, `publish` and `command`. It does not print and does not access registries: base images
//! are loaded into the engine, not pulled by it.
//!
//! `locate` finds the engine, `http_client` connects to it, `images` loads and saves images, `buildkit` and `buildah`
//! build, `container` runs.

use std::time::Duration;

use bollard::errors::Error as EngineError;
use bollard::{API_DEFAULT_VERSION, Docker};
use tokio::sync::OnceCell;
use union_build::diag::Code;

use crate::image::platform::Platform;
use crate::sys::error::{Error, Result};
use crate::sys::process::Environment;
use http_client::{EngineHttpClient, HOST};
use locate::{EngineCandidate, candidate_at, candidates};

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
pub use solve::{
    DockerfileLocation, DockerfileRequest, PullCredentials, SolveError, SolveListener,
};

/// Finds the user's engine and connects to it when it is first needed.
#[derive(Debug)]
pub struct EngineLocator {
    candidates: Vec<EngineCandidate>,
    connected: OnceCell<Engine>,
}

impl EngineLocator {
    /// The engine that the docker CLI would use, or else podman.
    pub fn of(environment: &Environment) -> Self {
        Self {
            candidates: candidates(environment),
            connected: OnceCell::new(),
        }
    }

    /// The engine at the first of these addresses that responds: `unix:///path`, `tcp://host:port`.
    pub fn at(addresses: impl IntoIterator<Item = String>) -> Self {
        let candidates = addresses
            .into_iter()
            .map(|address| candidate_at(address, &Environment::default()))
            .collect();
        Self {
            candidates,
            connected: OnceCell::new(),
        }
    }

    /// The first engine that responds.
    ///
    /// # Errors
    /// `EngineUnreachable`, with all addresses that were tried.
    pub async fn engine(&self) -> Result<&Engine> {
        self.connected.get_or_try_init(|| self.connect()).await
    }

    async fn connect(&self) -> Result<Engine> {
        let mut tried = Vec::new();
        for EngineCandidate {
            address,
            source,
            endpoint,
        } in &self.candidates
        {
            let connected = match endpoint {
                Ok(endpoint) => {
                    let connected =
                        Engine::connect(address, EngineHttpClient::new(endpoint.clone())).await;
                    connected.map_err(|cause| tls::with_advice(endpoint, cause))
                }
                Err(reason) => Err(reason.clone()),
            };
            match connected {
                Ok(engine) => return Ok(engine),
                Err(cause) => tried.push(match source {
                    Some(source) => format!("{address} (from {source}): {cause}"),
                    None => format!("{address}: {cause}"),
                }),
            }
        }
        Err(Error::new(
            Code::EngineUnreachable,
            "could not reach a container engine",
        )
        .because(format!("tried {}", tried.join("; "))))
    }
}

/// The implementation of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EngineKind {
    /// Docker, which builds with BuildKit.
    Docker,
    /// podman, which builds with buildah.
    Podman,
}

/// A connected engine.
#[derive(Clone)]
pub struct Engine {
    docker: Docker,
    http: EngineHttpClient,
    address: String,
    kind: EngineKind,
    platform: Platform,
}

impl Engine {
    async fn connect(address: &str, http: EngineHttpClient) -> Result<Self, String> {
        const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, Self::negotiate(address, http)).await;
        connected
            .map_err(|_| "timed out".to_owned())?
            .map_err(|cause| innermost(&cause))
    }

    async fn negotiate(address: &str, http: EngineHttpClient) -> Result<Self, EngineError> {
        // Unpacking a large layer may take long before the engine responds.
        const SECONDS: u64 = 3600;
        let client = http.clone();
        let transport = move |request: bollard::BollardRequest| {
            let client = client.clone();
            async move {
                Ok(client
                    .send(request.map(http_body_util::BodyExt::boxed_unsync))
                    .await?)
            }
        };
        let docker = Docker::connect_with_custom_transport(
            transport,
            Some(HOST),
            SECONDS,
            API_DEFAULT_VERSION,
        )?;
        let docker = docker.negotiate_version().await?;
        let version = docker.version().await?;
        let platform = Platform::new(
            version.os.as_deref().unwrap_or("linux"),
            version.arch.as_deref().unwrap_or_default(),
            None,
        );
        let is_podman = version
            .components
            .iter()
            .flatten()
            .any(|component| component.name.contains("Podman"));
        let kind = if is_podman {
            EngineKind::Podman
        } else {
            EngineKind::Docker
        };
        Ok(Self {
            docker,
            http,
            address: address.to_owned(),
            kind,
            platform,
        })
    }

    /// Its address, in the form of `DOCKER_HOST`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The platform that it runs without emulation.
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// Whether it builds with BuildKit instead of buildah.
    pub fn has_buildkit(&self) -> bool {
        self.kind == EngineKind::Docker
    }

    /// Whether it is rootless, so that files of the user belong to root in containers.
    ///
    /// # Errors
    /// `EngineFailed`.
    pub async fn is_rootless(&self) -> Result<bool> {
        let info = self
            .docker
            .info()
            .await
            .map_err(|cause| self.failed("query security options").because(cause))?;
        Ok(info
            .security_options
            .into_iter()
            .flatten()
            .any(|option| option.contains("rootless")))
    }

    fn failed(&self, action: &str) -> Error {
        Error::new(
            Code::EngineFailed,
            format!("could not {action} in the engine at {}", self.address),
        )
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("address", &self.address)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// The last error of the chain; those before it only say that a request failed.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
