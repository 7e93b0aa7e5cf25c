//! Events of a run at the backend, as events of the reporter.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::flyte::runs::{
    ActionSummary, ClusterEvent, RunCause, RunIdent, RunListener, RunState, TaskLogLine,
};
use crate::run::Reporter;

/// Forwards the events of a run.
pub(super) struct EventForwarder<'a> {
    pub(super) run: &'a RunIdent,
    /// The URL of the run's page.
    pub(super) page: &'a str,
    pub(super) reporter: &'a dyn Reporter,
    reported: Mutex<ReportedEvents>,
}

/// What was reported of a run.
#[derive(Debug, Default)]
pub(super) struct ReportedEvents {
    /// The cluster events, such as reasons for waiting.
    pub(super) events: Vec<ClusterEvent>,
    /// Its steps that have ended, in this order.
    pub(super) steps: Vec<ActionSummary>,
    /// Whether a line of its log reports that the object store denies access.
    pub(super) store_refuses: bool,
}

impl<'a> EventForwarder<'a> {
    pub(super) fn new(run: &'a RunIdent, page: &'a str, reporter: &'a dyn Reporter) -> Self {
        Self {
            run,
            page,
            reporter,
            reported: Mutex::default(),
        }
    }

    pub(super) fn into_reported(self) -> ReportedEvents {
        self.reported
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn reported(&self) -> MutexGuard<'_, ReportedEvents> {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RunListener for EventForwarder<'_> {
    fn state_changed(&self, state: RunState) {
        self.reporter.run_state(&self.run.name, state);
    }

    fn cluster_event(&self, event: &ClusterEvent) {
        self.reporter.run_waits(&self.run.name, event);
        self.reported().events.push(event.clone());
    }

    fn reports_actions(&self) -> bool {
        true
    }

    fn action_ended(&self, step: &ActionSummary) {
        self.reporter.run_step(step);
        self.reported().steps.push(step.clone());
    }

    fn log_line(&self, line: &TaskLogLine) {
        self.reporter.run_log(line);
        // Only short lines are error messages of the store.
        if line.text.len() < 10_000 && RunCause::of(&line.text) == Some(RunCause::ObjectStore) {
            self.reported().store_refuses = true;
        }
    }

    fn reconnecting(&self, why: &str, after: Duration) {
        self.reporter.reconnecting(&self.run.name, why, after);
    }

    fn logs_unavailable(&self, attempt: u32, why: &str) {
        self.reporter
            .logs_unavailable(&self.run.name, attempt, self.page, why);
    }
}
