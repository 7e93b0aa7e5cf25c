//! Phases of a run.

use std::fmt;

use crate::flyte::idl::common::ActionPhase;
use crate::flyte::idl::core::CatalogCacheStatus;
use crate::flyte::idl::workflow::{ActionDetails, ActionStatus};

/// The phase of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunPhase {
    /// Not reported, or not supported by this version.
    #[default]
    Unknown,
    /// Queued for scheduling.
    Queued,
    /// Waiting for resources of the cluster.
    Waiting,
    /// The container is being started.
    Starting,
    /// The program is running.
    Running,
    /// Waiting for a user to resume it.
    Paused,
    /// Ended successfully.
    Succeeded,
    /// The result was taken from an earlier run.
    Recovered,
    /// Ended with an error.
    Failed,
    /// Stopped by a user.
    Aborted,
    /// Stopped because it exceeded a timeout.
    TimedOut,
}

impl RunPhase {
    /// The phase with a number of the protocol.
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

    /// All phases, in the order of a run.
    pub const ALL: &[Self] = &[
        Self::Queued,
        Self::Waiting,
        Self::Starting,
        Self::Running,
        Self::Paused,
        Self::Succeeded,
        Self::Recovered,
        Self::Failed,
        Self::Aborted,
        Self::TimedOut,
    ];

    /// The phase with a name in JSON documents.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|phase| phase.word() == word)
    }

    /// The protocol's number; `None` for an unknown phase.
    pub(super) fn number(self) -> Option<i32> {
        (1..=10).find(|number| Self::of(*number) == self)
    }

    /// Whether the phase is final.
    pub fn is_last(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Recovered | Self::Failed | Self::Aborted | Self::TimedOut
        )
    }

    /// The name in JSON documents.
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

/// The phase of a run with its attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunState {
    /// Current phase.
    pub phase: RunPhase,
    /// Number of the attempt, from 1; 0 before the first attempt.
    pub attempt: u32,
    /// Whether the result was taken from the cache.
    pub cached: bool,
}

impl RunState {
    /// The state in a response with all details.
    pub(super) fn of(details: &ActionDetails) -> Self {
        let status = details.status.unwrap_or_default();
        let last = details
            .attempts
            .iter()
            .map(|attempt| attempt.attempt)
            .max()
            .unwrap_or_default();
        Self {
            attempt: status.attempts.max(last),
            ..Self::of_status(&status)
        }
    }

    /// The state in a status without details.
    pub(super) fn of_status(status: &ActionStatus) -> Self {
        let cached = status.cache_status == i32::from(CatalogCacheStatus::CacheHit);
        Self {
            phase: RunPhase::of(status.phase),
            attempt: status.attempts,
            cached,
        }
    }
}
