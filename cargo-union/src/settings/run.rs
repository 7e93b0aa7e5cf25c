//! `run`: which task, where, and with which inputs.

use std::path::PathBuf;

use super::{BuildOptions, OptionsReader, Output, WorkspaceOptions};
use crate::cli;
use crate::sys::error::Result;

/// What `run` works with.
#[derive(Debug)]
pub struct RunOptions {
    /// How its image is made, for the place where it runs.
    pub work: BuildOptions,
    /// The task.
    pub task: String,
    /// `--inputs FILE`
    pub inputs: Option<PathBuf>,
    /// The words after `--`.
    pub arguments: Vec<String>,
    /// Where it runs.
    pub place: RunTarget,
}

/// Where a task runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunTarget {
    /// In its image, in a container engine.
    Engine,
    /// As a process of this machine.
    Host,
}

impl OptionsReader<'_> {
    pub(super) fn run(&self, run: cli::RunArgs) -> Result<RunOptions> {
        let task = run.task.expect("a task has to be given where no run is followed");
        let backend = self.backend(run.backend)?;
        let work = self.work(cli::BuildArgs {
            task: vec![task.clone()],
            output: None,
            no_push: false,
            jobs: run.jobs,
            rebuild: false,
            rehash: run.rehash,
            scope: run.scope,
            cargo: run.cargo,
        })?;
        Ok(RunOptions {
            work: BuildOptions { output: Output::Docker, describe: true, scope: WorkspaceOptions { backend, ..work.scope }, ..work },
            task,
            inputs: run.inputs,
            arguments: run.values,
            place: if run.host { RunTarget::Host } else { RunTarget::Engine },
        })
    }
}
