//! `cargo union plan`: what `build` would do, because of which change. Changes nothing.

use crate::command::reporter;
use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;

use crate::exit::Exit;
use crate::image::plan::{ImageAction, InputChange, PlannedImage};
use crate::pipeline::context::LoadedWorkspace;
use crate::pipeline::plan::BuildPlan;
use crate::settings::BuildOptions;
use crate::ui::{self, Ui};
use crate::workspace::Snapshot;

#[derive(Serialize)]
struct Document<'a> {
    images: Vec<&'a PlannedImage>,
}

pub(super) async fn run(work: &BuildOptions, ui: &Arc<Ui>) -> Result<Exit> {
    let session = LoadedWorkspace::open_with_cache(&work.scope, &**ui).await?;
    let snapshot = Snapshot::take(&work.scope.cargo, &session.workspace, &work.scope.cache, &**ui).await?;
    let planning = BuildPlan::compute(work, &session, &snapshot, &reporter(ui)).await?;
    let images: Vec<&PlannedImage> = planning.images().collect();
    if ui.output_options().json {
        ui.document("plan", &Document { images })?;
    } else {
        let shown = if ui.output_options().verbosity > 0 { usize::MAX } else { 8 };
        ui.data(&images.into_iter().map(|planned| text(planned, shown)).collect::<String>())?;
    }
    Ok(Exit::Success)
}

/// One image: the action on the first line, then what changed, then what moves.
fn text(planned: &PlannedImage, shown: usize) -> String {
    let mut text = format!("{} {}: {} {}\n", planned.package, planned.image, verb(planned.action), planned.destination);
    for change in planned.changes.iter().take(shown) {
        text.push_str(&format!("  {}\n", because(change)));
    }
    if planned.changes.len() > shown {
        text.push_str(&format!("  and {} more; see them with `-v`\n", planned.changes.len() - shown));
    }
    if planned.action != ImageAction::Reuse {
        if planned.changes.is_empty() && planned.action != ImageAction::Push {
            text.push_str("  nothing is known of an earlier image\n");
        }
        let code = planned.moves.code_about.map(|bytes| format!("about {} of code", ui::bytes(bytes)));
        let base =
            planned.moves.base_at_most.filter(|bytes| *bytes > 0).map(|bytes| format!("at most {} of base layers", ui::bytes(bytes)));
        let moves: Vec<String> = code.into_iter().chain(base).collect();
        if !moves.is_empty() {
            text.push_str(&format!("  moves {}\n", moves.join(" and ")));
        }
    }
    text
}

fn verb(action: ImageAction) -> &'static str {
    match action {
        ImageAction::Reuse => "unchanged",
        ImageAction::Push => "publish; nothing changed, but it is not at",
        ImageAction::Append => "append code to its environment and publish to",
        ImageAction::BuildEnvironment => "build its environment, append code and publish to",
    }
}

/// `src/main.rs: 1f2e3d → 4c5b6a`.
pub(super) fn because(change: &InputChange) -> String {
    match (&change.old, &change.new) {
        (Some(old), Some(new)) => format!("{}: {old} → {new}", change.input),
        (None, Some(new)) => format!("{}: new, {new}", change.input),
        (Some(_), None) => format!("{}: gone", change.input),
        (None, None) => change.input.clone(),
    }
}
