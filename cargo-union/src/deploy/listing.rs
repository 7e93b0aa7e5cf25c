//! What a project has at the backend, as rows of tables and of JSON documents.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use union_build::spec::time;

use super::project::{ProjectContext, open_context};
use crate::flyte::console;
use crate::flyte::project::{self, ProjectSummary};
use crate::flyte::runs::{self, RunFilter, TaskVersion};
use crate::flyte::secrets::SecretSummary;
use crate::flyte::task_details::{self, TaskView};
use crate::flyte::tasks;
use crate::flyte::triggers::{self, TriggerSummary};
use crate::pipeline::Reporter;
use crate::pipeline::context::LoadedWorkspace;
use crate::pipeline::options::WorkspaceOptions;
use crate::pipeline::problems::Result;
use crate::sys::words::{TableRow, or_dash};

/// A task with its latest version.
#[derive(Serialize)]
pub(crate) struct TaskRow {
    name: String,
    version: String,
    environment: String,
    registered: Option<String>,
    console: String,
}

/// A run with its phase.
#[derive(Serialize)]
pub(crate) struct RunRow {
    name: String,
    task: Option<String>,
    version: Option<String>,
    phase: &'static str,
    started: Option<String>,
    ended: Option<String>,
    console: String,
}

/// A trigger of a task.
#[derive(Serialize)]
pub(crate) struct TriggerRow {
    task: String,
    name: String,
    active: bool,
    schedule: String,
    fired: Option<String>,
}

/// A project with its domains.
#[derive(Serialize)]
pub(crate) struct ProjectRow {
    id: String,
    name: String,
    domains: Vec<String>,
    description: String,
}

/// A secret without its value.
#[derive(Serialize)]
pub(crate) struct SecretRow {
    name: String,
    r#type: &'static str,
    created: Option<String>,
}

/// A version of a task.
#[derive(Serialize)]
pub(crate) struct VersionRow {
    version: String,
    registered: Option<String>,
}

/// One version of a task, and the list of its versions.
#[derive(Serialize)]
pub(crate) struct TaskDocument {
    name: String,
    version: String,
    environment: String,
    description: String,
    image: String,
    inputs: BTreeMap<String, String>,
    outputs: BTreeMap<String, String>,
    versions: Vec<VersionRow>,
    console: String,
}

/// The tasks of a project and domain, most recently registered first.
///
/// # Errors
/// Failures of the call.
pub(crate) async fn task_rows(context: &ProjectContext, limit: u32) -> Result<Vec<TaskRow>> {
    let tasks = tasks::list(&context.client, &context.scope, limit).await?;
    let row = |task: tasks::TaskSummary| TaskRow {
        console: console::task(&context.client, &context.scope, &task.name),
        registered: format_time(task.registered),
        name: task.name,
        version: task.version,
        environment: task.environment,
    };
    Ok(tasks.into_iter().map(row).collect())
}

/// The runs of a project and domain that match, newest first. The task of the filter may be named as in the manifest.
///
/// # Errors
/// `UsageInvalid` for an ambiguous task; failures of the calls.
pub(crate) async fn run_rows(context: &ProjectContext, filter: &RunFilter) -> Result<Vec<RunRow>> {
    let task = filter.task.as_deref();
    let filter = RunFilter {
        task: task.map(|task| context.task_name(task)).transpose()?,
        ..filter.clone()
    };
    let runs = runs::list(&context.client, &context.scope, &filter).await?;
    let row = |run: runs::RunSummary| RunRow {
        console: console::run(&context.client, &context.scope, &run.name),
        name: run.name,
        task: run.task,
        version: run.version,
        phase: run.phase.word(),
        started: format_time(run.started),
        ended: format_time(run.ended),
    };
    Ok(runs.into_iter().map(row).collect())
}

/// The triggers of a project and domain, or of one task.
///
/// # Errors
/// `UsageInvalid` for an ambiguous task; failures of the calls.
pub(crate) async fn trigger_rows(
    context: &ProjectContext,
    task: Option<&str>,
) -> Result<Vec<TriggerRow>> {
    let task = task.map(|task| context.task_name(task)).transpose()?;
    let triggers = triggers::list(&context.client, &context.scope, task.as_deref()).await?;
    Ok(triggers.into_iter().map(TriggerRow::of).collect())
}

/// The projects of the organization.
///
/// # Errors
/// Failures of the call.
pub(crate) async fn project_rows(
    client: &crate::flyte::client::Client,
    org: &str,
) -> Result<Vec<ProjectRow>> {
    let row = |project: ProjectSummary| ProjectRow {
        id: project.id,
        name: project.name,
        domains: project.domains,
        description: project.description,
    };
    Ok(project::list(client, org)
        .await?
        .into_iter()
        .map(row)
        .collect())
}

/// The names of the latest runs, or the keys of the tasks of the packages, sorted.
///
/// # Errors
/// Problems of the manifests; failures of the call.
pub(crate) async fn names(
    options: &WorkspaceOptions,
    of_runs: bool,
    reporter: &Arc<dyn Reporter>,
) -> Result<Vec<String>> {
    if of_runs {
        let filter = RunFilter {
            limit: 50,
            ..RunFilter::default()
        };
        let context = open_context(options, reporter).await?;
        let runs = runs::list(&context.client, &context.scope, &filter).await?;
        return Ok(runs.into_iter().map(|run| run.name).collect());
    }
    let session = LoadedWorkspace::open(options, &**reporter).await?;
    let tasks = session.packages.iter().flat_map(|package| {
        let keys = package.spec.tasks.keys();
        keys.cloned()
    });
    let names: BTreeSet<String> = tasks.collect();
    Ok(names.into_iter().collect())
}

