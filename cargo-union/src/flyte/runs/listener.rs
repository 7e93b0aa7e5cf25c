//! Progress events of runs, and the policy for reconnecting.

use std::time::Duration;

use super::{RunState, TaskLogLine};
use crate::flyte::rpc::{RpcFailure, RpcStatus};

/// Receives progress events of a run.
pub trait RunListener: Send + Sync {
    /// The state of the run has changed.
    fn is(&self, state: RunState) {
        let _ = state;
    }

    /// The program, or the system that runs it, has written a line.
    fn wrote(&self, line: &TaskLogLine) {
        let _ = line;
    }

    /// The connection to the backend was lost; reconnects after a pause.
    fn lost(&self, why: &str, after: Duration) {
        let _ = (why, after);
    }

    /// The logs of the run are not available.
    fn no_logs(&self, why: &str) {
        let _ = why;
    }
}

/// The policy for reconnecting to a backend.
#[derive(Clone, Copy, Debug)]
pub struct ReconnectPolicy {
    /// The pause after the first failure; it doubles with each further failure.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// The maximum number of consecutive failures.
    pub failures: u32,
    /// How long to wait for further log lines after the end of an attempt.
    pub silence: Duration,
}

impl Default for ReconnectPolicy {
    /// The values of the Python SDK.
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { first: Duration::from_millis(500), longest: seconds(10), failures: 5, silence: seconds(2) }
    }
}

impl ReconnectPolicy {
    /// The pause after the `failed`th consecutive failure; `None` when it exceeds the maximum.
    pub(super) fn pause(self, failed: u32) -> Option<Duration> {
        (failed <= self.failures).then(|| self.first.saturating_mul(1 << (failed.clamp(1, 16) - 1)).min(self.longest))
    }
}

/// Whether a failure is transient. A stream that a proxy resets has the status `canceled`.
pub(super) fn passes(failure: &RpcFailure) -> bool {
    failure.may_pass() || failure.is(RpcStatus::Canceled) || failure.is(RpcStatus::DeadlineExceeded)
}
