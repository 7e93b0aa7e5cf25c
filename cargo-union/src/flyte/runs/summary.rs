//! Runs that are there: those of a project, and one by its name.

use super::{RunIdent, RunPhase, RunService, RunState};
use crate::flyte::convert::ProjectDomain;
use crate::flyte::idl::Timestamp;
use crate::flyte::idl::task::TaskIdentifier;
use crate::flyte::idl::workflow::action_metadata::Spec;
use crate::flyte::idl::workflow::{self, Action};
use crate::flyte::rpc::RpcStatus;
use crate::sys::error::Result;

/// A run as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunSummary {
    /// Its name.
    pub name: String,
    /// The task; `None` when the backend does not say.
    pub task: Option<String>,
    /// The version of the task.
    pub version: Option<String>,
    /// What it is doing.
    pub phase: RunPhase,
    /// When it began: seconds since 1970.
    pub started: Option<i64>,
    /// When it ended.
    pub ended: Option<i64>,
}

/// The newest runs of a project and domain, newest first.
///
/// # Errors
/// What the backend says.
pub async fn list(service: &dyn RunService, scope: &ProjectDomain, limit: u32) -> Result<Vec<RunSummary>> {
    let tried = || format!("could not list the runs of {}/{}", scope.project, scope.domain);
    let response = service.list(scope, limit).await.map_err(|failure| failure.into_error(tried()))?;
    Ok(response.runs.into_iter().filter_map(|run: workflow::Run| Some(listed(run.action?))).collect())
}

/// One run.
///
/// # Errors
/// What the backend says, also when there is none of that name.
pub async fn get_run(service: &dyn RunService, run: &RunIdent) -> Result<RunSummary> {
    let tried = || format!("could not look up the run `{}` in {}/{}", run.name, run.scope.project, run.scope.domain);
    let details = service.details(run).await.map_err(|failure| {
        let missing = failure.is(RpcStatus::NotFound);
        let error = failure.into_error(tried());
        if missing { error.help("`cargo union get runs` lists those that there are.") } else { error }
    })?;
    Ok(listed(Action { id: Some(run.action()), metadata: details.metadata, status: details.status }))
}

fn listed(action: Action) -> RunSummary {
    let status = action.status.unwrap_or_default();
    let id = match action.metadata.and_then(|metadata| metadata.spec) {
        Some(Spec::Task(task)) => task.id.unwrap_or_default(),
        None => TaskIdentifier::default(),
    };
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    let seconds = |time: Option<Timestamp>| time.map(|time| time.seconds).filter(|seconds| *seconds > 0);
    RunSummary {
        name: action.id.and_then(|id| id.run).unwrap_or_default().name,
        task: given(id.name),
        version: given(id.version),
        phase: RunState::of_status(&status).phase,
        started: seconds(status.start_time),
        ended: seconds(status.end_time),
    }
}
