//! Images that the backend builds, and stores in its own registry.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::OnceCell;
use union_build::diag::Code;

use super::remote_progress::RemoteBuildProgress;
use super::{Delivery, ExistingImage, ImageBackend, PackedImage, PublishedImage};
use crate::build::BuildRequest;
use crate::build::remote::{RemoteBuildRequest, RemoteBuilder};
use crate::flyte::client::Client;
use crate::flyte::convert::ProjectDomain;
use crate::flyte::images::{self, BuildTask, RemoteBuild};
use crate::image::reference::{BaseRef, PinnedRef};
use crate::pipeline::Reporter;
use crate::pipeline::resolve::ResolvedImage;
use crate::publish::ImageTarget;
use crate::publish::registry::Registry;
use crate::sys::error::{Error, Result};
use crate::sys::log::Log;

/// Builds the images of a package with the Flyte backend.
#[derive(Clone)]
pub(crate) struct RemoteBackend(Arc<Connection>);

/// The clients and settings that all remote builds of a package share.
pub(crate) struct Connection {
    pub(crate) client: Client,
    /// The project and domain in which builds run.
    pub(crate) scope: ProjectDomain,
    /// Resolves the digests of built images.
    pub(crate) registry: Arc<Registry>,
    /// Packs build contexts.
    pub(crate) builder: RemoteBuilder,
    /// The directory of build logs.
    pub(crate) logs: PathBuf,
    pub(crate) reporter: Arc<dyn Reporter>,
    task: OnceCell<BuildTask>,
}

struct PackedRemoteImage {
    backend: RemoteBackend,
    image: String,
    location: String,
    request: RemoteBuildRequest,
}

impl Connection {
    /// Opens no connection yet.
    pub(crate) fn new(
        client: Client,
        scope: ProjectDomain,
        registry: Arc<Registry>,
        builder: RemoteBuilder,
        logs: PathBuf,
        reporter: Arc<dyn Reporter>,
    ) -> Self {
        Self {
            client,
            scope,
            registry,
            builder,
            logs,
            reporter,
            task: OnceCell::new(),
        }
    }

    /// The backend's task that builds images; looked up once.
    async fn task(&self) -> Result<&BuildTask> {
        self.task
            .get_or_try_init(|| images::task(&self.client, &self.scope.org))
            .await
    }
}

impl RemoteBackend {
    pub(crate) fn new(connection: Connection) -> Self {
        Self(Arc::new(connection))
    }

    /// Resolves the digest of an image that the backend has built.
    async fn existing(&self, location: String) -> ExistingImage {
        match self.pin(&location).await {
            Ok(pinned) => ExistingImage {
                location,
                digest: Some(pinned.digest),
                pinned: Some(pinned),
                unpinned: None,
            },
            Err(cause) => ExistingImage {
                location,
                digest: None,
                pinned: None,
                unpinned: Some(cause),
            },
        }
    }

    async fn pin(&self, image: &str) -> std::result::Result<PinnedRef, String> {
        let BaseRef {
            repository,
            tag,
            digest,
        } = image
            .parse::<BaseRef>()
            .map_err(|cause| cause.to_string())?;
        if let Some(digest) = digest {
            return Ok(repository.pinned(digest));
        }
        let tagged = repository.tagged(tag.unwrap_or_else(|| "latest".to_owned()));
        match self.0.registry.digest(&tagged).await {
            Ok(Some(digest)) => Ok(repository.pinned(digest)),
            Ok(None) => Err(format!(
                "{} returned not found: the image does not exist, or pulling it requires a login",
                repository.registry
            )),
            Err(error) => Err(error.chain().join(": ")),
        }
    }
}

#[async_trait::async_trait]
impl ImageBackend for RemoteBackend {
    async fn find(&self, target: &ImageTarget) -> Result<Option<ExistingImage>> {
        let location = images::find(&self.0.client, &self.0.scope, &target.local_name()).await?;
        Ok(match location {
            Some(location) => Some(self.existing(location).await),
            None => None,
        })
    }

    async fn preflight(&self, _: &ImageTarget) -> Result<()> {
        self.0.task().await.map(drop)
    }

    async fn pack(
        &self,
        image: &ResolvedImage,
        request: &BuildRequest,
    ) -> Result<Box<dyn PackedImage>> {
        let Some(base) = &image.base else {
            let what = format!("the remote builder cannot build image `{}`", image.name);
            return Err(
                Error::new(Code::UnsupportedByBuilder, what).because("it has no base image")
            );
        };
        let request = self.0.builder.build_request(request, base).await?;
        Ok(Box::new(PackedRemoteImage {
            backend: self.clone(),
            image: image.name.clone(),
            location: location(image),
            request,
        }))
    }
}

#[async_trait::async_trait]
impl PackedImage for PackedRemoteImage {
    /// Starts a build, and waits for its end. Dropping the future aborts the run of the builder.
    async fn publish(
        self: Box<Self>,
        target: &ImageTarget,
        replace: bool,
    ) -> Result<PublishedImage> {
        let Self {
            backend,
            image,
            request,
            ..
        } = &*self;
        let connection = &*backend.0;
        let log = Log::begin(connection.logs.join(format!("{image}.log")))?;
        let progress = RemoteBuildProgress {
            image,
            client: &connection.client,
            reporter: &*connection.reporter,
            log,
        };
        let build = RemoteBuild {
            client: &connection.client,
            scope: &connection.scope,
            task: connection.task().await?,
            spec: &request.spec,
            context: request
                .context
                .as_ref()
                .map(|context| context.path().to_owned()),
            target: &target.full_name(),
            overwrite_cache: replace,
        };
        let result = images::build(&build, &progress).await?;
        let location = result
            .image
            .map_err(|outcome| progress.failure(&result.run, outcome))?;
        let existing = backend.existing(location).await;
        Ok(PublishedImage {
            existing,
            size: 0,
            code_size: result.sent,
            sent: result.sent,
            delivery: Delivery::Published,
            subjects: None,
        })
    }

    fn preview(&self) -> PublishedImage {
        let existing = ExistingImage {
            location: self.location.clone(),
            digest: None,
            pinned: None,
            unpinned: None,
        };
        PublishedImage {
            existing,
            size: 0,
            code_size: 0,
            sent: 0,
            delivery: Delivery::Packed,
            subjects: None,
        }
    }
}

/// The location of an image before it is built; without a registry of its own it has no reference yet.
pub(crate) fn location(image: &ResolvedImage) -> String {
    match image.reference() {
        Some(reference) => reference.to_string(),
        None => format!("remote:{}:{}", image.spec().name.value, image.tag),
    }
}
