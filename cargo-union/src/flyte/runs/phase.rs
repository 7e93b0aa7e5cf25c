//! What a run is doing.

use std::fmt;

use crate::flyte::idl::common::ActionPhase;
use crate::flyte::idl::core::CatalogCacheStatus;
use crate::flyte::idl::workflow::{ActionDetails, ActionStatus};

/// A phase of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunPhase {
    /// The backend has not said, or says something that is not known here.
    #[default]
    Unknown,
    /// It waits for its turn.
    Queued,
    /// It waits for a place in the cluster.
    Waiting,
    /// Its container is made ready.
    Starting,
    /// Its program runs.
    Running,
    /// Somebody has to let it go on.
    Paused,
    /// It ended well.
    Succeeded,
    /// Its result was taken from an earlier run.
    Recovered,
    /// It failed.
    Failed,
    /// Somebody stopped it.
    Aborted,
    /// It took too long.
    TimedOut,
}

impl RunPhase {
    /// Of the protocol's number.
    pub(super) fn of(number: i32) -> Self {
        match ActionPhase::try_from(number).unwrap_or_default() {
            ActionPhase::Unspecified => Self::Unknown,
            ActionPhase::Queued => Self::Queued,
            ActionPhase::WaitingForResources => Self::Waiting,
            ActionPhase::Initializing => Self::Starting,
            ActionPhase::Running => Self::Running,
            ActionPhase::Succeeded => Self::Succeeded,
            ActionPhase::Failed => Self::Failed,
            ActionPhase::Aborted => Self::Aborted,
            ActionPhase::TimedOut => Self::TimedOut,
            ActionPhase::Paused => Self::Paused,
            ActionPhase::Recovered => Self::Recovered,
        }
    }

    /// Whether nothing comes after it.
    pub fn is_last(self) -> bool {
        matches!(self, Self::Succeeded | Self::Recovered | Self::Failed | Self::Aborted | Self::TimedOut)
    }

    /// The word for it, as JSON documents have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Queued => "queued",
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Succeeded => "succeeded",
            Self::Recovered => "recovered",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
            Self::TimedOut => "timed-out",
        }
    }
}

impl fmt::Display for RunPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A phase, and in which attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunState {
    /// The phase.
    pub phase: RunPhase,
    /// Which attempt, from 1; 0 before the first.
    pub attempt: u32,
    /// Whether an earlier run's result was taken.
    pub cached: bool,
}

impl RunState {
    /// Of what the backend tells.
    pub(super) fn of(details: &ActionDetails) -> Self {
        let status = details.status.unwrap_or_default();
        let last = details.attempts.iter().map(|attempt| attempt.attempt).max().unwrap_or_default();
        Self { attempt: status.attempts.max(last), ..Self::of_status(&status) }
    }

    /// Of a status alone.
    pub(super) fn of_status(status: &ActionStatus) -> Self {
        let cached = status.cache_status == i32::from(CatalogCacheStatus::CacheHit);
        Self { phase: RunPhase::of(status.phase), attempt: status.attempts, cached }
    }
}
