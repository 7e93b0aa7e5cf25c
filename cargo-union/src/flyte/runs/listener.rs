//! Who hears what a run does, and for how long a backend that does not answer is asked again.

use std::time::Duration;

use super::{RunState, TaskLogLine};
use crate::flyte::rpc::{RpcFailure, RpcStatus};

/// Hears what a run does.
pub trait RunListener: Send + Sync {
    /// The run is in another state.
    fn is(&self, state: RunState) {
        let _ = state;
    }

    /// Its program, or the system that runs it, has written a line.
    fn wrote(&self, line: &TaskLogLine) {
        let _ = line;
    }

    /// The line to the backend was cut, and is taken up again.
    fn lost(&self, why: &str, after: Duration) {
        let _ = (why, after);
    }

    /// What the program writes cannot be shown.
    fn no_logs(&self, why: &str) {
        let _ = why;
    }
}

/// How patient we are with a backend.
#[derive(Clone, Copy, Debug)]
pub struct ReconnectPolicy {
    /// The pause after the first failure; each further one doubles.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// So many failures in a row are borne.
    pub failures: u32,
    /// How long logs may be silent after the end of their attempt.
    pub silence: Duration,
}

impl Default for ReconnectPolicy {
    /// As the Python SDK has it.
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { first: Duration::from_millis(500), longest: seconds(10), failures: 5, silence: seconds(2) }
    }
}

impl ReconnectPolicy {
    /// The pause after the `failed`th failure in a row; `None` when that is too many.
    pub(super) fn pause(self, failed: u32) -> Option<Duration> {
        (failed <= self.failures).then(|| self.first.saturating_mul(1 << (failed.clamp(1, 16) - 1)).min(self.longest))
    }
}

/// Whether the same may go well in a moment. A stream that a proxy resets is `canceled`.
pub(super) fn passes(failure: &RpcFailure) -> bool {
    failure.may_pass() || failure.is(RpcStatus::Canceled) || failure.is(RpcStatus::DeadlineExceeded)
}
