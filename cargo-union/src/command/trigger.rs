//! `cargo union trigger`: activates and deactivates triggers.

use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;

use crate::command::reporter;
use crate::deploy::project::open_context;
use crate::exit::Exit;
use crate::flyte::triggers::set_active;
use crate::settings::TriggerOptions;
use crate::ui::Ui;

#[derive(Serialize)]
struct Document<'a> {
    task: &'a str,
    name: &'a str,
    active: bool,
    /// Whether it was otherwise before.
    changed: bool,
}

pub(super) async fn run(options: &TriggerOptions, ui: &Arc<Ui>) -> Result<Exit> {
    let context = open_context(&options.scope, &reporter(ui)).await?;
    let task = options.task.as_deref();
    let task = task.map(|task| context.task_name(task)).transpose()?;
    let before = set_active(
        &context.client,
        &context.scope,
        &options.name,
        task.as_deref(),
        options.active,
    )
    .await?;
    let changed = before.active != options.active;
    let (verb, adjective) = match options.active {
        true => ("Activated", "active"),
        false => ("Deactivated", "inactive"),
    };
    match changed {
        true => ui.status(verb, before.path()),
        false => ui.note(format!("`{}` is {adjective} already", before.path())),
    }
    if ui.output_options().json {
        let document = Document {
            task: &before.task,
            name: &before.name,
            active: options.active,
            changed,
        };
        ui.document("trigger", &document)?;
    }
    Ok(Exit::Success)
}
