//! The state of a run on Flyte 1, converted to the messages of Flyte 2, without I/O.

use crate::flyte::idl::Timestamp;
use crate::flyte::idl::common::{ActionIdentifier, ActionPhase, RunIdentifier};
use crate::flyte::idl::core::CatalogCacheStatus;
use crate::flyte::idl::task::TaskIdentifier;
use crate::flyte::idl::v1::admin::execution_closure::OutputResult;
use crate::flyte::idl::v1::admin::{self, Execution, TaskExecution, task_execution_closure};
use crate::flyte::idl::v1::core::execution_error::ErrorKind;
use crate::flyte::idl::v1::core::{
    ExecutionError, WorkflowExecutionIdentifier, task_execution, workflow_execution,
};
use crate::flyte::idl::workflow::action_details::Result as ActionResult;
use crate::flyte::idl::workflow::action_metadata::Spec;
use crate::flyte::idl::workflow::error_info::Kind;
use crate::flyte::idl::workflow::{
    AbortInfo, Action, ActionAttempt, ActionDetails, ActionMetadata, ActionStatus, ClusterEvent,
    ErrorInfo, TaskActionMetadata,
};

/// The prefix of a task's name in the names of the launch plans that the backend creates for single runs.
const GENERATED: &str = ".flytegen.";

/// The details of a run, from its execution and the attempts of its task.
pub(super) fn details(
    execution: &Execution,
    attempts: &[TaskExecution],
    is_cached: bool,
) -> ActionDetails {
    let action = action(execution);
    let mut status = action.status.unwrap_or_default();
    let last = attempts.iter().max_by_key(|attempt| number(attempt));
    status.phase = phase(execution, last).into();
    status.attempts = last.map(number).unwrap_or_default();
    if is_cached {
        status.cache_status = CatalogCacheStatus::CacheHit.into();
    }
    let closure = execution.closure.clone().unwrap_or_default();
    let result = closure.output_result.map(|result| match result {
        OutputResult::Error(error) => ActionResult::ErrorInfo(error_info(error)),
        OutputResult::AbortCause(reason) => ActionResult::AbortInfo(AbortInfo { reason }),
        OutputResult::AbortMetadata(metadata) => ActionResult::AbortInfo(AbortInfo {
            reason: metadata.cause,
        }),
    });
    ActionDetails {
        id: action.id,
        metadata: action.metadata,
        status: Some(status),
        result,
        spec: None,
        attempts: attempts.iter().map(attempt).collect(),
    }
}

/// A run in a list, without its attempts.
pub(super) fn action(execution: &Execution) -> Action {
    let closure = execution.closure.clone().unwrap_or_default();
    let id = execution.id.clone().unwrap_or_default();
    let spec = execution.spec.clone().unwrap_or_default();
    let start_time = closure.started_at.or(closure.created_at);
    let is_over = is_over(execution);
    Action {
        id: Some(run_action(&id)),
        metadata: spec.launch_plan.map(|plan| ActionMetadata {
            parent: String::new(),
            spec: Some(Spec::Task(TaskActionMetadata {
                id: Some(TaskIdentifier {
                    org: String::new(),
                    project: plan.project,
                    domain: plan.domain,
                    name: plan
                        .name
                        .strip_prefix(GENERATED)
                        .unwrap_or(&plan.name)
                        .to_owned(),
                    version: plan.version,
                }),
            })),
        }),
        status: Some(ActionStatus {
            phase: phase(execution, None).into(),
            start_time,
            end_time: is_over.then(|| end_time(start_time, &closure)).flatten(),
            ..ActionStatus::default()
        }),
    }
}

fn run_action(id: &WorkflowExecutionIdentifier) -> ActionIdentifier {
    ActionIdentifier {
        run: Some(RunIdentifier {
            org: String::new(),
            project: id.project.clone(),
            domain: id.domain.clone(),
            name: id.name.clone(),
        }),
        name: "a0".to_owned(),
    }
}

