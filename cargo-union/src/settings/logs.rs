//! Options of `logs`.

use super::{OptionsReader, WorkspaceOptions};
use crate::cli;
use crate::sys::error::Result;

/// Options of `logs`.
#[derive(Debug)]
pub struct LogsOptions {
    /// The packages that set the project, with overrides, and the backend.
    pub scope: WorkspaceOptions,
    /// Name of the run.
    pub run: String,
    /// `--attempt N`
    pub attempt: Option<u32>,
    /// `--action ACTION`
    pub action: Option<String>,
    /// `--follow`
    pub follow: bool,
}

impl OptionsReader<'_> {
    pub(super) fn logs(&self, logs: cli::LogsArgs) -> Result<LogsOptions> {
        Ok(LogsOptions {
            scope: self.project_options(logs.project)?,
            run: logs.run,
            attempt: logs.attempt,
            action: logs.action,
            follow: logs.follow,
        })
    }
}