/// A task, named as in the manifest or at the backend, in its latest version or in another one.
///
/// # Errors
/// `BackendNotFound`, `VersionUnknown`, `UsageInvalid` for an ambiguous name; failures of the calls.
pub(crate) async fn task_document(
    context: &ProjectContext,
    typed: &str,
    version: Option<&str>,
    limit: u32,
) -> Result<TaskDocument> {
    let (client, scope) = (&context.client, &context.scope);
    let name = context.task_name(typed)?;
    let versions = task_details::versions(client, scope, &name, limit).await?;
    let latest = versions.first().map(|latest| latest.version.as_str());
    let task = TaskVersion {
        scope: scope.clone(),
        name: name.clone(),
        version: version.or(latest).unwrap_or_default().to_owned(),
    };
    let TaskView {
        version,
        environment,
        description,
        image,
        inputs,
        outputs,
    } = task_details::view(client, &task).await?;
    let row = |version: task_details::VersionSummary| VersionRow {
        version: version.version,
        registered: format_time(version.registered),
    };
    Ok(TaskDocument {
        console: console::task(client, scope, &name),
        name,
        version,
        environment,
        description,
        image,
        inputs: inputs.into_iter().collect(),
        outputs: outputs.into_iter().collect(),
        versions: versions.into_iter().map(row).collect(),
    })
}

impl TriggerRow {
    pub(crate) fn of(trigger: TriggerSummary) -> Self {
        Self {
            task: trigger.task,
            name: trigger.name,
            active: trigger.active,
            schedule: trigger.schedule,
            fired: format_time(trigger.fired),
        }
    }
}

impl SecretRow {
    pub(crate) fn of(secret: SecretSummary) -> Self {
        Self {
            name: secret.name,
            r#type: secret.kind.word(),
            created: format_time(secret.created),
        }
    }
}

impl std::fmt::Display for TaskDocument {
    /// One property per line, then the versions, newest first.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let variables = |map: &BTreeMap<String, String>| {
            let typed: Vec<String> = map
                .iter()
                .map(|(name, ty)| format!("{name}: {ty}"))
                .collect();
            or_dash(Some(typed.join(", ").as_str()).filter(|text| !text.is_empty()))
        };
        let nonempty = |text: &str| or_dash(Some(text).filter(|text| !text.is_empty()));
        let properties = [
            ("task", self.name.clone()),
            ("version", self.version.clone()),
            ("description", nonempty(&self.description)),
            ("environment", nonempty(&self.environment)),
            ("image", nonempty(&self.image)),
            ("inputs", variables(&self.inputs)),
            ("outputs", variables(&self.outputs)),
        ];
        for (name, value) in properties {
            let value: String = value
                .chars()
                .filter(|letter| !letter.is_control())
                .collect();
            writeln!(f, "{name:<13}{value}")?;
        }
        write!(f, "\n{}", crate::sys::words::rows(&self.versions))
    }
}

impl TableRow for TaskRow {
    const HEAD: &'static [&'static str] = &["NAME", "VERSION", "ENVIRONMENT", "REGISTERED"];

    fn cells(&self) -> Vec<String> {
        let registered = or_dash(self.registered.as_deref());
        vec![
            self.name.clone(),
            self.version.clone(),
            self.environment.clone(),
            registered,
        ]
    }
}

impl TableRow for RunRow {
    const HEAD: &'static [&'static str] = &["NAME", "PHASE", "TASK", "VERSION", "STARTED", "ENDED"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.phase.to_owned(),
            or_dash(self.task.as_deref()),
            or_dash(self.version.as_deref()),
            or_dash(self.started.as_deref()),
            or_dash(self.ended.as_deref()),
        ]
    }
}

impl TableRow for TriggerRow {
    const HEAD: &'static [&'static str] = &["TASK", "NAME", "ACTIVE", "SCHEDULE", "LAST RUN"];

    fn cells(&self) -> Vec<String> {
        let active = if self.active { "yes" } else { "no" };
        vec![
            self.task.clone(),
            self.name.clone(),
            active.to_owned(),
            self.schedule.clone(),
            or_dash(self.fired.as_deref()),
        ]
    }
}

impl TableRow for ProjectRow {
    const HEAD: &'static [&'static str] = &["ID", "NAME", "DOMAINS", "DESCRIPTION"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.name.clone(),
            self.domains.join(", "),
            self.description.clone(),
        ]
    }
}

impl TableRow for SecretRow {
    const HEAD: &'static [&'static str] = &["NAME", "TYPE", "CREATED"];

    fn cells(&self) -> Vec<String> {
        let created = or_dash(self.created.as_deref());
        vec![self.name.clone(), self.r#type.to_owned(), created]
    }
}

impl TableRow for VersionRow {
    const HEAD: &'static [&'static str] = &["VERSIONS", "REGISTERED"];

    fn cells(&self) -> Vec<String> {
        vec![self.version.clone(), or_dash(self.registered.as_deref())]
    }
}

fn format_time(seconds: Option<i64>) -> Option<String> {
    seconds.map(|seconds| time::datetime(seconds, 0))
}
