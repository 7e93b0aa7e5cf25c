//! Environments that an engine builds: found in their registry or the local cache, or built once.
//!
//! In a registry an environment is in the repository of the image whose spec it belongs to, so that other machines find
//! it, and a change of code does not build it again.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;
use union_build::key::Key;

use crate::build::docker::{DockerBuilder, check_secrets};
use crate::build::{
    BaseImage, BuildRequest, Builder as _, CachingBuilder, ImageChain, LockedBase,
    PlatformBuildRequest, cached_image,
};
use crate::image::per_platform::PerPlatform;
use crate::image::{Image, PlatformImage};
use crate::pipeline::Reporter;
use crate::pipeline::options::BuildOptions;
use crate::pipeline::problems::Result;
use crate::pipeline::reporter::PackageSteps;
use crate::pipeline::resolve::{EnvironmentPlan, ResolvedImage};
use crate::pipeline::target::OutputResolver;
use crate::publish::registry::Registry;
use crate::publish::{Existence, ImageTarget, Publisher as _};
use crate::sys::digest::Digest;
use crate::sys::words;
use crate::workspace::Workspace;

/// Creates the builder that runs the steps of a package in an engine; its logs are in the target directory.
pub(crate) fn docker_builder(
    options: &BuildOptions,
    workspace: &Workspace,
    package: &str,
    destinations: &OutputResolver,
    reporter: &Arc<dyn Reporter>,
) -> DockerBuilder {
    let cache = options.scope.cache.clone();
    let environment = options.scope.cargo.environment.clone();
    let logs = workspace.logs(package);
    let credentials = destinations.registry.clone();
    DockerBuilder::new(
        cache,
        destinations.source.clone(),
        destinations.engines.clone(),
        credentials,
        environment,
        logs,
        PackageSteps::new(package, reporter),
    )
}

/// The environments of one package.
pub(crate) struct EnvironmentStore<'a> {
    options: &'a BuildOptions,
    destinations: &'a OutputResolver,
    /// All images of the package; each environment belongs to the spec of one of them.
    resolved: &'a [ResolvedImage],
    builder: CachingBuilder<DockerBuilder>,
    reporter: &'a dyn Reporter,
    /// Environments that were found or built by this store.
    prepared: Mutex<HashMap<Key, PreparedBases>>,
}

/// The image that the layers of each platform are added to.
pub(super) type PlatformBases = PerPlatform<BaseImage>;
type PreparedBases = Arc<OnceCell<PlatformBases>>;

impl<'a> EnvironmentStore<'a> {
    /// Creates a store. Does no I/O.
    pub(crate) fn new(
        options: &'a BuildOptions,
        workspace: &'a Workspace,
        package: &str,
        destinations: &'a OutputResolver,
        resolved: &'a [ResolvedImage],
        reporter: &'a Arc<dyn Reporter>,
    ) -> Self {
        let builder = CachingBuilder::new(
            docker_builder(options, workspace, package, destinations, reporter),
            options.scope.cache.clone(),
        );
        Self {
            options,
            destinations,
            resolved,
            builder,
            reporter: &**reporter,
            prepared: Mutex::default(),
        }
    }

    /// Whether the environment of an image is in the local cache or its registry; true if it needs none.
    ///
    /// # Errors
    /// If its registry cannot be queried.
    pub(crate) async fn exists_for(&self, resolved: &ResolvedImage) -> Result<bool> {
        let Some(environment_plan) = &resolved.environment_plan else {
            return Ok(true);
        };
        Ok(
            cached_image(&self.options.scope.cache, environment_plan.key).is_some()
                || self.find(environment_plan, resolved).await?.is_some(),
        )
    }

    /// The environment of an image, if it is in its registry or the local cache; `None` also for an image without one.
    ///
    /// # Errors
    /// If its registry cannot be queried.
    pub(crate) async fn get(&self, resolved: &ResolvedImage) -> Result<Option<PlatformBases>> {
        let Some(environment_plan) = &resolved.environment_plan else {
            return Ok(None);
        };
        let found = self.find_bases(environment_plan, resolved).await?;
        let cached = || cached_image(&self.options.scope.cache, environment_plan.key);
        Ok(found.or_else(|| cached().map(made_bases)))
    }

    /// Checks, before anything is compiled, whether the environment of an image can be built.
    ///
    /// # Errors
    /// `SecretMissing`, `EngineUnreachable`.
    pub(crate) async fn preflight(&self, resolved: &ResolvedImage) -> Result<()> {
        let mut next = resolved.environment_plan.as_ref();
        while let Some(environment_plan) = next {
            check_secrets(
                &environment_plan.steps.to_vec(),
                &self.options.scope.cargo.environment,
            )?;
            next = environment_plan.start.as_deref();
        }
        let engine = self.destinations.engines.engine().await;
        engine.map(drop).map_err(|error| {
            let help = "Start Docker or podman, or remove the keys that run commands during the build: packages, commands, Python.";
            error.help(help).into()
        })
    }

    /// Finds or builds the environment of an image; `None` if it needs none.
    ///
    /// # Errors
    /// The errors of the engine, of the registry and of the checks of its steps.
    pub(crate) async fn get_or_build(
        &self,
        resolved: &ResolvedImage,
    ) -> Result<Option<PlatformBases>> {
        match &resolved.environment_plan {
            Some(environment_plan) => {
                Ok(Some(self.prepare_once(environment_plan, resolved).await?))
            }
            None => Ok(None),
        }
    }

