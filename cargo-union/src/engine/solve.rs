//! What an engine is asked to build, and what it says meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::{Engine, EngineKind};
use crate::image::platform::Platform;
use crate::image::reference::Repository;
use crate::image::{Logins, RegistryLogin};
use crate::sys::digest::Digest;
use crate::sys::error::{Error, Result};
use crate::sys::secret::Secret;

/// A build.
#[derive(Clone, Debug)]
pub struct DockerfileRequest {
    /// The build context, a tar file.
    pub context: PathBuf,
    /// Where the Dockerfile is in it.
    pub dockerfile: DockerfileLocation,
    /// For which platform; another than the engine's own is emulated.
    pub platform: Platform,
    /// `name:tag` of what is made.
    pub name: String,
    /// The stage to build; `None` is the last.
    pub stage: Option<String>,
    /// The network of what runs: `host`, `none`; `None` is the engine's usual one.
    pub network: Option<String>,
    /// Build arguments that leave no trace, such as proxies.
    pub arguments: BTreeMap<String, String>,
    /// Secrets by id.
    pub secrets: BTreeMap<String, Secret<Vec<u8>>>,
    /// The images that the engine pulls by itself.
    pub pulls: PullCredentials,
}

/// Where a Dockerfile is in the archive, by its path, and what of the archive its instructions see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DockerfileLocation {
    /// It is a file of the context, which is the whole archive.
    InContext(String),
    /// It is beside the context, for BuildKit.
    Beside {
        /// The Dockerfile.
        file: String,
        /// The directory that is the context.
        context: String,
    },
    /// It is in the context, and no instruction sees it, for buildah. The path has no letter that a pattern gives a
    /// meaning to.
    Hidden(String),
}

impl DockerfileLocation {
    /// The Dockerfile's path in the archive.
    pub(super) fn file(&self) -> &str {
        match self {
            Self::InContext(file) | Self::Beside { file, .. } | Self::Hidden(file) => file,
        }
    }
}

/// The images that an engine pulls during a build, and the logins for them. Only what a registry asks for is
/// looked up, and only for the registries of these images.
#[derive(Clone, Default)]
pub struct PullCredentials {
    /// Repositories that the Dockerfile names, as far as that can be told.
    pub repositories: Vec<Repository>,
    /// Where the logins are; `None` is nobody's.
    pub logins: Option<Arc<dyn Logins>>,
}

impl PullCredentials {
    /// The login for a registry, as Docker's messages name it.
    pub(super) async fn login(&self, host: &str) -> Result<Option<RegistryLogin>> {
        let Some(logins) = &self.logins else { return Ok(None) };
        let registry = match host {
            "registry-1.docker.io" | "index.docker.io" | "https://index.docker.io/v1/" => "docker.io",
            host => host,
        };
        // A login may be for a path of the registry; who asks says the host only.
        for repository in self.repositories.iter().filter(|repository| repository.registry == registry) {
            if let Some(login) = logins.login(repository).await? {
                return Ok(Some(login));
            }
        }
        logins.login(&Repository { registry: registry.to_owned(), path: String::new() }).await
    }

    /// The registries of the images, each once.
    pub(super) fn registries(&self) -> BTreeSet<&str> {
        self.repositories.iter().map(|repository| repository.registry.as_str()).collect()
    }
}

impl std::fmt::Debug for PullCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pulls").field("repositories", &self.repositories).finish_non_exhaustive()
    }
}

/// What is told while an engine builds.
pub trait SolveListener: Send + Sync {
    /// A step begins, as the engine calls it: `[2/4] RUN …`.
    fn step(&self, name: &str);

    /// A step was not run, for the engine remembers what it made.
    fn remembered(&self, name: &str);

    /// A line that a step has written.
    fn line(&self, text: &str);
}

/// Why a build ended.
#[derive(Debug)]
pub enum SolveError {
    /// A step failed.
    Step {
        /// As the engine calls it, when that is known.
        step: Option<String>,
        /// What the engine says.
        why: String,
    },
    /// The engine itself did.
    Engine(Error),
}

impl Engine {
    /// Builds an image, and says what the engine knows it by.
    ///
    /// # Errors
    /// Which step failed, or what of the engine.
    pub async fn build(&self, request: &DockerfileRequest, listener: &dyn SolveListener) -> Result<Digest, SolveError> {
        match self.kind {
            EngineKind::Docker => self.build_with_buildkit(request, listener).await,
            EngineKind::Podman => self.build_with_buildah(request, listener).await,
        }
    }
}
