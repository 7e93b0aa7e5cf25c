//! Computes a build plan: resolves all images, and checks which of the selected ones exist.
//!
//! `cargo union plan` shows the plan; [`execute`](super::execute::execute) executes it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::try_join_all;
use union_build::diag::{Code, nearest};
use union_build::handover::{Reference, References};

use super::context::{LoadedWorkspace, UnionPackage, is_chosen};
use super::environment::EnvironmentStore;
use super::resolve::bases::LockMode;
use super::resolve::{self, ResolveContext, ResolvedImage, cuda, variables};
use super::route::ExistingImage;
use super::state::{BuildRecord, BuildState};
use super::target::{OutputResolver, PublishTarget};
use crate::image::plan::{ImageAction, PlannedImage, TransferEstimate, changes};
use crate::image::{BaseSource, manifest};
use crate::pipeline::Reporter;
use crate::pipeline::options::BuildOptions;
use crate::pipeline::problems::Result;
use crate::publish::ImageTarget;
use crate::sys::error::Error;
use crate::sys::words;
use crate::workspace::{Snapshot, UnionLock};

/// What will happen to the selected images of all packages.
pub(crate) struct BuildPlan {
    /// Union.lock with newly resolved bases. Not written yet.
    pub(crate) lock: UnionLock,
    /// The plans of the packages of [`LoadedWorkspace`], in the same order.
    pub(crate) packages: Vec<PackagePlan>,
}

/// What will happen to the selected images of a package.
pub(crate) struct PackagePlan {
    /// All images of the package, selected or not: each binary embeds the references of all of them.
    pub(crate) resolved: Vec<ResolvedImage>,
    /// The selected images.
    pub(crate) images: Vec<ImagePlan>,
    /// The results of earlier builds.
    pub(crate) results: BuildState,
    /// The references that the binaries of the package embed.
    pub(crate) references: References,
    /// Where bases are pulled from, and where images are published.
    pub(crate) destinations: OutputResolver,
}

impl PackagePlan {
    /// The selected images that do not exist at their destination.
    pub(crate) fn missing(&self) -> impl Iterator<Item = &ImagePlan> {
        self.images
            .iter()
            .filter(|image| image.planned.action != ImageAction::Reuse)
    }

    /// The selected images that exist at their destination.
    pub(crate) fn existing(&self) -> impl Iterator<Item = &ImagePlan> {
        self.images
            .iter()
            .filter(|image| image.planned.action == ImageAction::Reuse)
    }
}

/// What will happen to a selected image.
pub(crate) struct ImagePlan {
    pub(crate) resolved: ResolvedImage,
    /// The name, tag and key under which it is published.
    pub(crate) target: ImageTarget,
    /// The backend that builds and publishes it.
    pub(crate) destination: PublishTarget,
    /// The part that is shown.
    pub(crate) planned: PlannedImage,
    /// The image at its destination; with `--rebuild` always `None`, since it is not looked up.
    pub(crate) existing: Option<ExistingImage>,
}

impl ImagePlan {
    /// Whether publishing it sends it over the network: to a registry, or to the backend's builder.
    pub(crate) fn is_sent(&self) -> bool {
        self.destination.in_registry || self.resolved.is_remote()
    }
}

impl BuildPlan {
    /// Computes the plan of all packages. Writes nothing.
    ///
    /// # Errors
    /// `ManifestProblems`, `UnknownTask`, `UnionLockStale`; errors of registries and of the backend.
    pub(crate) async fn compute(
        options: &BuildOptions,
        loaded: &LoadedWorkspace,
        snapshot: &Snapshot<'_>,
        reporter: &Arc<dyn Reporter>,
    ) -> Result<Self> {
        check_tasks(loaded, &options.tasks)?;
        let mut lock = UnionLock::load(&loaded.workspace.root)?;
        let mut resolved = Vec::new();
        for package in &loaded.packages {
            let package =
                ResolvedPackage::resolve(options, loaded, package, snapshot, &mut lock, reporter)
                    .await?;
            package.warn_of_unmatched(reporter);
            resolved.push(package);
        }
        let packages = try_join_all(
            resolved
                .into_iter()
                .map(|package| package.plan_images(options, loaded, reporter)),
        )
        .await?;
        options.scope.cache.keep_measured();
        Ok(Self { lock, packages })
    }

    /// The selected images of all packages.
    pub(crate) fn images(&self) -> impl Iterator<Item = &PlannedImage> {
        self.packages
            .iter()
            .flat_map(|package| package.images.iter().map(|image| &image.planned))
    }
}

