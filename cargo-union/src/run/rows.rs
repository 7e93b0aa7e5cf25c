//! Rows of JSON documents about runs.

use std::fmt;

use serde::Serialize;
use union_build::spec::time;

use crate::flyte::runs::{ActionSummary, ClusterEvent};

/// A cluster event of an attempt.
#[derive(Serialize)]
pub(crate) struct EventRow<'a> {
    attempt: u32,
    time: Option<String>,
    reason: &'a str,
    message: &'a str,
    count: u32,
    /// The code of a known cause, and what to do about it.
    code: Option<&'static str>,
    help: Option<&'static str>,
}

impl<'a> EventRow<'a> {
    pub(crate) fn of(event: &'a ClusterEvent) -> Self {
        let cause = event.cause();
        Self {
            attempt: event.attempt,
            time: event.time.map(|seconds| time::datetime(seconds, 0)),
            reason: &event.reason,
            message: &event.message,
            count: event.count,
            code: cause
                .and_then(|cause| cause.code())
                .map(|code| code.as_str()),
            help: cause.map(|cause| cause.advice()),
        }
    }
}

impl fmt::Display for EventRow<'_> {
    /// `TIME  REASON: MESSAGE (COUNT times)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.time.as_deref().unwrap_or("-");
        let message = self.message.replace('\n', "\n    ");
        write!(f, "{time:<20}  {}: {message}", self.reason)?;
        match self.count {
            1 => Ok(()),
            count => write!(f, " ({count} times)"),
        }
    }
}

/// An action of a run.
#[derive(Serialize)]
pub(crate) struct ActionRow<'a> {
    name: &'a str,
    /// Null for the root.
    parent: Option<&'a str>,
    kind: &'static str,
    /// The name of the task, the traced function or the condition.
    title: &'a str,
    phase: &'static str,
    attempts: u32,
    started: Option<String>,
    ended: Option<String>,
    seconds: Option<f64>,
}

impl<'a> ActionRow<'a> {
    pub(crate) fn of(action: &'a ActionSummary) -> Self {
        Self {
            name: &action.name,
            parent: Some(action.parent.as_str()).filter(|parent| !parent.is_empty()),
            kind: action.kind,
            title: &action.title,
            phase: action.state.phase.word(),
            attempts: action.state.attempt,
            started: format_time(action.started),
            ended: format_time(action.ended),
            seconds: action.seconds(),
        }
    }
}

/// A time in seconds since 1970.
fn format_time(seconds: Option<f64>) -> Option<String> {
    seconds.map(|seconds| time::datetime(seconds as i64, 0))
}
