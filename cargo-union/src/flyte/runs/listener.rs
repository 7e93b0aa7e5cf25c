//! Progress events of runs, and the policy for reconnecting.

use std::time::Duration;

use super::{ActionSummary, ClusterEvent, RunState, TaskLogLine};
use crate::flyte::rpc::{RpcFailure, RpcStatus};
use crate::http::retry::RetryPolicy;

/// Receives progress events of a run.
pub trait RunListener: Send + Sync {
    /// The state of the run has changed.
    fn state_changed(&self, state: RunState) {
        let _ = state;
    }

    /// The cluster reports why the run has not started, or that its container is started repeatedly.
    fn cluster_event(&self, event: &ClusterEvent) {
        let _ = event;
    }

    /// Whether the steps of the run are reported, which takes another stream.
    fn reports_actions(&self) -> bool {
        false
    }

    /// A step of the run has ended.
    fn action_ended(&self, step: &ActionSummary) {
        let _ = step;
    }

    /// The program, or the system that runs it, has written a line.
    fn log_line(&self, line: &TaskLogLine) {
        let _ = line;
    }

    /// The connection to the backend was lost; reconnects after a pause.
    fn reconnecting(&self, why: &str, after: Duration) {
        let _ = (why, after);
    }

    /// The logs of an attempt are not available.
    fn logs_unavailable(&self, attempt: u32, why: &str) {
        let _ = (attempt, why);
    }
}

/// The policy for reconnecting to a backend.
#[derive(Clone, Copy, Debug)]
pub struct ReconnectPolicy {
    /// The attempts at one stream, counted again after each message, and their pauses.
    pub retry: RetryPolicy,
    /// How long to wait for further log lines after the end of an attempt.
    pub log_timeout: Duration,
    /// How long a run may wait before the reason is reported, and the interval at which the reason is read again.
    pub wait_interval: Duration,
}

impl Default for ReconnectPolicy {
    /// The values of the Python SDK, except for `wait_interval`, which it does not have.
    fn default() -> Self {
        let seconds = Duration::from_secs;
        let retry = RetryPolicy {
            attempts: 6,
            first_pause: Duration::from_millis(500),
            longest_pause: seconds(10),
            jitter: false,
        };
        Self {
            retry,
            log_timeout: seconds(2),
            wait_interval: seconds(3),
        }
    }
}

/// Whether a failure is transient. A stream that a proxy resets has the status `canceled`.
pub(super) fn passes(failure: &RpcFailure) -> bool {
    failure.is_transient()
        || failure.is(RpcStatus::Canceled)
        || failure.is(RpcStatus::DeadlineExceeded)
}
