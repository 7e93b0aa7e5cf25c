//! A Dockerfile build: its request, progress and result.

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

/// A request to build a Dockerfile.
#[derive(Clone, Debug)]
pub struct DockerfileRequest {
    /// The path of the build context, a tar file.
    pub context: PathBuf,
    /// The place of the Dockerfile in the context.
    pub dockerfile: DockerfileLocation,
    /// The target platform; one other than the engine's is emulated.
    pub platform: Platform,
    /// The name of the resulting image, `name:tag`.
    pub name: String,
    /// The stage to build; `None` for the last.
    pub stage: Option<String>,
    /// The network of `RUN` steps: `host` or `none`; `None` for the engine's default.
    pub network: Option<String>,
    /// Build arguments that do not change the image, such as proxies.
    pub arguments: BTreeMap<String, String>,
    /// Secrets by id.
    pub secrets: BTreeMap<String, Secret<Vec<u8>>>,
    /// The images that the engine pulls.
    pub pulls: PullCredentials,
}

/// The path of a Dockerfile in the archive, and which part of the archive is the build context.
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
    /// It is in the context, but excluded by an ignore pattern, for buildah. The path has no characters that are
    /// special in patterns.
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

/// The images that an engine pulls during a build, and the logins for them. A login is looked up only when a registry
/// requires it, and only for the registries of these images.
#[derive(Clone, Default)]
pub struct PullCredentials {
    /// Repositories in the Dockerfile, as far as they can be determined.
    pub repositories: Vec<Repository>,
    /// The source of logins; `None` for anonymous pulls.
    pub logins: Option<Arc<dyn Logins>>,
}

impl PullCredentials {
    /// The login for a registry, by the host name that Docker uses.
    pub(super) async fn login(&self, host: &str) -> Result<Option<RegistryLogin>> {
        let Some(logins) = &self.logins else {
            return Ok(None);
        };
        let registry = match host {
            "registry-1.docker.io" | "index.docker.io" | "https://index.docker.io/v1/" => {
                "docker.io"
            }
            host => host,
        };
        // Logins may be configured for a repository path, but the request contains only the host.
        for repository in self
            .repositories
            .iter()
            .filter(|repository| repository.registry == registry)
        {
            if let Some(login) = logins.login(repository).await? {
                return Ok(Some(login));
            }
        }
        logins
            .login(&Repository {
                registry: registry.to_owned(),
                path: String::new(),
            })
            .await
    }

    /// The registries of the images, without duplicates.
    pub(super) fn registries(&self) -> BTreeSet<&str> {
        self.repositories
            .iter()
            .map(|repository| repository.registry.as_str())
            .collect()
    }
}

impl std::fmt::Debug for PullCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pulls")
            .field("repositories", &self.repositories)
            .finish_non_exhaustive()
    }
}

/// Receives the progress of a build.
pub trait SolveListener: Send + Sync {
    /// A step starts, with the engine's name for it: `[2/4] RUN …`.
    fn step(&self, name: &str);

    /// A step was cached by the engine.
    fn step_cached(&self, name: &str);

    /// A line of a step's output.
    fn line(&self, text: &str);
}

/// Why a build failed.
#[derive(Debug)]
pub enum SolveError {
    /// A step failed.
    Step {
        /// The engine's name for the step, when it is known.
        step: Option<String>,
        /// The engine's error message.
        why: String,
    },
    /// The engine itself failed.
    Engine(Error),
}

impl Engine {
    /// Builds an image, and returns its id.
    ///
    /// # Errors
    /// `SolveError::Step` for a step that failed; `SolveError::Engine` with `EngineFailed` otherwise.
    pub async fn build(
        &self,
        request: &DockerfileRequest,
        listener: &dyn SolveListener,
    ) -> Result<Digest, SolveError> {
        match self.kind {
            EngineKind::Docker => self.build_with_buildkit(request, listener).await,
            EngineKind::Podman => self.build_with_buildah(request, listener).await,
        }
    }
}
