//! The availability of a run's logs.

use super::{RunPhase, RunState};
use crate::flyte::idl::workflow::ActionDetails;

/// The availability of a run's logs, updated while the run is watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LogStream {
    /// The latest attempt that has started.
    pub(super) attempt: u32,
    /// Whether the program of the latest attempt is running.
    pub(super) running: bool,
    /// The latest attempt for which the backend reports logs.
    pub(super) logged: u32,
    /// Whether the run has ended.
    pub(super) ended: bool,
}

impl LogStream {
    pub(super) fn of(details: &ActionDetails, state: RunState) -> Self {
        let logged = details
            .attempts
            .iter()
            .filter(|attempt| attempt.logs_available)
            .map(|attempt| attempt.attempt)
            .max();
        let running = state.phase == RunPhase::Running;
        let ended = state.phase.is_last();
        // Not all backends count attempts.
        let least = u32::from(running || ended && !state.cached);
        Self {
            attempt: state.attempt.max(least),
            running,
            logged: logged.unwrap_or_default(),
            ended,
        }
    }

    /// Whether an attempt may have written logs.
    pub(super) fn may_have_logs(self, attempt: u32) -> bool {
        self.logged >= attempt || self.running && self.attempt >= attempt
    }

    /// Whether an attempt has ended.
    pub(super) fn is_over(self, attempt: u32) -> bool {
        self.ended || self.attempt > attempt
    }
}
