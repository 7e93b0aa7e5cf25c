//! Options of `run --remote` and `run --follow`.

use std::path::PathBuf;

use super::{OptionsReader, RegisterOptions};
use crate::cli;
use crate::sys::error::Result;

/// Options of `run` on the backend.
#[derive(Debug)]
pub struct RemoteRunOptions {
    /// How the task is built and registered, with the packages and the backend.
    pub register: RegisterOptions,
    /// Whether to start a run or to follow one.
    pub what: RemoteRunMode,
}

/// The run to wait for.
#[derive(Debug)]
pub enum RemoteRunMode {
    /// Start a new run.
    New(NewRun),
    /// `--follow RUN`
    Follow(String),
}

/// Options of a new run.
#[derive(Debug)]
pub struct NewRun {
    /// The name of the task.
    pub task: String,
    /// `--version`
    pub version: Option<String>,
    /// `--inputs FILE`
    pub inputs: Option<PathBuf>,
    /// The inputs after `--`.
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
        let mode = match (follow, run.task) {
            (Some(name), _) => RemoteRunMode::Follow(name),
            (None, task) => {
                let task = task.expect("clap requires a task without `--follow`");
                RemoteRunMode::New(NewRun { task, version, inputs: run.inputs, arguments: run.values, overwrite_cache, detach })
            }
        };
        Ok(RemoteRunOptions { register, what: mode })
    }
}
