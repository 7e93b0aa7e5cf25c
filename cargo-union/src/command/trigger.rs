//! `cargo union trigger`: activates and deactivates triggers.

use std::sync::Arc;

use anyhow::Result;

use crate::command::reporter;
use crate::deploy::outcome::TriggerDocument;
use crate::deploy::project::open_context;
use crate::exit::Exit;
use crate::flyte::triggers::set_active;
use crate::settings::TriggerOptions;
use crate::ui::Ui;

pub(super) async fn run(options: &TriggerOptions, ui: &Arc<Ui>) -> Result<Exit> {
    let context = open_context(&options.scope, &reporter(ui)).await?;
    let (name, active) = (&options.name, options.active);
    let task = options.task.as_deref();
    let task = task.map(|task| context.task_name(task)).transpose()?;
    let task = task.as_deref();
    let before = set_active(&context.client, &context.scope, name, task, active).await?;
    let document = TriggerDocument::of(&before, active);
    match (document.changed, active) {
        (true, true) => ui.status("Activated", before.path()),
        (true, false) => ui.status("Deactivated", before.path()),
        (false, true) => ui.note(format!("`{}` is active already", before.path())),
        (false, false) => ui.note(format!("`{}` is inactive already", before.path())),
    }
    if ui.output_options().json {
        ui.document("trigger", &document)?;
    }
    Ok(Exit::Success)
}
