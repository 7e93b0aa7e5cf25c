//! `cargo union build`: compile, pack, publish what the plan says is missing.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use futures_util::future::{try_join, try_join_all};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::Serialize;

use super::compiling::{self, Executables};
use super::environments::Environments;
use super::keys::Keyed;
use super::planning::{ImagePlan, PackagePlan, Planning};
use super::results::Record;
use super::session::{Declared, Session};
use crate::base::process::Command;
use crate::build::native::NativeBuilder;
use crate::build::{Builder as _, LockedBase, PlatformRecipe, Recipe, Start};
use crate::exit::Exit;
use crate::image::Image;
use crate::image::digest::Digest;
use crate::image::plan::{Action, Planned};
use crate::image::platform::Platform;
use crate::publish::Published;
use crate::settings::Work;
use crate::ui::{self, Ui};
use crate::workspace::{Handover, Snapshot, Workspace};

#[derive(Serialize)]
struct Document {
    images: Vec<Made>,
}

#[derive(Clone, Serialize)]
struct Made {
    #[serde(flatten)]
    planned: Planned,
    location: String,
    pinned: Option<String>,
    digest: Digest,
    /// Bytes that were sent; 0 when nothing was.
    sent: u64,
    adopted: bool,
}

pub(super) async fn run(work: &Work, ui: &Arc<Ui>) -> Result<Exit> {
    let session = Session::open(&work.scope, ui).await?;
    let snapshot = Snapshot::take(&work.scope.cargo, &session.workspace, &work.scope.cache, &**ui).await?;
    let planning = Planning::compute(work, &session, &snapshot, ui).await?;
    planning.lock.save(work.scope.cargo.is_locked())?;
    let acts = planning.images().any(|image| image.action != Action::Reuse);
    let revision = if acts { revision(work, &session.workspace).await } else { None };
    let mut made = Vec::new();
    for (declared, plan) in session.packages.iter().zip(planning.packages) {
        let package = Package { work, session: &session, snapshot: &snapshot, declared, revision: revision.as_deref(), ui };
        made.extend(package.build(plan).await?);
    }
    work.scope.cache.sweep(work.scope.cache_limit)?;
    report(made, ui)?;
    Ok(Exit::Success)
}

fn report(images: Vec<Made>, ui: &Ui) -> Result<()> {
    if ui.talk().json {
        ui.document("build", &Document { images })?;
    } else {
        let line = |made: &Made| made.pinned.as_deref().unwrap_or(&made.location).to_owned() + "\n";
        ui.data(&images.iter().map(line).collect::<String>())?;
    }
    Ok(())
}

/// One package and all that its build needs.
pub(super) struct Package<'a> {
    pub(super) work: &'a Work,
    pub(super) session: &'a Session,
    pub(super) snapshot: &'a Snapshot<'a>,
    pub(super) declared: &'a Declared,
    revision: Option<&'a str>,
    pub(super) ui: &'a Arc<Ui>,
}

