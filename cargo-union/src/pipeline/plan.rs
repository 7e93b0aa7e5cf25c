//! From settings to a plan: manifests, bases, keys, and the question whether each image is there.
//!
//! `plan` shows the value that is made here; `build` acts on it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Result;
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
use crate::publish::ImageTarget;
use crate::sys::error::Error;
use crate::sys::words;
use crate::workspace::{Snapshot, UnionLock};

/// Everything that is known before anything is done.
pub(crate) struct BuildPlan {
    /// Union.lock with the bases that were resolved on the way; written by those who act.
    pub(crate) lock: UnionLock,
    /// One for each package of the session, in its order.
    pub(crate) packages: Vec<PackagePlan>,
}

/// What is known of one package.
pub(crate) struct PackagePlan {
    /// All its images with their keys, chosen or not: each binary embeds all references.
    pub(crate) resolved: Vec<ResolvedImage>,
    /// The images that were chosen.
    pub(crate) images: Vec<ImagePlan>,
    /// What earlier builds made.
    pub(crate) results: BuildState,
    /// What its crate includes.
    pub(crate) references: References,
    /// Where its bases come from and its images go.
    pub(crate) destinations: OutputResolver,
}

impl PackagePlan {
    /// The chosen images that are not there.
    pub(crate) fn missing(&self) -> impl Iterator<Item = &ImagePlan> {
        self.images.iter().filter(|image| image.planned.action != ImageAction::Reuse)
    }

    /// Images that are there already.
    pub(crate) fn existing(&self) -> impl Iterator<Item = &ImagePlan> {
        self.images.iter().filter(|image| image.planned.action == ImageAction::Reuse)
    }
}

/// What is known of one chosen image.
pub(crate) struct ImagePlan {
    /// Its inputs and keys.
    pub(crate) resolved: ResolvedImage,
    /// Under which name it is published.
    pub(crate) target: ImageTarget,
    /// Where.
    pub(crate) destination: PublishTarget,
    /// What is going to happen.
    pub(crate) planned: PlannedImage,
    /// What is at its place; `None` also with `--rebuild`, which does not ask.
    pub(crate) existing: Option<ExistingImage>,
}

impl BuildPlan {
    /// Computes a plan. Writes nothing.
    ///
    /// # Errors
    /// Problems of manifests; what a registry says; `UnionLockStale`.
    pub(crate) async fn compute(
        work: &BuildOptions,
        session: &LoadedWorkspace,
        snapshot: &Snapshot<'_>,
        reporter: &Arc<dyn Reporter>,
    ) -> Result<Self> {
        check_tasks(session, &work.tasks)?;
        let mut lock = UnionLock::load(&session.workspace.root)?;
        let mut resolved = Vec::new();
        for declared in &session.packages {
            resolved.push(ResolvedPackage::find(work, session, declared, snapshot, &mut lock, reporter).await?);
        }
        let packages = try_join_all(resolved.into_iter().map(|known| known.find_images(work, session, reporter))).await?;
        work.scope.cache.keep_measured();
        Ok(Self { lock, packages })
    }

    /// What is going to happen, image by image.
    pub(crate) fn images(&self) -> impl Iterator<Item = &PlannedImage> {
        self.packages.iter().flat_map(|package| package.images.iter().map(|image| &image.planned))
    }
}

/// Computes the plan of one package with what the lock holds.
///
/// # Errors
/// Problems of manifests; what a registry says; `UnionLockStale`.
pub(crate) async fn plan(
    work: &BuildOptions,
    session: &LoadedWorkspace,
    declared: &UnionPackage,
    snapshot: &Snapshot<'_>,
    lock: &mut UnionLock,
    reporter: &Arc<dyn Reporter>,
) -> Result<PackagePlan> {
    ResolvedPackage::find(work, session, declared, snapshot, lock, reporter).await?.find_images(work, session, reporter).await
}

