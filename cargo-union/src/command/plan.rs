//! `cargo union plan`: prints what `build` would do and which changes are the cause, without doing it.

use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;

use crate::command::reporter;
use crate::exit::Exit;
use crate::image::plan::{ImageAction, InputChange, PlannedImage};
use crate::pipeline::context::LoadedWorkspace;
use crate::pipeline::names::with_task_keys;
use crate::pipeline::plan::BuildPlan;
use crate::settings::BuildOptions;
use crate::ui::{self, Ui};
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
                .map(|planned| format_image(planned, limit))
                .collect::<String>(),
        )?;
    }
    Ok(Exit::Success)
}

/// The action on an image, then the changes, then the bytes to transfer.
fn format_image(planned: &PlannedImage, limit: usize) -> String {
    let mut text = format!(
        "{} {}: {} {}\n",
        planned.package,
        planned.image,
        describe_action(planned.action),
        planned.destination
    );
    for change in planned.changes.iter().take(limit) {
        text.push_str(&format!("  {}\n", format_change(change)));
    }
    if planned.changes.len() > limit {
        text.push_str(&format!(
            "  and {} more; see them with `-v`\n",
            planned.changes.len() - limit
        ));
    }
    if planned.action != ImageAction::Reuse {
        if planned.changes.is_empty() && planned.action != ImageAction::Push {
            text.push_str("  no earlier build is recorded\n");
        }
        let code = planned
            .moves
            .code_about
            .map(|bytes| format!("about {} of code", ui::bytes(bytes)));
        let base = planned
            .moves
            .base_at_most
            .filter(|bytes| *bytes > 0)
            .map(|bytes| format!("at most {} of base layers", ui::bytes(bytes)));
        let moves: Vec<String> = code.into_iter().chain(base).collect();
        if !moves.is_empty() {
            text.push_str(&format!("  moves {}\n", moves.join(" and ")));
        }
    }
    text
}

/// The action, up to the destination.
fn describe_action(action: ImageAction) -> &'static str {
    match action {
        ImageAction::Reuse => "unchanged",
        ImageAction::Push => "publish; nothing changed, but it is not at",
        ImageAction::Append => "append code to its environment and publish to",
        ImageAction::BuildEnvironment => "build its environment, append code and publish to",
    }
}

/// A changed input, such as `src/main.rs: 1f2e3d → 4c5b6a`.
fn format_change(change: &InputChange) -> String {
    match (&change.old, &change.new) {
        (Some(old), Some(new)) => format!("{}: {old} → {new}", change.input),
        (None, Some(new)) => format!("{}: new, {new}", change.input),
        (Some(_), None) => format!("{}: gone", change.input),
        (None, None) => change.input.clone(),
    }
}
