//! The availability of a run's logs and steps.

use super::{RunPhase, RunState};
use crate::flyte::convert::CONTAINER_TASK;
use crate::flyte::idl::workflow::ActionDetails;
use crate::flyte::idl::workflow::action_details::Spec;

/// The availability of a run's logs, updated while the run is watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LogStream {
    /// The latest attempt that has started.
    pub(super) attempt: u32,
    /// The latest attempt whose program was reported to run, or whose container is started repeatedly. Logs are not
    /// shown before.
    pub(super) started: u32,
    /// The latest attempt for which the backend reports logs.
    pub(super) logged: u32,
    /// Whether the run has ended.
    pub(super) ended: bool,
    /// Whether the run may have steps: only workers record them, not programs of container tasks.
    pub(super) may_have_steps: bool,
}

impl LogStream {
    /// The availability after a state; `restarts` means that the container is started repeatedly.
    pub(super) fn after(self, details: &ActionDetails, state: RunState, restarts: bool) -> Self {
        let logged = details
            .attempts
            .iter()
            .filter(|attempt| attempt.logs_available)
            .map(|attempt| attempt.attempt)
            .max();
        let running = state.phase == RunPhase::Running;
        let ended = state.phase.is_last();
        // Not all backends count attempts.
        let least = u32::from(running || restarts || ended && !state.cached);
        let attempt = state.attempt.max(least);
        let started = if running || restarts { attempt } else { 0 };
        Self {
            attempt,
            started: self.started.max(started),
            logged: logged.unwrap_or_default(),
            ended,
            may_have_steps: self.may_have_steps || !is_container_task(details),
        }
    }

    /// Whether the logs of an attempt may be shown.
    pub(super) fn may_have_logs(self, attempt: u32) -> bool {
        self.started >= attempt
    }

    /// Whether an attempt has ended.
    pub(super) fn is_over(self, attempt: u32) -> bool {
        self.ended || self.attempt > attempt
    }
}

/// Whether the backend reports that the run is of a container task.
fn is_container_task(details: &ActionDetails) -> bool {
    let Some(Spec::Task(task)) = &details.spec else {
        return false;
    };
    task.task_template
        .as_ref()
        .is_some_and(|template| template.r#type == CONTAINER_TASK)
}