/// What is known of a package before anybody is asked whether its images are there.
struct ResolvedPackage<'a> {
    declared: &'a UnionPackage,
    resolved: Vec<ResolvedImage>,
    destinations: OutputResolver,
}

impl<'a> ResolvedPackage<'a> {
    async fn find(
        work: &BuildOptions,
        session: &LoadedWorkspace,
        declared: &'a UnionPackage,
        snapshot: &Snapshot<'_>,
        lock: &mut UnionLock,
        reporter: &Arc<dyn Reporter>,
    ) -> Result<Self> {
        let destinations = OutputResolver::new(work, session, declared, reporter)?;
        let policy = LockMode::from_options(work);
        cuda::check(&declared.spec, lock, &destinations.registry, policy).await?;
        let ask = ResolveContext { source: &destinations.source, cache: &work.scope.cache, policy, checks: work.check };
        let hashing = reporter.busy("Hashing", &format!("the inputs of {}", declared.package.name));
        let resolved = resolve::compute(declared, &session.workspace, snapshot, lock, &ask).await?;
        drop(hashing);
        let unmatched: BTreeSet<&String> =
            resolved.iter().filter_map(|resolved| resolved.code.as_ref()).flat_map(|code| &code.inputs.unmatched).collect();
        for pattern in unmatched {
            reporter.warning(&format!("{pattern}\n  = help: correct the pattern, or remove it"));
        }
        Ok(Self { declared, resolved, destinations })
    }

    async fn find_images(self, work: &BuildOptions, session: &LoadedWorkspace, reporter: &Arc<dyn Reporter>) -> Result<PackagePlan> {
        let Self { declared, resolved, destinations } = self;
        let workspace = &session.workspace;
        let results = BuildState::load(&workspace.target_directory, &declared.package.name, &declared.package.folder);
        let chosen: Vec<&ResolvedImage> = resolved.iter().filter(|resolved| is_chosen(declared, &resolved.name, &work.tasks)).collect();
        destinations.check(&chosen, work)?;
        let environments = EnvironmentStore::new(work, workspace, &declared.package.name, &destinations, &resolved, reporter);
        let planned = chosen
            .into_iter()
            .map(|resolved| image(declared, resolved, &destinations, &environments, results.images.get(&resolved.name), work));
        let images = try_join_all(planned).await?;
        let references = references(declared, &resolved);
        Ok(PackagePlan { images, results, references, destinations, resolved })
    }
}

async fn image(
    declared: &UnionPackage,
    resolved: &ResolvedImage,
    destinations: &OutputResolver,
    environments: &EnvironmentStore<'_>,
    record: Option<&BuildRecord>,
    work: &BuildOptions,
) -> Result<ImagePlan> {
    let destination = destinations.resolve(resolved);
    // A record speaks of this place only when it names it.
    let record_here = record.filter(|record| record.location == destination.location);
    let target = ImageTarget {
        name: resolved.spec().name.value.clone(),
        tag: resolved.tag.clone(),
        reference: resolved.reference(),
        key: resolved.key,
        platforms: resolved.bases.platforms().cloned().collect(),
        known: record_here.filter(|record| record.key == resolved.key.to_string()).and_then(|record| record.digest),
    };
    let existing = if work.rebuild { None } else { destination.backend.find(&target).await? };
    let is_reused = existing.is_some();
    let action = decide_action(&ActionFacts {
        is_reused,
        // Nobody asks for the environment of an image that is reused.
        environment_exists: is_reused || environments.exist(resolved).await?,
        is_same_key: record.is_some_and(|record| record.key == resolved.key.to_string()),
        is_remote: resolved.is_remote(),
        is_environment_known: resolved.made.is_some()
            || record.is_some_and(|record| record.environment == resolved.environment.to_string()),
    });
    if action != ImageAction::Reuse {
        variables::check(resolved, &*destinations.source).await?;
    }
    let location = existing.as_ref().map_or(&destination.location, |existing| &existing.location);
    let planned = PlannedImage {
        package: declared.package.name.clone(),
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
        moves: moves(resolved, action, record, &*destinations.source).await?,
    };
    Ok(ImagePlan { resolved: resolved.clone(), target, destination, planned, existing })
}

