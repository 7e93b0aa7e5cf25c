//! Who hears what a run does, and for how long a backend that does not answer is asked again.

use std::time::Duration;

use super::{RunState, TaskLogLine};
use crate::flyte::rpc::{RpcFailure, RpcStatus};
use crate::http::retry::RetryPolicy;

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
    /// How often in a row a stream is opened without a message.
    pub retry: RetryPolicy,
    /// How long logs may be silent after the end of their attempt.
    pub silence: Duration,
}

impl Default for ReconnectPolicy {
    /// As the Python SDK has it.
    fn default() -> Self {
        let seconds = Duration::from_secs;
        let retry = RetryPolicy { attempts: 6, first_pause: Duration::from_millis(500), longest_pause: seconds(10), jitter: false };
        Self { retry, silence: seconds(2) }
    }
}

/// Whether the same may go well in a moment. A stream that a proxy resets is `canceled`.
pub(super) fn passes(failure: &RpcFailure) -> bool {
    failure.is_transient() || failure.is(RpcStatus::Canceled) || failure.is(RpcStatus::DeadlineExceeded)
}