fn end_time(start: Option<Timestamp>, closure: &admin::ExecutionClosure) -> Option<Timestamp> {
    let (Some(start), Some(duration)) = (start, closure.duration) else {
        return closure.updated_at;
    };
    Some(Timestamp {
        seconds: start.seconds.saturating_add(duration.seconds),
        nanos: 0,
    })
}

/// Whether a run has ended.
pub(super) fn is_over(execution: &Execution) -> bool {
    use workflow_execution::Phase;
    let closure = execution.closure.as_ref();
    let phase = closure
        .map(admin::ExecutionClosure::phase)
        .unwrap_or_default();
    matches!(
        phase,
        Phase::Succeeded | Phase::Failed | Phase::Aborted | Phase::TimedOut
    )
}

/// The phase of a run; while it is running, that of its last attempt, which is more specific.
fn phase(execution: &Execution, last: Option<&TaskExecution>) -> ActionPhase {
    use workflow_execution::Phase;
    let closure = execution.closure.as_ref();
    match closure
        .map(admin::ExecutionClosure::phase)
        .unwrap_or_default()
    {
        Phase::Succeeded => ActionPhase::Succeeded,
        Phase::Failed => ActionPhase::Failed,
        Phase::Aborted => ActionPhase::Aborted,
        Phase::TimedOut => ActionPhase::TimedOut,
        Phase::Succeeding | Phase::Failing | Phase::Aborting => ActionPhase::Running,
        Phase::Undefined | Phase::Queued => ActionPhase::Queued,
        Phase::Running => match last {
            Some(attempt) => attempt_phase(attempt, ActionPhase::Running),
            // The workflow runs before its task has a pod.
            None => ActionPhase::Queued,
        },
    }
}

/// The phase of an attempt; `after` when it has ended, since another one or the end of the run follows.
fn attempt_phase(attempt: &TaskExecution, after: ActionPhase) -> ActionPhase {
    use task_execution::Phase;
    let closure = attempt.closure.as_ref();
    match closure
        .map(admin::TaskExecutionClosure::phase)
        .unwrap_or_default()
    {
        Phase::Undefined | Phase::Queued => ActionPhase::Queued,
        Phase::WaitingForResources => ActionPhase::WaitingForResources,
        Phase::Initializing => ActionPhase::Initializing,
        Phase::Running => ActionPhase::Running,
        Phase::Succeeded | Phase::Aborted | Phase::Failed | Phase::RetryableFailed => after,
    }
}

/// The number of an attempt, from 1.
fn number(attempt: &TaskExecution) -> u32 {
    let retries = attempt.id.as_ref().map(|id| id.retry_attempt);
    retries.unwrap_or_default().saturating_add(1)
}

fn attempt(attempt: &TaskExecution) -> ActionAttempt {
    use task_execution::Phase;
    let closure = attempt.closure.clone().unwrap_or_default();
    let after = match closure.phase() {
        Phase::Succeeded => ActionPhase::Succeeded,
        Phase::Aborted => ActionPhase::Aborted,
        _ => ActionPhase::Failed,
    };
    let error_info = closure
        .output_result
        .map(|task_execution_closure::OutputResult::Error(error)| error_info(error));
    ActionAttempt {
        phase: attempt_phase(attempt, after).into(),
        error_info,
        attempt: number(attempt),
        logs_available: false,
        start_time: closure.started_at,
        end_time: None,
        cluster_events: closure.reasons.into_iter().map(event).collect(),
        phase_transitions: Vec::new(),
    }
}

/// An event of the cluster about an attempt, such as that its image cannot be pulled.
fn event(reason: admin::Reason) -> ClusterEvent {
    ClusterEvent {
        occurred_at: reason.occurred_at,
        message: reason.message,
        reason: String::new(),
        count: 1,
    }
}

fn error_info(error: ExecutionError) -> ErrorInfo {
    let kind = match error.kind() {
        ErrorKind::Unknown => Kind::Unspecified,
        ErrorKind::User => Kind::User,
        ErrorKind::System => Kind::System,
    };
    ErrorInfo {
        message: error.message,
        kind: kind.into(),
        code: error.code,
    }
}
