//! `cargo union get`: the tasks and runs that the backend has.

use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;
use union_build::spec::time;

use super::project;
use crate::exit::Exit;
use crate::flyte::client::Client;
use crate::flyte::convert::ProjectDomain;
use crate::flyte::{console, runs, tasks};
use crate::settings::{GetOptions, Resource};
use crate::ui::{Ui, table};

#[derive(Serialize)]
struct Document<'a> {
    project: &'a str,
    domain: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks: Option<Vec<TaskRow>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    runs: Option<Vec<RunRow>>,
}

#[derive(Serialize)]
struct TaskRow {
    name: String,
    version: String,
    environment: String,
    registered: Option<String>,
    console: String,
}

#[derive(Serialize)]
struct RunRow {
    name: String,
    task: Option<String>,
    version: Option<String>,
    phase: &'static str,
    started: Option<String>,
    ended: Option<String>,
    console: String,
}

pub(super) async fn run(get: &GetOptions, ui: &Arc<Ui>) -> Result<Exit> {
    let (client, scope) = project::open(&get.scope, ui).await?;
    let mut document = Document { project: &scope.project, domain: &scope.domain, tasks: None, runs: None };
    match get.of {
        Resource::Tasks => document.tasks = Some(tasks(&client, &scope, get.limit).await?),
        Resource::Runs => document.runs = Some(all_runs(&client, &scope, get.limit).await?),
    }
    show(&document, ui)?;
    Ok(Exit::Success)
}

async fn tasks(client: &Client, scope: &ProjectDomain, limit: u32) -> Result<Vec<TaskRow>> {
    let listed = tasks::list(client, scope, limit).await?.into_iter().map(|task| TaskRow {
        console: console::task(&client.endpoint(), scope, &task.name),
        registered: shown(task.registered),
        name: task.name,
        version: task.version,
        environment: task.environment,
    });
    Ok(listed.collect())
}

async fn all_runs(client: &Client, scope: &ProjectDomain, limit: u32) -> Result<Vec<RunRow>> {
    let listed = runs::list(client, scope, limit).await?.into_iter().map(|run| RunRow {
        console: console::run(&client.endpoint(), scope, &run.name),
        name: run.name,
        task: run.task,
        version: run.version,
        phase: run.phase.word(),
        started: shown(run.started),
        ended: shown(run.ended),
    });
    Ok(listed.collect())
}

fn shown(seconds: Option<i64>) -> Option<String> {
    seconds.map(|seconds| time::datetime(seconds, 0))
}

fn show(document: &Document<'_>, ui: &Ui) -> Result<()> {
    if ui.output_options().json {
        return Ok(ui.document("get", document)?);
    }
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let (what, text) = match (&document.tasks, &document.runs) {
        (Some(tasks), _) => {
            let row = |task: &TaskRow| [task.name.clone(), task.version.clone(), task.environment.clone(), or_dash(&task.registered)];
            let rows: Vec<_> = tasks.iter().map(row).collect();
            ("tasks", (!rows.is_empty()).then(|| table(["NAME", "VERSION", "ENVIRONMENT", "REGISTERED"], &rows)))
        }
        (None, runs) => {
            let row = |run: &RunRow| {
                let texts = [or_dash(&run.task), or_dash(&run.version), run.phase.to_owned(), or_dash(&run.started), or_dash(&run.ended)];
                let [task, version, phase, started, ended] = texts;
                [run.name.clone(), phase, task, version, started, ended]
            };
            let rows: Vec<_> = runs.iter().flatten().map(row).collect();
            ("runs", (!rows.is_empty()).then(|| table(["NAME", "PHASE", "TASK", "VERSION", "STARTED", "ENDED"], &rows)))
        }
    };
    match text {
        Some(text) => ui.data(&text)?,
        None => ui.note(format!("there are no {what} in {}/{}", document.project, document.domain)),
    }
    Ok(())
}