    fn prepare_once<'b>(
        &'b self,
        environment_plan: &'b EnvironmentPlan,
        resolved: &'b ResolvedImage,
    ) -> Pin<Box<dyn Future<Output = Result<PlatformBases>> + Send + 'b>> {
        let prepared = self
            .prepared
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(environment_plan.key)
            .or_default()
            .clone();
        Box::pin(async move {
            Ok(prepared
                .get_or_try_init(|| self.find_or_build(environment_plan, resolved))
                .await?
                .clone())
        })
    }

    async fn find_or_build(
        &self,
        environment_plan: &EnvironmentPlan,
        resolved: &ResolvedImage,
    ) -> Result<PlatformBases> {
        if let Some(found) = self.find_bases(environment_plan, resolved).await? {
            return Ok(found);
        }
        let bases = match &environment_plan.start {
            Some(start) => self
                .prepare_once(start, resolved)
                .await?
                .map(|_, base| Some(base.clone())),
            None => resolved
                .bases
                .map(|_, base| base.clone().map(BaseImage::Locked)),
        };
        let image = self
            .builder
            .build(&self.build_request(environment_plan, resolved, bases))
            .await?;
        self.publish(environment_plan, resolved, &image).await?;
        Ok(made_bases(image))
    }

    /// The environment in its registry.
    async fn find_bases(
        &self,
        environment_plan: &EnvironmentPlan,
        resolved: &ResolvedImage,
    ) -> Result<Option<PlatformBases>> {
        let Some((digest, target)) = self.find(environment_plan, resolved).await? else {
            return Ok(None);
        };
        let reference = target
            .reference
            .expect("an environment is found in a registry only");
        let environment = BaseImage::Locked(LockedBase {
            repository: reference.repository,
            digest,
        });
        Ok(Some(resolved.bases.map(|_, _| environment.clone())))
    }

    fn build_request(
        &self,
        environment_plan: &EnvironmentPlan,
        resolved: &ResolvedImage,
        bases: PerPlatform<Option<BaseImage>>,
    ) -> BuildRequest {
        let platforms = bases
            .into_iter()
            .map(|(platform, base)| PlatformBuildRequest {
                tools: environment_plan
                    .tools
                    .get(&platform)
                    .cloned()
                    .unwrap_or_default(),
                ..PlatformBuildRequest::without_binaries(platform, base)
            });
        BuildRequest {
            chain: ImageChain::new(Vec::new(), environment_plan.spec().clone()),
            steps: environment_plan.steps.to_vec(),
            roots: resolved.roots().clone(),
            files: resolved.files(),
            key: environment_plan.key,
            platforms: platforms.collect(),
            interface_labels: BTreeMap::new(),
            source_date_epoch: self.options.source_date_epoch,
            // An environment has no binaries of the package.
            check: false,
        }
    }

    async fn find(
        &self,
        environment_plan: &EnvironmentPlan,
        resolved: &ResolvedImage,
    ) -> Result<Option<(Digest, ImageTarget)>> {
        let Some((publisher, target)) = self.publish_target(environment_plan, resolved) else {
            return Ok(None);
        };
        Ok(match publisher.existence(&target).await? {
            Existence::Found(digest) => Some((digest, target)),
            Existence::Missing => None,
        })
    }

    async fn publish(
        &self,
        environment_plan: &EnvironmentPlan,
        resolved: &ResolvedImage,
        image: &Image,
    ) -> Result<()> {
        let Some((publisher, target)) = self
            .publish_target(environment_plan, resolved)
            .filter(|_| !self.options.dry)
        else {
            return Ok(());
        };
        let published = publisher.publish(&target, image, false).await?;
        let sent = words::bytes(published.sent);
        self.reporter.status(
            "Published",
            &format!(
                "environment of {} {} ({sent} sent)",
                environment_plan.spec().key,
                published.location
            ),
        );
        Ok(())
    }

    /// The reference of an environment; `None` if its image is not published to a registry.
    fn publish_target(
        &self,
        environment_plan: &EnvironmentPlan,
        resolved: &ResolvedImage,
    ) -> Option<(Arc<Registry>, ImageTarget)> {
        let owner = self
            .resolved
            .iter()
            .find(|resolved| resolved.name == environment_plan.spec().key)?;
        let destination = self.destinations.resolve(owner);
        let repository = owner
            .reference()
            .filter(|_| destination.in_registry)?
            .repository;
        let target = ImageTarget {
            name: owner.spec().name.value.clone(),
            tag: environment_plan.tag(),
            reference: Some(repository.tagged(environment_plan.tag())),
            key: environment_plan.key,
            platforms: resolved.bases.platforms().cloned().collect(),
            known: None,
        };
        Some((self.destinations.registry.clone(), target))
    }
}

/// The platforms of an environment that was built on this machine.
fn made_bases(image: Image) -> PlatformBases {
    let base = |image: PlatformImage| (image.platform.clone(), BaseImage::Made(Box::new(image)));
    image.platforms.into_iter().map(base).collect()
}
