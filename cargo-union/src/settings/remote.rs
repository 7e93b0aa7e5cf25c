//! `run --remote` and `run --follow`: a run at the backend.

use std::path::PathBuf;

use super::{OptionsReader, RegisterOptions};
use crate::cli;
use crate::sys::error::Result;

/// What `run` works with when the backend runs.
#[derive(Debug)]
pub struct RemoteRunOptions {
    /// How the task is built and registered; which packages, and which backend.
    pub register: RegisterOptions,
    /// Which run.
    pub what: RemoteRunMode,
}

/// Which run.
#[derive(Debug)]
pub enum RemoteRunMode {
    /// A new one.
    New(NewRun),
    /// `--follow RUN`
    Follow(String),
}

/// A new run.
#[derive(Debug)]
pub struct NewRun {
    /// The task.
    pub task: String,
    /// `--version`
    pub version: Option<String>,
    /// `--inputs FILE`
    pub inputs: Option<PathBuf>,
    /// The words after `--`.
    pub arguments: Vec<String>,
    /// `--overwrite-cache`
    pub overwrite_cache: bool,
    /// `--detach`
    pub detach: bool,
}

impl OptionsReader<'_> {
    pub(super) fn remote(&self, run: cli::RunArgs) -> Result<RemoteRunOptions> {
        let cli::RemoteRunArgs { version, overwrite_cache, detach, follow, .. } = run.remote;
        let register = self.register(cli::RegisterArgs {
            task: run.task.iter().cloned().collect(),
            jobs: run.jobs,
            rehash: run.rehash,
            scope: run.scope,
            backend: run.backend,
            cargo: run.cargo,
            ..cli::RegisterArgs::default()
        })?;
        let what = match (follow, run.task) {
            (Some(name), _) => RemoteRunMode::Follow(name),
            (None, task) => {
                let task = task.expect("a task has to be given where no run is followed");
                RemoteRunMode::New(NewRun { task, version, inputs: run.inputs, arguments: run.values, overwrite_cache, detach })
            }
        };
        Ok(RemoteRunOptions { register, what })
    }
}
