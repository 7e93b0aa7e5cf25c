//! What is known of a run's logs while it is watched.

use super::{RunPhase, RunState};
use crate::flyte::idl::workflow::ActionDetails;

/// What is known of a run's logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LogStream {
    /// The last attempt that has begun.
    pub(super) attempt: u32,
    /// Whether its program runs.
    pub(super) running: bool,
    /// The last attempt of which the backend says that there are logs.
    pub(super) logged: u32,
    /// Whether the run has ended.
    pub(super) ended: bool,
}

impl LogStream {
    pub(super) fn of(details: &ActionDetails, state: RunState) -> Self {
        let logged = details.attempts.iter().filter(|attempt| attempt.logs_available).map(|attempt| attempt.attempt).max();
        let (running, ended) = (state.phase == RunPhase::Running, state.phase.is_last());
        // Not every backend counts attempts.
        let least = u32::from(running || ended && !state.cached);
        Self { attempt: state.attempt.max(least), running, logged: logged.unwrap_or_default(), ended }
    }

    /// Whether an attempt may have written something.
    pub(super) fn may_speak(self, attempt: u32) -> bool {
        self.logged >= attempt || self.running && self.attempt >= attempt
    }

    /// Whether an attempt writes nothing any more.
    pub(super) fn is_over(self, attempt: u32) -> bool {
        self.ended || self.attempt > attempt
    }
}
