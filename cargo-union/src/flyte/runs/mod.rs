//! Runs of registered tasks: creating, following and reading their outputs.
//!
//! [`create`] can be retried, because the client chooses the run's name; [`follow`] reports phases and logs until
//! the run ends, and reconnects; [`outputs`] reads the outputs. All calls use the run's root action, `a0`.

mod abort;
mod actions;
mod cause;
mod create;
mod events;
mod follow;
mod list;
mod listener;
mod log_line;
mod log_stream;
mod logs;
mod outcome;
mod phase;
mod repeat;
mod report;
mod service;
mod show_logs;
mod steps;
mod summary;
mod watch;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

use super::convert::ProjectDomain;
use super::idl::common::{ActionIdentifier, RunIdentifier};
use super::idl::task::TaskIdentifier;
use crate::sys::error::Result;
use crate::sys::random;

pub use abort::{AbortOutcome, abort};
pub use actions::{ActionSummary, action_tree, ended_well, list_actions};
pub use cause::RunCause;
pub use create::{CacheOptions, RunRequest, create};
pub use events::ClusterEvent;
pub use follow::follow;
pub use list::{RunFilter, list};
pub use listener::{ReconnectPolicy, RunListener};
pub use log_line::TaskLogLine;
pub use outcome::{RunError, RunOutcome, output_literals, outputs};
pub use phase::{RunPhase, RunState};
pub use repeat::{PreviousRun, RepeatRequest, create_repeated, previous};
pub use report::{AttemptReport, RunReport, report_run};
pub use service::{Messages, RunService};
pub(super) use service::{create_under_own_name, offload};
pub use show_logs::{LogRequest, show_logs};
pub use summary::{RunSummary, get_run};

/// A run at the backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunIdent {
    /// The project and domain that it runs in.
    pub scope: ProjectDomain,
    /// Name of the run.
    pub name: String,
}

/// An action of a run: the execution of its task, or one of the steps of that execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionIdent {
    /// The run.
    pub run: RunIdent,
    /// Name of the action, unique in the run.
    pub name: String,
}

/// The name of the root action of every run.
const ROOT: &str = "a0";

/// A version of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskVersion {
    /// The project and domain that it is registered in, which may differ from those of a run.
    pub scope: ProjectDomain,
    /// Name of the task.
    pub name: String,
    /// Version as registered.
    pub version: String,
}

impl RunIdent {
    /// A run with a new random name.
    ///
    /// # Errors
    /// When the operating system's random number generator fails.
    pub fn new(scope: ProjectDomain) -> Result<Self> {
        Ok(Self {
            scope,
            name: new_name()?,
        })
    }

    pub(super) fn id(&self) -> RunIdentifier {
        let ProjectDomain {
            org,
            project,
            domain,
        } = self.scope.clone();
        RunIdentifier {
            org,
            project,
            domain,
            name: self.name.clone(),
        }
    }

    /// `name` in this project and domain.
    pub fn named(scope: ProjectDomain, name: &str) -> Self {
        Self {
            scope,
            name: name.to_owned(),
        }
    }

    /// The root action of the run: the execution of the task itself.
    pub fn root(&self) -> ActionIdent {
        self.action(ROOT)
    }

    /// An action of the run.
    pub fn action(&self, name: &str) -> ActionIdent {
        ActionIdent {
            run: self.clone(),
            name: name.to_owned(),
        }
    }
}

impl ActionIdent {
    pub(super) fn id(&self) -> ActionIdentifier {
        ActionIdentifier {
            run: Some(self.run.id()),
            name: self.name.clone(),
        }
    }
}

impl TaskVersion {
    pub(super) fn id(&self) -> TaskIdentifier {
        self.scope.task_id(&self.name, &self.version)
    }
}

/// A name of 20 characters, as long as the backend's own, which is a valid DNS label.
fn new_name() -> Result<String> {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let random = random::bytes::<19>()?;
    let letters = random
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
    Ok(std::iter::once('u').chain(letters).collect())
}
