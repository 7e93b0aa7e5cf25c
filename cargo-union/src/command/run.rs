//! `cargo union run`: runs one task on this machine or on the backend, and prints its outputs.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

use crate::exit::Exit;
use crate::flyte::actions::RecordedAction;
use crate::run::Reporter;
use crate::run::local::{self, LocalRunOutcome};
use crate::run::remote::{self, RemoteRunOutcome};
use crate::run::rows::{ActionRow, EventRow};
use crate::settings::{LocalRunOptions, RemoteRunMode, RemoteRunOptions};
use crate::ui::Ui;

#[derive(Serialize)]
struct Document<'a> {
    package: Option<&'a str>,
    task: Option<&'a str>,
    /// `None` for a process of the host, and for a run that was only followed.
    image: Option<&'a str>,
    /// Values as JSON, and the paths or addresses of files and directories; `None` with `--detach`.
    outputs: Option<&'a BTreeMap<String, Value>>,
    #[serde(flatten)]
    details: RunDetails<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum RunDetails<'a> {
    /// The traced steps of a local worker.
    Traces(&'a [RecordedAction]),
    /// The run at the backend.
    Run(RemoteRunRow<'a>),
}

#[derive(Serialize)]
struct RemoteRunRow<'a> {
    name: &'a str,
    project: &'a str,
    domain: &'a str,
    version: Option<&'a str>,
    console: &'a str,
    /// Why it waited, as far as it was reported.
    events: Vec<EventRow<'a>>,
    /// Its steps, in the order in which they ended.
    actions: Vec<ActionRow<'a>>,
}

/// Runs a task on this machine.
pub(super) async fn run_local(options: &LocalRunOptions, ui: &Arc<Ui>) -> Result<Exit> {
    let reporter: Arc<dyn Reporter> = ui.clone();
    let LocalRunOutcome {
        package,
        task,
        image,
        outputs,
        traces,
    } = local::run_task(options, &reporter).await?;
    let document = Document {
        package: Some(&package),
        task: Some(&task),
        image: image.as_deref(),
        outputs: Some(&outputs),
        details: RunDetails::Traces(&traces),
    };
    ui.result("run", &document, &format_outputs(&outputs))?;
    Ok(Exit::Success)
}

/// Runs a task on the backend, or repeats or follows a run.
pub(super) async fn run_remote(options: &RemoteRunOptions, ui: &Arc<Ui>) -> Result<Exit> {
    let reporter: Arc<dyn Reporter> = ui.clone();
    let RemoteRunOutcome {
        run,
        page,
        task,
        outputs,
        events,
        steps,
    } = remote::run_task(options, &reporter).await?;
    let document = Document {
        package: task.package.as_deref(),
        task: task.task.as_deref(),
        image: task.image.as_deref(),
        outputs: outputs.as_ref(),
        details: RunDetails::Run(RemoteRunRow {
            name: &run.name,
            project: &run.scope.project,
            domain: &run.scope.domain,
            version: task.version.as_deref(),
            console: &page,
            events: events.iter().map(EventRow::of).collect(),
            actions: steps.iter().map(ActionRow::of).collect(),
        }),
    };
    let text = match &outputs {
        Some(outputs) => format_outputs(outputs),
        None => format!("{}\n", run.name),
    };
    let command = match options.mode {
        RemoteRunMode::Rerun(_) => "rerun",
        RemoteRunMode::New(_) | RemoteRunMode::Follow(_) => "run",
    };
    ui.result(command, &document, &text)?;
    Ok(Exit::Success)
}

/// One output per line: `NAME = VALUE`.
fn format_outputs(outputs: &BTreeMap<String, Value>) -> String {
    outputs
        .iter()
        .map(|(name, value)| format!("{name} = {value}\n"))
        .collect()
}
