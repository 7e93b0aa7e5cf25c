//! Images that the backend makes: which of them it has, and whether a cluster will get exactly those.

use std::sync::Arc;

use anyhow::Result;
use tokio::sync::OnceCell;

use super::backend;
use super::context::project_domain;
use super::resolve::ResolvedImage;
use crate::flyte::client::Client;
use crate::flyte::convert::ProjectDomain;
use crate::flyte::images::{self, BuildTask};
use crate::image::reference::{BaseRef, PinnedRef};
use crate::pipeline::Reporter;
use crate::pipeline::context::{LoadedWorkspace, UnionPackage};
use crate::pipeline::options::BuildOptions;
use crate::publish::registry::Registry;

/// The backend, as the place of a package's images.
pub(crate) struct RemoteImageService {
    /// Who is asked.
    pub(crate) client: Client,
    /// In whose name.
    pub(crate) scope: ProjectDomain,
    registry: Arc<Registry>,
    task: OnceCell<BuildTask>,
}

/// An image that the backend has made.
#[derive(Clone, Debug)]
pub(crate) struct RemoteImage {
    /// Where it is, as the backend says.
    pub(crate) image: String,
    /// The same with its digest, or why that is not known.
    pub(crate) pinned: std::result::Result<PinnedRef, String>,
}

impl RemoteImageService {
    /// Nobody is asked yet.
    ///
    /// # Errors
    /// `BackendMissing`, `ProjectMissing`.
    pub(crate) fn new(
        work: &BuildOptions,
        session: &LoadedWorkspace,
        declared: &UnionPackage,
        registry: Arc<Registry>,
        reporter: &Arc<dyn Reporter>,
    ) -> Result<Self> {
        let client = backend::client(&work.scope.backend, &session.backend, false, reporter)?;
        Ok(Self { client, scope: project_domain(declared, &session.backend)?, registry, task: OnceCell::new() })
    }

    /// The task that makes images; looked for once.
    ///
    /// # Errors
    /// `BuilderMissing`; why the backend cannot say.
    pub(crate) async fn task(&self) -> Result<&BuildTask> {
        Ok(self.task.get_or_try_init(|| images::task(&self.client, &self.scope.org)).await?)
    }

    /// The image, when the backend has it.
    ///
    /// # Errors
    /// Why it cannot say.
    pub(crate) async fn find(&self, resolved: &ResolvedImage) -> Result<Option<RemoteImage>> {
        let found = images::find(&self.client, &self.scope, &name(resolved)).await?;
        Ok(match found {
            Some(image) => Some(self.standing(image).await),
            None => None,
        })
    }

    /// Asks the registry of an image for its digest.
    pub(crate) async fn standing(&self, image: String) -> RemoteImage {
        let pinned = self.pinned(&image).await;
        RemoteImage { image, pinned }
    }

    async fn pinned(&self, image: &str) -> std::result::Result<PinnedRef, String> {
        let BaseRef { repository, tag, digest } = image.parse::<BaseRef>().map_err(|cause| cause.to_string())?;
        if let Some(digest) = digest {
            return Ok(repository.pinned(digest));
        }
        let tagged = repository.tagged(tag.unwrap_or_else(|| "latest".to_owned()));
        match self.registry.digest(&tagged).await {
            Ok(Some(digest)) => Ok(repository.pinned(digest)),
            Ok(None) => Err(format!("{} has no such image for whoever asks from here", repository.registry)),
            Err(error) => Err(error.chain().join(": ")),
        }
    }
}

/// The name under which the backend knows an image.
pub(crate) fn name(resolved: &ResolvedImage) -> String {
    format!("{}:{}", resolved.spec().name.value, resolved.tag)
}
