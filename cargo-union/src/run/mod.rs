//! Runs of one task: on this machine (`local`) or on the backend (`remote`).
//!
//! A library without clap and `ui`: it reports through [`Reporter`] and returns outcomes that `command` prints.

mod inputs;
pub(crate) mod local;
pub(crate) mod logs;
pub mod options;
pub(crate) mod remote;
pub(crate) mod report;
mod reporter;
pub(crate) mod rows;
mod selection;

pub use crate::flyte::files::{DirectoryProgress, FileTotals};
pub use crate::flyte::runs::{
    ActionSummary, ClusterEvent, RunFilter, RunPhase, RunState, TaskLogLine, ended_well,
};
pub use reporter::{ProgramLocation, Reporter};
