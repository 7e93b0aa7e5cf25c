//! `cargo union plan`: prints what `build` would do and which changes are the cause, without doing it.

use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;

use crate::command::reporter;
use crate::exit::Exit;
use crate::image::plan::PlannedImage;
use crate::pipeline::context::LoadedWorkspace;
use crate::pipeline::names::with_task_keys;
use crate::pipeline::plan::BuildPlan;
use crate::settings::BuildOptions;
use crate::ui::{Ui, format_plan};
use crate::workspace::Snapshot;

/// The number of changes per image that are printed without `-v`.
const SHOWN_CHANGES: usize = 8;

#[derive(Serialize)]
struct Document<'a> {
    images: Vec<&'a PlannedImage>,
}

pub(super) async fn run(options: &BuildOptions, ui: &Arc<Ui>) -> Result<Exit> {
    let session = LoadedWorkspace::open_with_cache(&options.scope, &**ui).await?;
    let snapshot = Snapshot::take(
        &options.scope.cargo,
        &session.workspace,
        &options.scope.cache,
        &**ui,
    )
    .await?;
    let options = &with_task_keys(options, &session)?;
    let plan = BuildPlan::compute(options, &session, &snapshot, &reporter(ui)).await?;
    let images: Vec<&PlannedImage> = plan.images().collect();
    if ui.output_options().json {
        ui.document("plan", &Document { images })?;
    } else {
        let limit = if ui.output_options().verbosity > 0 {
            usize::MAX
        } else {
            SHOWN_CHANGES
        };
        ui.data(
            &images
                .into_iter()
                .map(|planned| format_plan(planned, limit))
                .collect::<String>(),
        )?;
    }
    Ok(Exit::Success)
}
