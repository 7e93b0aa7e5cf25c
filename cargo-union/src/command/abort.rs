//! `cargo union abort`: aborts a run.

use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;

use crate::command::reporter;
use crate::deploy::project::open_project;
use crate::exit::Exit;
use crate::flyte::runs::{AbortOutcome, RunIdent, abort};
use crate::settings::AbortOptions;
use crate::ui::Ui;

#[derive(Serialize)]
struct Document<'a> {
    run: &'a str,
    project: &'a str,
    domain: &'a str,
    /// Whether it was aborted now, rather than had ended before.
    aborted: bool,
    phase: &'static str,
}

pub(super) async fn run(options: &AbortOptions, ui: &Arc<Ui>) -> Result<Exit> {
    let (client, scope) = open_project(&options.scope, &reporter(ui)).await?;
    let run = RunIdent::named(scope, &options.run);
    let outcome = abort(&client, &run, &options.reason).await?;
    let phase = match outcome {
        AbortOutcome::Aborted => {
            ui.status("Aborted", &run.name);
            "aborted"
        }
        AbortOutcome::Ended(phase) => {
            ui.note(format!("the run `{}` has ended: {phase}", run.name));
            phase.word()
        }
    };
    if ui.output_options().json {
        ui.document(
            "abort",
            &Document {
                run: &run.name,
                project: &run.scope.project,
                domain: &run.scope.domain,
                aborted: outcome == AbortOutcome::Aborted,
                phase,
            },
        )?;
    }
    Ok(Exit::Success)
}
