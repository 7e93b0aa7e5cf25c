//! Existing runs: the list of a project, and lookup by name.

use super::{ActionIdent, ROOT, RunIdent, RunPhase, RunService, RunState};
use crate::flyte::idl::Timestamp;
use crate::flyte::idl::task::TaskIdentifier;
use crate::flyte::idl::workflow::action_metadata::Spec;
use crate::flyte::idl::workflow::{Action, ActionDetails};
use crate::flyte::rpc::RpcStatus;
use crate::sys::error::Result;

/// A run in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunSummary {
    /// Name of the run.
    pub name: String,
    /// Name of the task; `None` when the backend does not return it.
    pub task: Option<String>,
    /// Version of the task.
    pub version: Option<String>,
    /// Current or final phase.
    pub phase: RunPhase,
    /// Start time in seconds since 1970.
    pub started: Option<i64>,
    /// End time in seconds since 1970; `None` while it is running.
    pub ended: Option<i64>,
}

/// Looks up a run.
///
/// # Errors
/// U0761 (`BackendNotFound`) when there is no such run; other failures of the call.
pub async fn get_run(service: &dyn RunService, run: &RunIdent) -> Result<RunSummary> {
    let details = find_action(service, &run.root()).await?;
    Ok(summarize(run, details))
}

/// The details of an action.
///
/// # Errors
/// As [`get_run`].
pub(super) async fn find_action(
    service: &dyn RunService,
    action: &ActionIdent,
) -> Result<ActionDetails> {
    let ActionIdent { run, name } = action;
    let of_action = if name == ROOT {
        String::new()
    } else {
        format!("the action `{name}` of ")
    };
    let tried = || {
        format!(
            "could not look up {of_action}the run `{}` in {}/{}",
            run.name, run.scope.project, run.scope.domain
        )
    };
    service.details(action).await.map_err(|failure| {
        let missing = failure.is(RpcStatus::NotFound);
        let error = failure.into_error(tried());
        match (missing, name == ROOT) {
            (false, _) => error,
            (true, true) => error.help("`cargo union get runs` lists those that there are."),
            (true, false) => error.help(format!(
                "`cargo union get run {}` lists its actions.",
                run.name
            )),
        }
    })
}

/// The summary in the details of a run's root.
pub(super) fn summarize(run: &RunIdent, details: ActionDetails) -> RunSummary {
    run_summary(Action {
        id: Some(run.root().id()),
        metadata: details.metadata,
        status: details.status,
    })
}

pub(super) fn run_summary(action: Action) -> RunSummary {
    let status = action.status.unwrap_or_default();
    let id = match action.metadata.and_then(|metadata| metadata.spec) {
        Some(Spec::Task(task)) => task.id.unwrap_or_default(),
        _ => TaskIdentifier::default(),
    };
    let nonempty = |text: String| Some(text).filter(|text| !text.is_empty());
    let seconds =
        |time: Option<Timestamp>| time.map(|time| time.seconds).filter(|seconds| *seconds > 0);
    RunSummary {
        name: action.id.and_then(|id| id.run).unwrap_or_default().name,
        task: nonempty(id.name),
        version: nonempty(id.version),
        phase: RunState::of_status(&status).phase,
        started: seconds(status.start_time),
        ended: seconds(status.end_time),
    }
}
