//! Options of `run` on this machine.

use std::path::PathBuf;

use super::{BuildOptions, OptionsReader, Output, WorkspaceOptions};
use crate::cli;
use crate::sys::error::Result;

/// Options of `run` on this machine.
#[derive(Debug)]
pub struct RunOptions {
    /// How its image is built.
    pub work: BuildOptions,
    /// The name of the task.
    pub task: String,
    /// `--inputs FILE`
    pub inputs: Option<PathBuf>,
    /// The inputs after `--`.
    pub arguments: Vec<String>,
    /// Whether it runs in an engine or on the host.
    pub place: RunTarget,
}

/// Where a task runs on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunTarget {
    /// In a container of its image.
    Engine,
    /// As a process of the host.
    Host,
}

impl OptionsReader<'_> {
    pub(super) fn run(&self, run: cli::RunArgs) -> Result<RunOptions> {
        let task = run.task.expect("clap requires a task without `--follow`");
        let backend = self.backend_options(run.backend)?;
        let work = self.build_options(cli::BuildArgs {
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
