//! What a user hears of a run while it goes on.

use std::time::Duration;

use crate::flyte::runs::{RunIdent, RunListener, RunPhase, RunState, TaskLogLine};
use crate::ui::Ui;

/// Tells phases and logs, all on stderr.
pub(super) struct RunReporter<'a> {
    pub(super) run: &'a RunIdent,
    /// Its page.
    pub(super) page: &'a str,
    pub(super) ui: &'a Ui,
}

impl RunListener for RunReporter<'_> {
    fn is(&self, state: RunState) {
        let (verb, more) = match state.phase {
            RunPhase::Unknown => return,
            RunPhase::Queued => ("Queued", ""),
            RunPhase::Waiting => ("Waiting", " for resources"),
            RunPhase::Starting => ("Starting", ""),
            RunPhase::Running => ("Running", ""),
            RunPhase::Paused => ("Paused", " until somebody lets it go on"),
            RunPhase::Succeeded if state.cached => ("Succeeded", " with a cached result"),
            RunPhase::Succeeded => ("Succeeded", ""),
            RunPhase::Recovered => ("Succeeded", " with the result of an earlier run"),
            RunPhase::Failed => ("Failed", ""),
            RunPhase::Aborted => ("Aborted", ""),
            RunPhase::TimedOut => ("Timed out", ""),
        };
        let attempt = if state.attempt > 1 { format!(", attempt {}", state.attempt) } else { String::new() };
        self.ui.status(verb, format!("{}{more}{attempt}", self.run.name));
    }

    fn wrote(&self, line: &TaskLogLine) {
        if line.system {
            self.ui.detail("System", &line.text);
        } else {
            self.ui.write_raw(format!("{}\n", line.text).as_bytes());
        }
    }

    fn lost(&self, why: &str, after: Duration) {
        self.ui.status("Retrying", format!("to follow {} in {:.1} s: {why}", self.run.name, after.as_secs_f64()));
    }

    fn no_logs(&self, why: &str) {
        let name = &self.run.name;
        self.ui.warning(format!("the logs of {name} cannot be shown: {why}\n  = help: look at {}", self.page));
    }
}
