//! Compiling, packing and publishing what a plan says is missing.

mod compiling;
pub(super) mod describing;
pub(super) mod environments;
mod ordering;
mod publishing;
mod recording;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use futures_util::future::{try_join, try_join_all};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::planning::bases::Policy;
use super::planning::keys::{Ask, Keyed};
use super::planning::results::Record;
use super::planning::{ImagePlan, PackagePlan, Planning};
use super::session::{Declared, Session};
use crate::base::error::Error;
use crate::base::process::Command;
use crate::build::{LockedBase, PlatformRecipe, Recipe, Start};
use crate::image::plan::{Action, Planned};
use crate::image::platform::Platform;
use crate::settings::Work;
use crate::ui::Ui;
use crate::workspace::{Handover, Snapshot, UnionLock, Workspace};
use compiling::{Choosing, Executables, Methods};
use describing::Descriptions;
use environments::{Environments, docker_builder};
use publishing::{Builders, Content, Fresh, prepare, pullable};
use recording::found;

/// What was built of a package.
pub(super) struct Built {
    /// What had been planned.
    pub(super) plan: PackagePlan,
    /// The chosen images, in the plan's order.
    pub(super) images: Vec<Made>,
}

/// An image that is there now.
pub(super) struct Made {
    /// What had been planned.
    pub(super) planned: Planned,
    /// What is known of it.
    pub(super) record: Record,
    /// Bytes that were sent; 0 when nothing was.
    pub(super) sent: u64,
    /// Whether another process had published the same key in the meantime.
    pub(super) adopted: bool,
}

/// Does what a plan says, package by package in the order of the session. A dry run stops before
/// anything is sent, and remembers nothing.
///
/// # Errors
/// What compiling, packing and publishing end with.
pub(super) async fn build(
    work: &Work,
    session: &Session,
    snapshot: &Snapshot<'_>,
    mut planning: Planning,
    ui: &Arc<Ui>,
) -> Result<Vec<Built>> {
    let acts = planning.images().any(|image| image.action != Action::Reuse);
    let revision = if acts { revision(work, &session.workspace).await } else { None };
    let of = |declared| Package { work, session, snapshot, declared, revision: revision.as_deref(), ui };
    let mut ready = Vec::new();
    for (declared, plan) in session.packages.iter().zip(&planning.packages) {
        let package = of(declared);
        let kept = package.kept(plan).await?;
        let methods = package.choose(plan, &kept, &mut planning.lock).await?;
        ready.push((package, kept, methods));
    }
    if !work.dry {
        planning.lock.save(work.scope.cargo.is_locked())?;
    }
    let mut packages = Vec::new();
    for ((package, kept, methods), plan) in ready.into_iter().zip(planning.packages) {
        let images = package.build(&plan, kept, &methods).await?;
        packages.push(Built { plan, images });
    }
    work.scope.cache.sweep(work.scope.cache_limit)?;
    Ok(packages)
}

/// What is known of the interfaces of images, by their names.
type Kept = BTreeMap<String, Descriptions>;

/// One package and all that its build needs.
pub(super) struct Package<'a> {
    pub(super) work: &'a Work,
    pub(super) session: &'a Session,
    pub(super) snapshot: &'a Snapshot<'a>,
    pub(super) declared: &'a Declared,
    pub(super) revision: Option<&'a str>,
    pub(super) ui: &'a Arc<Ui>,
}

/// What compiling and packing have come to, by the names of the images.
#[derive(Default)]
struct Outcome<'a> {
    published: BTreeMap<&'a str, Fresh>,
    described: BTreeMap<&'a str, Descriptions>,
}

