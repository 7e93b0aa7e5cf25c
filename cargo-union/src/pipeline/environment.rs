//! Environments that an engine makes: found in their registry, remembered, or built, each once.
//!
//! In a registry an environment stands beside the images of the spec that it belongs to, so that
//! another machine finds it and a code edit never makes it again.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use tokio::sync::OnceCell;
use union_build::key::Key;

use crate::build::docker::{DockerBuilder, check_secrets};
use crate::build::{BaseImage, BuildRequest, Builder as _, CachingBuilder, ImageChain, LockedBase, PlatformBuildRequest, is_remembered};
use crate::image::Image;
use crate::image::per_platform::PerPlatform;
use crate::pipeline::Reporter;
use crate::pipeline::options::BuildOptions;
use crate::pipeline::resolve::{EnvironmentPlan, ResolvedImage};
use crate::pipeline::target::OutputResolver;
use crate::publish::registry::Registry;
use crate::publish::{Existence, ImageTarget, Publisher as _};
use crate::sys::digest::Digest;
use crate::sys::words;
use crate::workspace::Workspace;

/// The builder of a package whose steps run in an engine; its logs go below the target folder.
pub(crate) fn docker_builder(
    work: &BuildOptions,
    workspace: &Workspace,
    package: &str,
    destinations: &OutputResolver,
    reporter: &Arc<dyn Reporter>,
) -> DockerBuilder {
    let (cache, environment) = (work.scope.cache.clone(), work.scope.cargo.environment.clone());
    let logs = workspace.logs(package);
    let logins = destinations.registry.clone();
    DockerBuilder::new(cache, destinations.source.clone(), destinations.engines.clone(), logins, environment, logs, reporter.clone())
}

/// The environments of one package.
pub(crate) struct EnvironmentStore<'a> {
    work: &'a BuildOptions,
    destinations: &'a OutputResolver,
    /// All images of the package: an environment belongs to one of them.
    resolved: &'a [ResolvedImage],
    builder: CachingBuilder<DockerBuilder>,
    reporter: &'a dyn Reporter,
    ready: Mutex<HashMap<Key, PreparedBases>>,
}

/// What an image starts from, for each of its platforms.
type PlatformBases = PerPlatform<BaseImage>;
type PreparedBases = Arc<OnceCell<PlatformBases>>;

impl<'a> EnvironmentStore<'a> {
    /// Nothing is done yet.
    pub(crate) fn new(
        work: &'a BuildOptions,
        workspace: &'a Workspace,
        package: &str,
        destinations: &'a OutputResolver,
        resolved: &'a [ResolvedImage],
        reporter: &'a Arc<dyn Reporter>,
    ) -> Self {
        let builder = CachingBuilder::new(docker_builder(work, workspace, package, destinations, reporter), work.scope.cache.clone());
        Self { work, destinations, resolved, builder, reporter: &**reporter, ready: Mutex::default() }
    }

    /// Whether everything that an image needs of an engine is there.
    ///
    /// # Errors
    /// When its registry cannot say.
    pub(crate) async fn exist(&self, resolved: &ResolvedImage) -> Result<bool> {
        let Some(made) = &resolved.made else { return Ok(true) };
        Ok(is_remembered(&self.work.scope.cache, made.key) || self.find(made, resolved).await?.is_some())
    }

    /// Finds out, before anything is done, what would keep an environment from being made.
    ///
    /// # Errors
    /// `SecretMissing`, `EngineUnreachable`.
    pub(crate) async fn prepare(&self, resolved: &ResolvedImage) -> Result<()> {
        let mut next = resolved.made.as_ref();
        while let Some(made) = next {
            check_secrets(&made.steps.to_vec(), &self.work.scope.cargo.environment)?;
            next = made.start.as_deref();
        }
        let reached = self.destinations.engines.engine().await;
        reached.map(drop).map_err(|error| {
            let help = "Start Docker or podman, or leave out what has to run while the image is made: packages, commands, Python.";
            error.help(help).into()
        })
    }

