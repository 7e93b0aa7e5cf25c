//! `cargo union build`: compile, pack, publish what the plan says is missing.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::Serialize;

use super::compiling::{self, Executables};
use super::planning::{ImagePlan, PackagePlan, Planning};
use super::results::Record;
use super::session::Declared;
use crate::base::process::Command;
use crate::build::native::NativeBuilder;
use crate::build::{Builder, PlatformRecipe, Recipe};
use crate::exit::Exit;
use crate::image::Image;
use crate::image::digest::Digest;
use crate::image::plan::{Action, Planned};
use crate::publish::Published;
use crate::settings::Work;
use crate::ui::{self, Ui};
use crate::workspace::{Handover, Workspace};

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
    let mut planning = Planning::compute(work, ui).await?;
    planning.lock.save(&planning.session.workspace.root)?;
    let revision = if planning.images().any(|image| image.action != Action::Reuse) { revision(work, &planning.session.workspace).await } else { None };
    let mut made = Vec::new();
    for (declared, package) in planning.session.packages.iter().zip(&mut planning.packages) {
        made.extend(build_package(work, &planning.session.workspace, declared, package, revision.as_deref(), ui).await?);
    }
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

/// Does for one package what its plan says. The hand-over is in place while cargo runs, and stays
/// only when everything was published.
async fn build_package(
    work: &Work,
    workspace: &Workspace,
    declared: &Declared,
    package: &mut PackagePlan,
    revision: Option<&str>,
    ui: &Arc<Ui>,
) -> Result<Vec<Made>> {
    let missing: Vec<&ImagePlan> = package.images.iter().filter(|image| image.planned.action != Action::Reuse).collect();
    try_join_all(missing.iter().map(|image| image.destination.publisher.prepare(&image.target))).await?;
    let handover = Handover::write(workspace, &declared.package, &package.references, &**ui).await?;
    let executables = compiling::compile(work, workspace, declared, package, &missing, &handover, ui).await?;
    let builder = NativeBuilder::new(work.scope.cache.clone(), package.source.clone(), ui.clone());
    let published: BTreeMap<&str, (Published, Image)> = stream::iter(missing)
        .map(|image| make(work, workspace, image, &executables, &builder, ui))
        .buffer_unordered(work.jobs)
        .try_collect()
        .await?;
    handover.commit();
    let mut made = Vec::new();
    for image in &package.images {
        let record = match published.get(image.keyed.name.as_str()) {
            Some((published, content)) => built(image, published, content, revision),
            None => found(image, package.results.images.get(&image.keyed.name), ui),
        };
        let (sent, adopted) = published.get(image.keyed.name.as_str()).map_or((0, false), |(published, _)| (published.sent, published.adopted));
        made.push(Made {
            planned: image.planned.clone(),
            location: record.location.clone(),
            pinned: record.pinned.clone(),
            digest: record.digest,
            sent,
            adopted,
        });
        package.results.images.insert(image.keyed.name.clone(), record);
    }
    package.results.images.retain(|name, _| declared.spec.images.contains_key(name));
    package.results.save()?;
    Ok(made)
}

/// Builds and publishes one image.
async fn make<'a>(
    work: &Work,
    workspace: &Workspace,
    image: &'a ImagePlan,
    executables: &Executables,
    builder: &dyn Builder,
    ui: &Ui,
) -> Result<(&'a str, (Published, Image))> {
    let keyed = &image.keyed;
    let recipe = Recipe {
        chain: keyed.chain.clone(),
        workspace: workspace.root.clone(),
        key: keyed.key,
        platforms: keyed
            .bases
            .iter()
            .map(|(platform, base)| PlatformRecipe {
                platform: platform.clone(),
                base: base.clone(),
                executables: executables.of(keyed, platform),
            })
            .collect(),
        source_date_epoch: work.source_date_epoch,
    };
    let content = builder.build(&recipe).await?;
    let published = image.destination.publisher.publish(&image.target, &content, work.rebuild).await?;
    let verb = if published.adopted { "Adopted" } else { "Published" };
    ui.status(verb, format!("{} {} ({} sent)", keyed.name, published.location, ui::bytes(published.sent)));
    Ok((&keyed.name, (published, content)))
}

fn built(image: &ImagePlan, published: &Published, content: &Image, revision: Option<&str>) -> Record {
    let layers = &content.platforms[0].layers;
    let code = layers.last().filter(|_| !image.keyed.binaries.is_empty());
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
    match known {
        Some(known) if known.digest == digest => {
            Record { size: known.size, code_size: known.code_size, revision: known.revision.clone(), ..record(image, digest) }
        }
        _ => record(image, digest),
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
        binaries: keyed.binaries.clone(),
        revision: None,
        environment: keyed.environment.to_string(),
        inputs: keyed.inputs.clone(),
    }
}

/// The git revision of the workspace, when there is one.
async fn revision(work: &Work, workspace: &Workspace) -> Option<String> {
    let mut git = Command::new("git", &workspace.root, &work.scope.cargo.environment);
    git.args(["rev-parse", "HEAD"]);
    let stdout = git.output().await.ok()?.success().ok()?;
    Some(String::from_utf8_lossy(&stdout).trim().to_owned())
}
