//! Runs of one task: on this machine (`local`) or on the backend (`remote`).
//!
//! A library without clap and `ui`: it reports through [`Reporter`] and returns outcomes that `command` prints.

mod inputs;
pub(crate) mod local;
pub mod options;
pub(crate) mod remote;
mod reporter;
mod selection;

pub use crate::flyte::files::{FileTotals, FolderProgress};
pub use crate::flyte::runs::{RunFilter, RunPhase, RunState, TaskLogLine};
pub use reporter::{ProgramLocation, Reporter};
