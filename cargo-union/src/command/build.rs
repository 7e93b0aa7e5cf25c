//! `cargo union build`: compile, pack, publish what the plan says is missing.

use crate::command::reporter;
use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;

use crate::exit::Exit;
use crate::image::plan::PlannedImage;
use crate::pipeline::context::LoadedWorkspace;
use crate::pipeline::execute;
use crate::pipeline::outcome::{ImageOutcome, PackageOutcome};
use crate::pipeline::plan::BuildPlan;
use crate::settings::BuildOptions;
use crate::sys::digest::Digest;
use crate::ui::Ui;
use crate::workspace::Snapshot;

#[derive(Serialize)]
struct Document<'a> {
    images: Vec<ImageRow<'a>>,
}

/// An image as documents show it.
#[derive(Serialize)]
pub(super) struct ImageRow<'a> {
    #[serde(flatten)]
    planned: &'a PlannedImage,
    location: &'a str,
    pinned: Option<&'a str>,
    /// `None` when the registry of the remote builder does not tell it.
    digest: Option<Digest>,
    /// Bytes that were sent; 0 when nothing was.
    sent: u64,
    adopted: bool,
}

impl<'a> ImageRow<'a> {
    pub(super) fn of(made: &'a ImageOutcome) -> Self {
        let (record, sent, adopted) = (&made.record, made.sent, made.adopted);
        let (location, pinned) = (record.location.as_str(), record.pinned.as_deref());
        Self { planned: &made.planned, location, pinned, digest: record.digest, sent, adopted }
    }
}

pub(super) async fn run(work: &BuildOptions, ui: &Arc<Ui>) -> Result<Exit> {
    let session = LoadedWorkspace::open_with_cache(&work.scope, &**ui).await?;
    report(&make(work, &session, ui).await?, ui)?;
    Ok(Exit::Success)
}

/// Makes what is missing of the chosen images.
///
/// # Errors
/// What planning, compiling, building and publishing end with.
pub(super) async fn make(work: &BuildOptions, session: &LoadedWorkspace, ui: &Arc<Ui>) -> Result<Vec<PackageOutcome>> {
    let snapshot = Snapshot::take(&work.scope.cargo, &session.workspace, &work.scope.cache, &**ui).await?;
    let planning = BuildPlan::compute(work, session, &snapshot, &reporter(ui)).await?;
    Ok(execute::execute(work, session, &snapshot, planning, &reporter(ui)).await?)
}

fn report(built: &[PackageOutcome], ui: &Ui) -> Result<()> {
    let lines: Vec<ImageRow<'_>> = built.iter().flat_map(|package| &package.images).map(ImageRow::of).collect();
    if ui.output_options().json {
        ui.document("build", &Document { images: lines })?;
    } else {
        let line = |line: &ImageRow<'_>| line.pinned.unwrap_or(line.location).to_owned() + "\n";
        ui.data(&lines.iter().map(line).collect::<String>())?;
    }
    Ok(())
}
