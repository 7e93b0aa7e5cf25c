//! `cargo union get`: the tasks and runs that the backend has.

use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;
use union_build::spec::time;

use crate::command::reporter;
use crate::deploy::project::open_project;
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

pub(super) async fn run(options: &GetOptions, ui: &Arc<Ui>) -> Result<Exit> {
    let (client, scope) = open_project(&options.scope, &reporter(ui)).await?;
    let mut document = Document {
        project: &scope.project,
        domain: &scope.domain,
        tasks: None,
        runs: None,
    };
    match options.of {
        Resource::Tasks => document.tasks = Some(list_tasks(&client, &scope, options.limit).await?),
        Resource::Runs => document.runs = Some(list_runs(&client, &scope, options.limit).await?),
    }
    show(&document, ui)?;
    Ok(Exit::Success)
}

async fn list_tasks(client: &Client, scope: &ProjectDomain, limit: u32) -> Result<Vec<TaskRow>> {
    let tasks = tasks::list(client, scope, limit)
        .await?
        .into_iter()
        .map(|task| TaskRow {
            console: console::task(&client.endpoint(), scope, &task.name),
            registered: format_time(task.registered),
            name: task.name,
            version: task.version,
            environment: task.environment,
        });
    Ok(tasks.collect())
}

async fn list_runs(client: &Client, scope: &ProjectDomain, limit: u32) -> Result<Vec<RunRow>> {
    let runs = runs::list(client, scope, limit)
        .await?
        .into_iter()
        .map(|run| RunRow {
            console: console::run(&client.endpoint(), scope, &run.name),
            name: run.name,
            task: run.task,
            version: run.version,
            phase: run.phase.word(),
            started: format_time(run.started),
            ended: format_time(run.ended),
        });
    Ok(runs.collect())
}

fn format_time(seconds: Option<i64>) -> Option<String> {
    seconds.map(|seconds| time::datetime(seconds, 0))
}

fn show(document: &Document<'_>, ui: &Ui) -> Result<()> {
    if ui.output_options().json {
        return Ok(ui.document("get", document)?);
    }
    let (resource, text) = match &document.tasks {
        Some(tasks) => ("tasks", format_tasks(tasks)),
        None => (
            "runs",
            format_runs(document.runs.as_deref().unwrap_or_default()),
        ),
    };
    match text {
        Some(text) => ui.data(&text)?,
        None => ui.note(format!(
            "there are no {resource} in {}/{}",
            document.project, document.domain
        )),
    }
    Ok(())
}

fn format_tasks(tasks: &[TaskRow]) -> Option<String> {
    let row = |task: &TaskRow| {
        [
            task.name.clone(),
            task.version.clone(),
            task.environment.clone(),
            or_dash(&task.registered),
        ]
    };
    let rows: Vec<_> = tasks.iter().map(row).collect();
    (!rows.is_empty()).then(|| table(["NAME", "VERSION", "ENVIRONMENT", "REGISTERED"], &rows))
}

fn format_runs(runs: &[RunRow]) -> Option<String> {
    let row = |run: &RunRow| {
        let RunRow {
            name,
            task,
            version,
            phase,
            started,
            ended,
            console: _,
        } = run;
        [
            name.clone(),
            (*phase).to_owned(),
            or_dash(task),
            or_dash(version),
            or_dash(started),
            or_dash(ended),
        ]
    };
    let rows: Vec<_> = runs.iter().map(row).collect();
    (!rows.is_empty()).then(|| {
        table(
            ["NAME", "PHASE", "TASK", "VERSION", "STARTED", "ENDED"],
            &rows,
        )
    })
}

fn or_dash(text: &Option<String>) -> String {
    text.clone().unwrap_or_else(|| "-".to_owned())
}