impl Package<'_> {
    /// Does what the plan says. The hand-over is in place while cargo runs, and stays only when
    /// everything was published.
    async fn build(&self, plan: PackagePlan) -> Result<Vec<Made>> {
        let missing: Vec<&ImagePlan> = plan.images.iter().filter(|image| image.planned.action != Action::Reuse).collect();
        let environments = self.environments(&plan);
        let to_make = missing.iter().filter(|image| image.planned.action == Action::BuildEnvironment && image.keyed.made.is_some());
        try_join_all(to_make.map(|image| environments.prepare(&image.keyed))).await?;
        try_join_all(missing.iter().map(|image| image.destination.publisher.prepare(&image.target))).await?;
        let mut handover = self.hand_over(&plan).await?;
        let published = self.make(&plan, &missing, &environments).await?;
        handover.commit();
        let mut results = plan.results.clone();
        let mut made = Vec::new();
        for image in &plan.images {
            let name = &image.keyed.name;
            let known = plan.results.images.get(name);
            let (record, sent, adopted) = match published.get(name.as_str()) {
                Some((content, published)) => (built(image, published, content, self.revision), published.sent, published.adopted),
                None => (found(image, known, self.ui), 0, false),
            };
            made.push(Made {
                planned: image.planned.clone(),
                location: record.location.clone(),
                pinned: record.pinned.clone(),
                digest: record.digest,
                sent,
                adopted,
            });
            // A copy in a file or an engine does not make one forget where the image can be pulled.
            let pullable = known.filter(|known| record.pinned.is_none() && known.pinned.is_some() && known.key == record.key);
            results.images.insert(name.clone(), pullable.cloned().unwrap_or(record));
        }
        results.images.retain(|name, _| self.declared.spec.images.contains_key(name));
        if results != plan.results {
            results.save()?;
        }
        Ok(made)
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

    /// Compiles, packs and publishes what is missing: nothing is published before everything is
    /// packed and every input has been looked at again.
    async fn make<'a>(
        &self,
        plan: &'a PackagePlan,
        missing: &[&'a ImagePlan],
        environments: &Environments<'_>,
    ) -> Result<BTreeMap<&'a str, (Image, Published)>> {
        if missing.is_empty() {
            return Ok(BTreeMap::new());
        }
        let keyed: Vec<&Keyed> = missing.iter().map(|image| &image.keyed).collect();
        let compiled = compiling::run(self, &plan.keyed, &keyed, &plan.references);
        // The engine works while the compiler does.
        let starts = try_join_all(keyed.iter().map(|keyed| environments.of(keyed)));
        let (executables, starts) = try_join(compiled, starts).await?;
        let builder = NativeBuilder::new(self.work.scope.cache.clone(), plan.destinations.source.clone(), self.ui.clone());
        let recipes: Vec<Recipe> = keyed.iter().zip(starts).map(|(keyed, starts)| self.recipe(keyed, starts, &executables)).collect();
        let packing = recipes.iter().map(|recipe| async { Ok::<_, anyhow::Error>(builder.build(recipe).await?) });
        let packed = stream::iter(packing).buffered(self.work.jobs).try_collect::<Vec<Image>>();
        // A workspace keeps the text of its manifests: it is read anew as well, while cores pack.
        let reloaded = async { Ok(Workspace::load(&self.work.scope.cargo, self.work.scope.manifest_path.as_deref()).await?) };
        let (contents, now) = try_join(packed, reloaded).await?;
        let again = Snapshot::take(&self.work.scope.cargo, &now, &self.work.scope.cache, &**self.ui).await?;
        let package = now.package(&self.declared.package.name).unwrap_or(&self.declared.package);
        keyed.iter().try_for_each(|keyed| keyed.check_unmoved(package, &now, &again))?;
        let publishing = missing.iter().zip(contents).map(|(image, content)| self.publish(image, content));
        stream::iter(publishing).buffer_unordered(self.work.jobs).try_collect().await
    }

    fn recipe(&self, keyed: &Keyed, starts: Option<Vec<Start>>, executables: &Executables<'_>) -> Recipe {
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
            workspace: self.session.workspace.root.clone(),
            key: keyed.key,
            platforms: keyed.bases.iter().enumerate().map(platform).collect(),
            source_date_epoch: self.work.source_date_epoch,
        }
    }

    async fn publish<'a>(&self, image: &'a ImagePlan, content: Image) -> Result<(&'a str, (Image, Published))> {
        let published = image.destination.publisher.publish(&image.target, &content, self.work.rebuild).await?;
        let verb = if published.adopted { "Adopted" } else { "Published" };
        self.ui.status(verb, format!("{} {} ({} sent)", image.keyed.name, published.location, ui::bytes(published.sent)));
        Ok((&image.keyed.name, (content, published)))
    }
}

fn built(image: &ImagePlan, published: &Published, content: &Image, revision: Option<&str>) -> Record {
    let layers = &content.platforms[0].layers;
    let code = layers.last().filter(|_| !image.keyed.binaries().is_empty());
    Record {
        size: layers.iter().map(|layer| layer.blob.descriptor.size).sum(),
        code_size: code.map_or(0, |layer| layer.blob.descriptor.size),
        revision: revision.map(str::to_owned),
        ..record(image, published.digest)
    }
}

/// An image that was there: what is known of it stays, and what is not is learned.
fn found(image: &ImagePlan, known: Option<&Record>, ui: &Ui) -> Record {
    ui.status("Unchanged", format!("{} {}", image.keyed.name, image.destination.location));
    let digest = image.planned.digest.expect("an image is reused only when it was found");
    let is_it = |known: &&Record| known.digest == digest && known.key == image.keyed.key.to_string();
    match known.filter(is_it) {
        Some(known) if known.location == image.destination.location => known.clone(),
        Some(known) => Record { size: known.size, code_size: known.code_size, revision: known.revision.clone(), ..record(image, digest) },
        None => record(image, digest),
    }
}

fn record(image: &ImagePlan, digest: Digest) -> Record {
    let keyed = &image.keyed;
    let in_registry = image.destination.in_registry;
    Record {
        key: keyed.key.to_string(),
        tag: keyed.tag.clone(),
        location: image.destination.location.clone(),
        pinned: keyed.reference().filter(|_| in_registry).map(|reference| reference.repository.pinned(digest).to_string()),
        digest,
        size: 0,
        code_size: 0,
        platforms: image.target.platforms.clone(),
        binaries: keyed.binaries(),
        revision: None,
        environment: keyed.environment.to_string(),
        inputs: keyed.shown_inputs(),
    }
}

/// The git revision of the workspace, when there is one.
async fn revision(work: &Work, workspace: &Workspace) -> Option<String> {
    let mut git = Command::new("git", &workspace.root, &work.scope.cargo.environment);
    git.args(["rev-parse", "HEAD"]);
    let stdout = git.output().await.ok()?.success().ok()?;
    Some(String::from_utf8_lossy(&stdout).trim().to_owned())
}