/// What decides on what happens to an image.
struct ActionFacts {
    /// It is there, and nobody wants it made again.
    is_reused: bool,
    /// Its environment is there, or none is made.
    environment_exists: bool,
    /// The last image of this name has the same key.
    is_same_key: bool,
    /// The backend makes it: all of it, or nothing.
    is_remote: bool,
    /// Its environment is an image of its own, or that of the last image of this name.
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

/// Base layers move only with an environment that this place may not have seen.
async fn moves(
    resolved: &ResolvedImage,
    action: ImageAction,
    record: Option<&BuildRecord>,
    source: &dyn BaseSource,
) -> Result<TransferEstimate> {
    let code_about = record.map(|record| record.code_size).filter(|size| *size > 0 && action != ImageAction::Reuse);
    // The backend has its bases from their registries.
    if action != ImageAction::BuildEnvironment || resolved.is_remote() {
        return Ok(TransferEstimate { base_at_most: None, code_about });
    }
    let mut base = 0;
    for locked in resolved.bases.values().flatten() {
        let raw = source.manifest(&locked.repository, &locked.digest.to_string()).await?;
        if let manifest::BaseManifest::Image(image) = manifest::read(&locked.repository.to_string(), &raw)? {
            base = image.layers.iter().fold(base, |base: u64, layer| base.saturating_add(layer.size));
        }
    }
    Ok(TransferEstimate { base_at_most: Some(base), code_about })
}

fn references(declared: &UnionPackage, resolved: &[ResolvedImage]) -> References {
    let images = resolved.iter().map(|resolved| Reference {
        key: resolved.name.clone(),
        name: resolved.spec().name.value.clone(),
        repository: resolved.reference().map(|reference| reference.repository.to_string()),
        tag: Some(resolved.tag.clone()),
        id: Some(resolved.key.to_string()),
    });
    let tasks: BTreeMap<String, String> = declared.spec.tasks.iter().map(|(name, task)| (name.clone(), task.image.value.clone())).collect();
    References { package: declared.package.name.clone(), images: images.collect(), tasks }
}

/// Refuses tasks that no chosen package has.
///
/// # Errors
/// `UnknownTask`.
pub(crate) fn check_tasks(session: &LoadedWorkspace, tasks: &[String]) -> Result<()> {
    let declared = || session.packages.iter().flat_map(|declared| declared.spec.tasks.keys());
    for task in tasks {
        if !declared().any(|name| name == task) {
            let error = Error::new(Code::UnknownTask, format!("there is no task `{task}` in the chosen packages"));
            let meant = nearest(task, declared().map(String::as_str)).map(|meant| format!("Did you mean `{meant}`? ")).unwrap_or_default();
            return Err(error.help(format!("{meant}Declared tasks: {}.", words::list(declared()))).into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_to_an_image_follows_from_five_facts() {
        use ImageAction::{Append, BuildEnvironment, Push, Reuse};
        for (is_reused, environment_exists, is_same_key, is_remote, is_environment_known, action) in [
            (true, true, true, false, true, Reuse),
            (true, false, false, true, false, Reuse),
            (false, false, true, false, true, BuildEnvironment),
            (false, true, true, false, false, Push),
            (false, true, true, true, true, Push),
            (false, true, false, false, true, Append),
            (false, true, false, true, true, BuildEnvironment),
            (false, true, false, false, false, BuildEnvironment),
        ] {
            let facts = ActionFacts { is_reused, environment_exists, is_same_key, is_remote, is_environment_known };
            assert_eq!(decide_action(&facts), action, "{is_reused} {environment_exists} {is_same_key} {is_remote} {is_environment_known}");
        }
    }
}
