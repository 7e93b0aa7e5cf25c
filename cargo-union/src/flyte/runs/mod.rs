//! Runs of registered tasks: created once, and watched to their end whatever happens to the line.
//!
//! [`create`] may be tried again, because we choose a run's name; [`follow`] tells phases and logs until
//! the run ends; [`outputs`] fetches what it gave. Everything is asked of the run's root action, `a0`.

mod create;
mod follow;
mod listener;
mod log_stream;
mod logs;
mod outcome;
mod phase;
mod service;
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

pub use create::{CacheOptions, RunRequest, create};
pub use follow::follow;
pub use listener::{ReconnectPolicy, RunListener};
pub use logs::TaskLogLine;
pub use outcome::{RunError, RunOutcome, outputs};
pub use phase::{RunPhase, RunState};
pub use service::{Messages, RunService};
pub(super) use service::{create_under_own_name, offload};
pub use summary::{RunSummary, get_run, list};

/// A run at the backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunIdent {
    /// Where it is.
    pub scope: ProjectDomain,
    /// Its name.
    pub name: String,
}

/// One version of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskVersion {
    /// Where it is registered, which may be elsewhere than where it runs.
    pub scope: ProjectDomain,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl RunIdent {
    /// A run in a place, under a name that nobody else has.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn new(scope: ProjectDomain) -> Result<Self> {
        Ok(Self { scope, name: new_name()? })
    }

    pub(super) fn id(&self) -> RunIdentifier {
        let ProjectDomain { org, project, domain } = self.scope.clone();
        RunIdentifier { org, project, domain, name: self.name.clone() }
    }

    /// The root action, which is the task itself.
    fn action(&self) -> ActionIdentifier {
        ActionIdentifier { run: Some(self.id()), name: "a0".to_owned() }
    }
}

impl TaskVersion {
    pub(super) fn id(&self) -> TaskIdentifier {
        let ProjectDomain { org, project, domain } = self.scope.clone();
        TaskIdentifier { org, project, domain, name: self.name.clone(), version: self.version.clone() }
    }
}

/// As long as the backend's own names, and a label of DNS as it wants them.
fn new_name() -> Result<String> {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let random = random::bytes::<19>()?;
    let letters = random.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
    Ok(std::iter::once('u').chain(letters).collect())
}