/// Computes the plan of one package.
///
/// # Errors
/// Those of [`BuildPlan::compute`].
pub(crate) async fn plan(
    options: &BuildOptions,
    loaded: &LoadedWorkspace,
    package: &UnionPackage,
    snapshot: &Snapshot<'_>,
    lock: &mut UnionLock,
    reporter: &Arc<dyn Reporter>,
) -> Result<PackagePlan> {
    ResolvedPackage::resolve(options, loaded, package, snapshot, lock, reporter)
        .await?
        .plan_images(options, loaded, reporter)
        .await
}

/// A package whose images have keys and tags, before it is checked which of them exist.
pub(super) struct ResolvedPackage<'a> {
    pub(super) package: &'a UnionPackage,
    pub(super) resolved: Vec<ResolvedImage>,
    pub(super) destinations: OutputResolver,
}

impl<'a> ResolvedPackage<'a> {
    pub(super) async fn resolve(
        options: &BuildOptions,
        loaded: &LoadedWorkspace,
        package: &'a UnionPackage,
        snapshot: &Snapshot<'_>,
        lock: &mut UnionLock,
        reporter: &Arc<dyn Reporter>,
    ) -> Result<Self> {
        let destinations = OutputResolver::new(options, loaded, package, reporter)?;
        let policy = LockMode::from_options(options);
        cuda::check(&package.spec, lock, &destinations.registry, policy).await?;
        let context = ResolveContext {
            source: &destinations.source,
            cache: &options.scope.cache,
            policy,
            checks: options.check,
        };
        let hashing = reporter.busy("Hashing", &format!("the inputs of {}", package.name()));
        let resolved =
            resolve::compute(package, &loaded.workspace, snapshot, lock, &context).await?;
        drop(hashing);
        Ok(Self {
            package,
            resolved,
            destinations,
        })
    }

    /// Warns of patterns of `inputs` that match no file.
    fn warn_of_unmatched(&self, reporter: &Arc<dyn Reporter>) {
        let unmatched: BTreeSet<&String> = self
            .resolved
            .iter()
            .filter_map(|resolved| resolved.code.as_ref())
            .flat_map(|code| &code.inputs.unmatched)
            .collect();
        for pattern in unmatched {
            reporter.warning(&format!(
                "{pattern}\n  = help: correct the pattern, or remove it"
            ));
        }
    }

    async fn plan_images(
        self,
        options: &BuildOptions,
        loaded: &LoadedWorkspace,
        reporter: &Arc<dyn Reporter>,
    ) -> Result<PackagePlan> {
        let Self {
            package,
            resolved,
            destinations,
        } = self;
        let workspace = &loaded.workspace;
        let results = BuildState::load(
            &workspace.target_directory,
            package.name(),
            &package.package.directory,
        );
        let selected: Vec<&ResolvedImage> = resolved
            .iter()
            .filter(|resolved| is_chosen(package, &resolved.name, &options.tasks))
            .collect();
        destinations.check(&selected, options)?;
        let environments = EnvironmentStore::new(
            options,
            workspace,
            package.name(),
            &destinations,
            &resolved,
            reporter,
        );
        let planning = selected.into_iter().map(|resolved| {
            plan_image(
                package,
                resolved,
                &destinations,
                &environments,
                results.images.get(&resolved.name),
                options,
            )
        });
        let images = try_join_all(planning).await?;
        let references = references(package, &resolved);
        Ok(PackagePlan {
            images,
            results,
            references,
            destinations,
            resolved,
        })
    }
}

async fn plan_image(
    package: &UnionPackage,
    resolved: &ResolvedImage,
    destinations: &OutputResolver,
    environments: &EnvironmentStore<'_>,
    record: Option<&BuildRecord>,
    options: &BuildOptions,
) -> Result<ImagePlan> {
    let destination = destinations.resolve(resolved);
    // The record may be of another destination.
    let record_here = record.filter(|record| record.location == destination.location);
    let target = ImageTarget {
        name: resolved.spec().name.value.clone(),
        tag: resolved.tag.clone(),
        reference: resolved.reference(),
        key: resolved.key,
        platforms: resolved.bases.platforms().cloned().collect(),
        known: record_here
            .filter(|record| record.key == resolved.key.to_string())
            .and_then(|record| record.digest),
    };
    let existing = if options.rebuild {
        None
    } else {
        destination.backend.find(&target).await?
    };
    let is_reused = existing.is_some();
    let action = decide_action(&ActionFacts {
        is_reused,
        // The environment of a reused image is not looked up.
        environment_exists: is_reused || environments.exists_for(resolved).await?,
        is_same_key: record.is_some_and(|record| record.key == resolved.key.to_string()),
        is_remote: resolved.is_remote(),
        is_environment_known: resolved.environment_plan.is_some()
            || record
                .is_some_and(|record| record.environment == resolved.environment_key.to_string()),
    });
    if action != ImageAction::Reuse {
        variables::check(resolved, &*destinations.source).await?;
    }
    let location = existing
        .as_ref()
        .map_or(&destination.location, |existing| &existing.location);
    let planned = PlannedImage {
        package: package.name().to_owned(),
        image: resolved.name.clone(),
        destination: location.clone(),
        tag: resolved.tag.clone(),
        key: resolved.key.to_string(),
        platforms: target.platforms.clone(),
        binaries: resolved.binaries(),
        action,
        digest: existing.as_ref().and_then(|existing| existing.digest),
        changes: match (action, record) {
            (ImageAction::Reuse | ImageAction::Push, _) | (_, None) => Vec::new(),
            (_, Some(record)) => changes(&record.inputs, &resolved.shown_inputs()),
        },
        moves: estimate_transfer(resolved, action, record, &*destinations.source).await?,
    };
    Ok(ImagePlan {
        resolved: resolved.clone(),
        target,
        destination,
        planned,
        existing,
    })
}

