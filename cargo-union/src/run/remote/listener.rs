//! Events of a run at the backend, as events of the reporter.

use std::time::Duration;

use crate::flyte::runs::{RunIdent, RunListener, RunState, TaskLogLine};
use crate::run::Reporter;

/// Forwards the events of a run.
pub(super) struct EventForwarder<'a> {
    pub(super) run: &'a RunIdent,
    /// The URL of the run's page.
    pub(super) page: &'a str,
    pub(super) reporter: &'a dyn Reporter,
}

impl RunListener for EventForwarder<'_> {
    fn is(&self, state: RunState) {
        self.reporter.run_state(&self.run.name, state);
    }

    fn wrote(&self, line: &TaskLogLine) {
        self.reporter.run_log(line);
    }

    fn lost(&self, why: &str, after: Duration) {
        self.reporter.reconnecting(&self.run.name, why, after);
    }

    fn no_logs(&self, why: &str) {
        self.reporter
            .logs_unavailable(&self.run.name, self.page, why);
    }
}
