//! Events of the cluster: why a run has not started yet.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::cause::RunCause;
use super::{RunPhase, RunState};
use crate::flyte::idl::Timestamp;
use crate::flyte::idl::workflow::{self, ActionDetails};
use crate::sys::words;

/// The maximum length of an event's text, in characters.
const LONGEST: usize = 2000;

/// How many events of one run are recorded as reported; further ones are not reported.
const MOST: usize = 256;

/// An event of the cluster about an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterEvent {
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// When it happened last, in seconds since 1970.
    pub time: Option<i64>,
    /// The reason, such as `FailedScheduling`; may be empty.
    pub reason: String,
    /// What happened, without control characters.
    pub message: String,
    /// How often it happened, at least 1.
    pub count: u32,
}

impl ClusterEvent {
    fn of(attempt: u32, event: &workflow::ClusterEvent) -> Self {
        Self {
            attempt,
            time: event.occurred_at.map(|time| time.seconds),
            reason: words::printable(&event.reason, LONGEST),
            message: words::printable(&event.message, LONGEST),
            count: u32::try_from(event.count).unwrap_or_default().max(1),
        }
    }

    /// Its reason and its message.
    pub fn text(&self) -> String {
        match (self.reason.as_str(), self.message.as_str()) {
            ("", text) | (text, "") => text.to_owned(),
            (reason, message) => format!("{reason}: {message}"),
        }
    }

    /// The known cause in its text.
    pub fn cause(&self) -> Option<RunCause> {
        RunCause::of(&self.text())
    }
}

/// The events of an attempt, the oldest first. Equal times keep the order of the backend.
pub(super) fn events_of(attempt: &workflow::ActionAttempt) -> Vec<ClusterEvent> {
    let time = |event: &&workflow::ClusterEvent| {
        event
            .occurred_at
            .map(|time: Timestamp| (time.seconds, time.nanos))
    };
    let mut events: Vec<_> = attempt.cluster_events.iter().collect();
    events.sort_by_key(time);
    events
        .into_iter()
        .map(|event| ClusterEvent::of(attempt.attempt, event))
        .collect()
}

/// The event with the most specific reason why the latest attempt waits: the one of a known cause that still applies,
/// or the newest.
fn current(details: &ActionDetails) -> Option<ClusterEvent> {
    let attempt = details
        .attempts
        .iter()
        .max_by_key(|attempt| attempt.attempt)?;
    let mut newest = None;
    let mut known: Option<(RunCause, ClusterEvent)> = None;
    for event in events_of(attempt) {
        match (event.cause().filter(|cause| cause.code().is_some()), &known) {
            (Some(cause), Some((before, kept))) if says_more(&event, cause, kept, *before) => {
                known = Some((cause, event));
            }
            (Some(_), Some(_)) => {}
            (Some(cause), None) => known = Some((cause, event)),
            (None, _) => {
                if is_progress(&event.reason) {
                    known = None;
                }
                newest = Some(event);
            }
        }
    }
    known.map(|(_, event)| event).or(newest)
}

/// Whether an event replaces an older one. A message that a pull is retried does not replace the reason why it failed.
fn says_more(event: &ClusterEvent, cause: RunCause, kept: &ClusterEvent, before: RunCause) -> bool {
    let is_pull = |cause| matches!(cause, RunCause::Image(_));
    let is_reason = |event: &ClusterEvent| event.message.to_lowercase().contains("failed to pull");
    !(is_pull(cause) && is_pull(before)) || is_reason(event) || !is_reason(kept)
}

/// Whether a Kubernetes reason means that the attempt is no longer blocked.
fn is_progress(reason: &str) -> bool {
    matches!(reason, "Scheduled" | "Pulled" | "Created" | "Started")
}

/// Decides which events of a waiting run are reported: those after it has waited for a while, each text once.
#[derive(Debug)]
pub(super) struct WaitMonitor {
    wait_interval: Duration,
    /// When the events of the run are read next; `None` while it does not wait.
    due: Option<Instant>,
    reported: HashSet<(u32, String)>,
}

impl WaitMonitor {
    pub(super) fn new(wait_interval: Duration) -> Self {
        Self {
            wait_interval,
            due: None,
            reported: HashSet::new(),
        }
    }

    /// Records a state and the time at which it was received.
    pub(super) fn observe(&mut self, state: RunState, now: Instant) {
        let waits = matches!(
            state.phase,
            RunPhase::Queued | RunPhase::Waiting | RunPhase::Starting
        );
        self.due = match self.due {
            Some(due) if waits => Some(due),
            None if waits => Some(now + self.wait_interval),
            _ => None,
        };
    }

    /// When the events of the run have to be read.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The event to report, if the run has waited until now; `None` if it is not due or was reported before.
    pub(super) fn due_event(
        &mut self,
        details: &ActionDetails,
        now: Instant,
    ) -> Option<ClusterEvent> {
        if self.due? > now {
            return None;
        }
        self.due = Some(now + self.wait_interval);
        current(details).filter(|event| self.is_new(event))
    }

    /// Whether an event was not reported before. Restarts are reported once, in whatever event they are found.
    pub(super) fn is_new(&mut self, event: &ClusterEvent) -> bool {
        let key = match event.cause() {
            Some(RunCause::Restarts) => String::new(),
            _ => event.text(),
        };
        self.reported.len() < MOST && self.reported.insert((event.attempt, key))
    }
}

/// Detects that the cluster starts a container of one attempt repeatedly: the phases go back and forth.
#[derive(Debug, Default)]
pub(super) struct RestartMonitor {
    last: RunState,
    /// How often the phase went back in this attempt.
    returns: u32,
}

impl RestartMonitor {
    /// How often the phase has to go back before it counts as a restart.
    const RETURNS: u32 = 2;

    /// Records a state; returns an event once the container was started repeatedly.
    pub(super) fn observe(&mut self, state: RunState) -> Option<ClusterEvent> {
        let rank = |phase| match phase {
            RunPhase::Queued | RunPhase::Waiting => Some(1),
            RunPhase::Starting => Some(2),
            RunPhase::Running => Some(3),
            _ => None,
        };
        if state.attempt != self.last.attempt {
            self.returns = 0;
        } else if let (Some(before), Some(now)) = (rank(self.last.phase), rank(state.phase)) {
            self.returns += u32::from(now < before);
        }
        self.last = state;
        self.restarts().then(|| ClusterEvent {
            attempt: state.attempt,
            time: None,
            reason: "CrashLoopBackOff".to_owned(),
            message: "its container ends and is started again, and the attempt stays the same"
                .to_owned(),
            count: self.returns,
        })
    }

    /// Whether the container of this attempt is started repeatedly.
    pub(super) fn restarts(&self) -> bool {
        self.returns >= Self::RETURNS
    }
}
