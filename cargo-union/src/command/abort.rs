//! `cargo union abort`: aborts a run.

use std::sync::Arc;

use anyhow::Result;

use crate::command::reporter;
use crate::deploy::outcome::AbortDocument;
use crate::deploy::project::open_project;
use crate::exit::Exit;
use crate::flyte::runs::{AbortOutcome, RunIdent, abort};
use crate::settings::AbortOptions;
use crate::ui::Ui;

pub(super) async fn run(options: &AbortOptions, ui: &Arc<Ui>) -> Result<Exit> {
    let (client, scope) = open_project(&options.scope, &reporter(ui)).await?;
    let run = RunIdent::named(scope, &options.run);
    let outcome = abort(&client, &run, &options.reason).await?;
    match outcome {
        AbortOutcome::Aborted => ui.status("Aborted", &run.name),
        AbortOutcome::Ended(phase) => ui.note(format!("the run `{}` has ended: {phase}", run.name)),
    }
    if ui.output_options().json {
        ui.document("abort", &AbortDocument::of(&run, outcome))?;
    }
    Ok(Exit::Success)
}