impl Package<'_> {
    /// Does what the plan says. The hand-over is in place while cargo runs, and stays only when
    /// everything was published.
    async fn build(&self, plan: &PackagePlan, kept: Kept, methods: &Methods) -> Result<Vec<Made>> {
        let missing: Vec<&ImagePlan> = plan.missing().collect();
        let silent: Vec<&ImagePlan> = self.silent(plan, &kept).collect();
        let environments = self.environments(plan);
        let to_make = missing.iter().filter(|image| image.planned.action == Action::BuildEnvironment && image.keyed.made.is_some());
        try_join_all(to_make.map(|image| environments.prepare(&image.keyed))).await?;
        if !self.work.dry {
            try_join_all(missing.iter().map(|image| prepare(image))).await?;
        }
        let mut handover = self.hand_over(plan).await?;
        let Outcome { mut published, mut described } = self.make(plan, &missing, &silent, &environments, methods).await?;
        if !self.work.dry {
            handover.commit();
        }
        let mut results = plan.results.clone();
        let (mut made, mut without_digest) = (Vec::new(), Vec::new());
        for image in &plan.images {
            let name = &image.keyed.name;
            let known = plan.results.images.get(name);
            let Fresh { mut record, sent, adopted, unpinned } = published.remove(name.as_str()).unwrap_or_else(|| {
                self.ui.status("Unchanged", format!("{name} {}", image.planned.destination));
                let unpinned = image.standing.as_ref().and_then(|standing| ordering::unpinned(name, standing));
                Fresh { record: found(image, known), sent: 0, adopted: false, unpinned }
            });
            without_digest.extend(unpinned);
            let said = [described.remove(name.as_str()), kept.get(name).cloned()];
            record.interfaces.extend(said.into_iter().flatten().flatten());
            // A copy in a file or an engine does not make one forget where the image can be pulled.
            let pullable = known.filter(|known| record.pinned.is_none() && known.pinned.is_some() && known.key == record.key);
            results.images.insert(name.clone(), pullable.cloned().unwrap_or_else(|| record.clone()));
            made.push(Made { planned: image.planned.clone(), record, sent, adopted });
        }
        results.images.retain(|name, _| self.declared.spec.images.contains_key(name));
        if results != plan.results && !self.work.dry {
            results.save()?;
        }
        self.check_pinned(without_digest)?;
        Ok(made)
    }

    /// Refuses images without a digest, for a tag may be moved by others; or warns of them, as the user wants it.
    fn check_pinned(&self, without_digest: Vec<Error>) -> Result<()> {
        for error in without_digest {
            if !self.work.allow_unpinned {
                return Err(error.into());
            }
            self.ui.warning(format!("[{}] {}\n  = help: log in to its registry", error.code(), error.chain().join(": ")));
        }
        Ok(())
    }

    /// What is known of the interfaces of images that are there: from the last results, or from their
    /// labels. Nobody asks unless tasks are registered.
    async fn kept(&self, plan: &PackagePlan) -> Result<Kept> {
        let mut kept = Kept::new();
        for image in plan.there().filter(|_| self.work.describe) {
            let name = &image.keyed.name;
            let known = plan.results.images.get(name).map(|record| found(image, Some(record)).interfaces);
            kept.insert(name.clone(), known.unwrap_or_default());
            if let (false, Some(pinned)) = (self.is_described(image, &kept), pullable(image)) {
                kept.insert(name.clone(), describing::kept(&*plan.destinations.source, &pinned).await?);
            }
        }
        Ok(kept)
    }

    /// Whether all that has to be known of an image's interfaces is known.
    fn is_described(&self, image: &ImagePlan, kept: &Kept) -> bool {
        let wanted = describing::wanted(&self.declared.spec, &image.keyed.name);
        let known = kept.get(&image.keyed.name);
        !self.work.describe || wanted.iter().all(|binary| known.is_some_and(|known| known.contains_key(*binary)))
    }

    /// Images that are there, and whose binaries must be compiled to be asked for their interfaces.
    fn silent<'a>(&'a self, plan: &'a PackagePlan, kept: &'a Kept) -> impl Iterator<Item = &'a ImagePlan> {
        plan.there().filter(|image| !self.is_described(image, kept) && describing::can_ask(&image.keyed))
    }

    /// With what the code of the package is compiled.
    async fn choose(&self, plan: &PackagePlan, kept: &Kept, lock: &mut UnionLock) -> Result<Methods> {
        let Package { work, session, snapshot, ui, .. } = *self;
        let needed: Vec<&Keyed> = plan.missing().chain(self.silent(plan, kept)).map(|image| &image.keyed).collect();
        let builder = docker_builder(work, &session.workspace, &self.declared.package.name, &plan.destinations, ui);
        let ask = Ask { source: &plan.destinations.source, cache: &work.scope.cache, policy: Policy::of(work) };
        let choosing = Choosing { work, session, snapshot, ask, builder: Arc::new(builder), ui };
        choosing.choose(&plan.keyed, &needed, lock).await
    }

    fn environments<'a>(&'a self, plan: &'a PackagePlan) -> Environments<'a> {
        let (workspace, package) = (&self.session.workspace, &self.declared.package.name);
        Environments::new(self.work, workspace, package, &plan.destinations, &plan.keyed, self.ui)
    }

    async fn hand_over(&self, plan: &PackagePlan) -> Result<Handover> {
        let (workspace, package) = (&self.session.workspace, &self.declared.package);
        let path = union_build::handover::path(&workspace.target_directory, &package.name, &package.folder);
        // Another run may hold the lock for long: whoever waits here can still be interrupted.
        let (waiting, ui) = (workspace.clone(), self.ui.clone());
        let begun = tokio::task::spawn_blocking(move || Handover::begin(&waiting, &*ui));
        let mut handover = begun.await.expect("waiting for a lock does not panic")?;
        handover.write(&path, plan.references.to_json().as_bytes())?;
        Ok(handover)
    }

    /// Compiles, packs and publishes what is missing, and compiles what is there but silent about its
    /// interfaces: nothing is published before everything is packed and every input has been looked at
    /// again.
    async fn make<'a>(
        &self,
        plan: &'a PackagePlan,
        missing: &[&'a ImagePlan],
        silent: &[&'a ImagePlan],
        environments: &Environments<'_>,
        methods: &Methods,
    ) -> Result<Outcome<'a>> {
        if missing.is_empty() && silent.is_empty() {
            return Ok(Outcome::default());
        }
        let keyed: Vec<&'a Keyed> = missing.iter().map(|image| &image.keyed).collect();
        let needed: Vec<&'a Keyed> = missing.iter().chain(silent).map(|image| &image.keyed).collect();
        let compiled = compiling::run(self, &plan.keyed, &needed, &plan.references, methods);
        // The engine works while the compiler does.
        let starts = try_join_all(keyed.iter().map(|keyed| environments.of(keyed)));
        let (executables, starts) = try_join(compiled, starts).await?;
        let mut described = BTreeMap::new();
        for keyed in &needed {
            let said = describing::ask(self, keyed, &executables).await?;
            described.insert(keyed.name.as_str(), said);
        }
        let builders = Builders::new(self, plan);
        let recipes: Vec<Recipe> = keyed
            .iter()
            .zip(starts)
            .map(|(keyed, starts)| self.recipe(keyed, starts, &executables, &described[keyed.name.as_str()]))
            .collect();
        let packing = keyed.iter().zip(&recipes).map(|(keyed, recipe)| builders.pack(keyed, recipe));
        let packed = stream::iter(packing).buffered(self.work.jobs).try_collect::<Vec<Content>>();
        // A workspace keeps the text of its manifests: it is read anew as well, while cores pack.
        let reloaded = async { Ok(Workspace::load(&self.work.scope.cargo, self.work.scope.manifest_path.as_deref()).await?) };
        let (contents, now) = try_join(packed, reloaded).await?;
        let again = Snapshot::take(&self.work.scope.cargo, &now, &self.work.scope.cache, &**self.ui).await?;
        let package = now.package(&self.declared.package.name).unwrap_or(&self.declared.package);
        needed.iter().try_for_each(|keyed| keyed.check_unmoved(package, &again))?;
        let publishing = missing.iter().zip(contents).map(|(image, content)| self.publish(image, content));
        let published = stream::iter(publishing).buffer_unordered(self.work.jobs).try_collect().await?;
        Ok(Outcome { published, described })
    }

    fn recipe(&self, keyed: &Keyed, starts: Option<Vec<Start>>, executables: &Executables<'_>, described: &Descriptions) -> Recipe {
        let base = |position: usize, base: &Option<LockedBase>| match &starts {
            Some(starts) => Some(starts[position].clone()),
            None => base.clone().map(Start::Locked),
        };
        let platform = |(position, (platform, locked)): (usize, &(Platform, Option<LockedBase>))| PlatformRecipe {
            platform: platform.clone(),
            base: base(position, locked),
            tools: BTreeMap::new(),
            executables: executables.of(keyed, position),
        };
        Recipe {
            chain: keyed.chain.clone(),
            steps: keyed.left.clone(),
            roots: keyed.roots().clone(),
            key: keyed.key,
            platforms: keyed.bases.iter().enumerate().map(platform).collect(),
            told: describing::labels(described),
            source_date_epoch: self.work.source_date_epoch,
            check: self.work.check,
        }
    }
}

/// The git revision of the workspace, when there is one.
async fn revision(work: &Work, workspace: &Workspace) -> Option<String> {
    let mut git = Command::new("git", &workspace.root, &work.scope.cargo.environment);
    git.args(["rev-parse", "HEAD"]);
    let stdout = git.output().await.ok()?.success().ok()?;
    Some(String::from_utf8_lossy(&stdout).trim().to_owned())
}