/// What the action for an image depends on.
struct ActionFacts {
    /// The image exists, and `--rebuild` is not set.
    is_reused: bool,
    /// The environment exists, or the image needs none.
    environment_exists: bool,
    /// The last build of this image had the same key.
    is_same_key: bool,
    /// The image is built by the backend, which cannot append a layer to an environment.
    is_remote: bool,
    /// The environment is an image of its own, or was already that of the last build.
    is_environment_known: bool,
}

fn decide_action(facts: &ActionFacts) -> ImageAction {
    if facts.is_reused {
        return ImageAction::Reuse;
    }
    if !facts.environment_exists {
        return ImageAction::BuildEnvironment;
    }
    if facts.is_same_key {
        return ImageAction::Push;
    }
    if facts.is_environment_known && !facts.is_remote {
        return ImageAction::Append;
    }
    ImageAction::BuildEnvironment
}

/// Base layers are transferred only with an environment that the destination may not have.
async fn estimate_transfer(
    resolved: &ResolvedImage,
    action: ImageAction,
    record: Option<&BuildRecord>,
    source: &dyn BaseSource,
) -> Result<TransferEstimate> {
    let code_about = record
        .map(|record| record.code_size)
        .filter(|size| *size > 0 && action != ImageAction::Reuse);
    // The backend pulls bases itself.
    if action != ImageAction::BuildEnvironment || resolved.is_remote() {
        return Ok(TransferEstimate {
            base_at_most: None,
            code_about,
        });
    }
    let mut base = 0;
    for locked in resolved.bases.values().flatten() {
        let raw = source
            .manifest(&locked.repository, &locked.digest.to_string())
            .await?;
        if let manifest::BaseManifest::Image(image) =
            manifest::read(&locked.repository.to_string(), &raw)?
        {
            base = image
                .layers
                .iter()
                .fold(base, |base: u64, layer| base.saturating_add(layer.size));
        }
    }
    Ok(TransferEstimate {
        base_at_most: Some(base),
        code_about,
    })
}

fn references(package: &UnionPackage, resolved: &[ResolvedImage]) -> References {
    let images = resolved.iter().map(|resolved| Reference {
        key: resolved.name.clone(),
        name: resolved.spec().name.value.clone(),
        repository: resolved
            .reference()
            .map(|reference| reference.repository.to_string()),
        tag: Some(resolved.tag.clone()),
        id: Some(resolved.key.to_string()),
    });
    let tasks: BTreeMap<String, String> = package
        .spec
        .tasks
        .iter()
        .map(|(name, task)| (name.clone(), task.image.value.clone()))
        .collect();
    References {
        package: package.name().to_owned(),
        images: images.collect(),
        tasks,
    }
}

/// Checks that every task is declared by a selected package.
///
/// # Errors
/// `UnknownTask`, with the nearest name.
pub(crate) fn check_tasks(loaded: &LoadedWorkspace, tasks: &[String]) -> Result<()> {
    let names = || {
        loaded
            .packages
            .iter()
            .flat_map(|package| package.spec.tasks.keys())
    };
    for task in tasks {
        if !names().any(|name| name == task) {
            let error = Error::new(
                Code::UnknownTask,
                format!("there is no task `{task}` in the chosen packages"),
            );
            let suggestion = nearest(task, names().map(String::as_str))
                .map(|name| format!("Did you mean `{name}`? "))
                .unwrap_or_default();
            return Err(error
                .help(format!(
                    "{suggestion}Declared tasks: {}.",
                    words::list(names())
                ))
                .into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