    /// What an image starts from; `None` when no engine has to do with it.
    ///
    /// # Errors
    /// What building and publishing end with.
    pub(crate) async fn get_or_build(&self, resolved: &ResolvedImage) -> Result<Option<PlatformBases>> {
        match &resolved.made {
            Some(made) => Ok(Some(self.ready(made, resolved).await?)),
            None => Ok(None),
        }
    }

    fn ready<'b>(
        &'b self,
        made: &'b EnvironmentPlan,
        resolved: &'b ResolvedImage,
    ) -> Pin<Box<dyn Future<Output = Result<PlatformBases>> + Send + 'b>> {
        let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner).entry(made.key).or_default().clone();
        Box::pin(async move { Ok(ready.get_or_try_init(|| self.make(made, resolved)).await?.clone()) })
    }

    async fn make(&self, made: &EnvironmentPlan, resolved: &ResolvedImage) -> Result<PlatformBases> {
        if let Some((digest, target)) = self.find(made, resolved).await? {
            let reference = target.reference.expect("an environment is found in a registry only");
            let start = BaseImage::Locked(LockedBase { repository: reference.repository, digest });
            return Ok(resolved.bases.map(|_, _| start.clone()));
        }
        let below = match &made.start {
            Some(start) => self.ready(start, resolved).await?.map(|_, start| Some(start.clone())),
            None => resolved.bases.map(|_, base| base.clone().map(BaseImage::Locked)),
        };
        let image = self.builder.build(&self.recipe(made, resolved, below)).await?;
        self.publish(made, resolved, &image).await?;
        Ok(image.platforms.into_iter().map(|platform| (platform.platform.clone(), BaseImage::Made(Box::new(platform)))).collect())
    }

    fn recipe(&self, made: &EnvironmentPlan, resolved: &ResolvedImage, below: PerPlatform<Option<BaseImage>>) -> BuildRequest {
        let platforms = below.into_iter().map(|(platform, base)| PlatformBuildRequest {
            tools: made.tools.get(&platform).cloned().unwrap_or_default(),
            ..PlatformBuildRequest::without_binaries(platform, base)
        });
        BuildRequest {
            chain: ImageChain::new(Vec::new(), made.spec().clone()),
            steps: made.steps.to_vec(),
            roots: resolved.roots().clone(),
            files: resolved.files(),
            key: made.key,
            platforms: platforms.collect(),
            told: BTreeMap::new(),
            source_date_epoch: self.work.source_date_epoch,
            // It has no binaries of the package.
            check: false,
        }
    }

    async fn find(&self, made: &EnvironmentPlan, resolved: &ResolvedImage) -> Result<Option<(Digest, ImageTarget)>> {
        let Some((publisher, target)) = self.place(made, resolved) else { return Ok(None) };
        Ok(match publisher.existence(&target).await? {
            Existence::Found(digest) => Some((digest, target)),
            Existence::Missing => None,
        })
    }

    async fn publish(&self, made: &EnvironmentPlan, resolved: &ResolvedImage, image: &Image) -> Result<()> {
        let Some((publisher, target)) = self.place(made, resolved).filter(|_| !self.work.dry) else { return Ok(()) };
        let published = publisher.publish(&target, image, false).await?;
        let sent = words::bytes(published.sent);
        self.reporter.status("Published", &format!("environment of {} {} ({sent} sent)", made.spec().key, published.location));
        Ok(())
    }

    /// Where an environment stands, when it stands in a registry at all.
    fn place(&self, made: &EnvironmentPlan, resolved: &ResolvedImage) -> Option<(Arc<Registry>, ImageTarget)> {
        let owner = self.resolved.iter().find(|resolved| resolved.name == made.spec().key)?;
        let destination = self.destinations.resolve(owner);
        let repository = owner.reference().filter(|_| destination.in_registry)?.repository;
        let target = ImageTarget {
            name: owner.spec().name.value.clone(),
            tag: made.tag(),
            reference: Some(repository.tagged(made.tag())),
            key: made.key,
            platforms: resolved.bases.platforms().cloned().collect(),
            known: None,
        };
        Some((self.destinations.registry.clone(), target))
    }
}
