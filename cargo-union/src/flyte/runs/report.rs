//! The details of one run.

use serde_json::Value;

use super::actions::{ActionSummary, list_actions};
use super::events::{ClusterEvent, events_of};
use super::outcome::{declared_values, run_error};
use super::summary::{find_action, summarize};
use super::{
    ActionIdent, RunError, RunIdent, RunOutcome, RunPhase, RunService, RunState, RunSummary,
};
use crate::flyte::idl::Timestamp;
use crate::flyte::idl::core::task_template::Target;
use crate::flyte::idl::workflow::action_details::Spec;
use crate::flyte::idl::workflow::{ActionAttempt, ActionDetails};
use crate::flyte::rpc::RpcStatus;
use crate::sys::error::Result;

/// The details of one run, as far as the backend has them.
#[derive(Clone, Debug)]
pub struct RunReport {
    /// Its task, phase and times.
    pub summary: RunSummary,
    /// Reference of its image; `None` when the backend does not return it.
    pub image: Option<String>,
    /// Its attempts in order.
    pub attempts: Vec<AttemptReport>,
    /// How it ended; `None` while it is running.
    pub outcome: Option<RunOutcome>,
    /// Inputs by name, as JSON; `None` when the backend has none yet.
    pub inputs: Option<Vec<(String, Value)>>,
    /// Declared outputs by name, as JSON; `None` unless it succeeded.
    pub outputs: Option<Vec<(String, Value)>>,
    /// Its actions, the oldest first.
    pub actions: Vec<ActionSummary>,
}

/// An attempt of a run.
#[derive(Clone, Debug)]
pub struct AttemptReport {
    /// From 1.
    pub number: u32,
    /// Current or final phase.
    pub phase: RunPhase,
    /// Start time in seconds since 1970.
    pub started: Option<i64>,
    /// End time in seconds since 1970.
    pub ended: Option<i64>,
    /// Why it failed.
    pub error: Option<RunError>,
    /// Its phases with the times when they were entered, in seconds since 1970.
    pub phases: Vec<(RunPhase, Option<i64>)>,
    /// Events of the cluster, the oldest first.
    pub events: Vec<ClusterEvent>,
}

/// Requests the details of a run.
///
/// # Errors
/// U0761 (`BackendNotFound`) when there is no such run; other failures of the calls.
pub async fn report_run(service: &dyn RunService, run: &RunIdent) -> Result<RunReport> {
    let root = run.root();
    let details = find_action(service, &root).await?;
    let (data, actions) = tokio::join!(data(service, &root), list_actions(service, run));
    let (inputs, outputs) = data?;
    let succeeded = RunState::of(&details).phase == RunPhase::Succeeded;
    let outcome = RunOutcome::of(&details);
    let mut attempts: Vec<_> = details.attempts.iter().map(AttemptReport::of).collect();
    attempts.sort_by_key(|attempt| attempt.number);
    Ok(RunReport {
        image: image(&details),
        summary: summarize(run, details),
        attempts,
        outcome,
        inputs,
        outputs: outputs.filter(|_| succeeded),
        actions: actions?,
    })
}

type Values = Option<Vec<(String, Value)>>;

/// The inputs and the declared outputs.
async fn data(service: &dyn RunService, action: &ActionIdent) -> Result<(Values, Values)> {
    match service.data(action).await {
        Ok(data) => Ok((
            data.inputs.map(|inputs| declared_values(inputs.literals)),
            data.outputs
                .map(|outputs| declared_values(outputs.literals)),
        )),
        Err(failure) if failure.is(RpcStatus::NotFound) => Ok((None, None)),
        Err(failure) => Err(failure.into_error(format!(
            "could not fetch the inputs and outputs of run `{}`",
            action.run.name
        ))),
    }
}

fn image(details: &ActionDetails) -> Option<String> {
    let Spec::Task(task) = details.spec.as_ref()?;
    let Target::Container(container) = task.task_template.as_ref()?.target.as_ref()?;
    Some(container.image.clone()).filter(|image| !image.is_empty())
}

impl AttemptReport {
    fn of(attempt: &ActionAttempt) -> Self {
        let seconds = |time: Option<Timestamp>| time.map(|time| time.seconds);
        Self {
            number: attempt.attempt,
            phase: RunPhase::of(attempt.phase),
            started: seconds(attempt.start_time),
            ended: seconds(attempt.end_time),
            error: attempt.error_info.as_ref().map(run_error),
            phases: attempt
                .phase_transitions
                .iter()
                .map(|entered| (RunPhase::of(entered.phase), seconds(entered.start_time)))
                .collect(),
            events: events_of(attempt),
        }
    }
}
