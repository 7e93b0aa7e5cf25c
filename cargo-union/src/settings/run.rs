//! `run`: which task, where, and with which inputs.

use std::path::PathBuf;

use super::{Output, Reader, Scope, Work};
use crate::base::error::Result;
use crate::cli;

/// What `run` works with.
#[derive(Debug)]
pub struct Run {
    /// How its image is made, for the place where it runs.
    pub work: Work,
    /// The task.
    pub task: String,
    /// `--inputs FILE`
    pub inputs: Option<PathBuf>,
    /// The words after `--`.
    pub arguments: Vec<String>,
    /// Where it runs.
    pub place: Place,
}

/// Where a task runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In its image, in a container engine.
    Engine,
    /// As a process of this machine.
    Host,
}

impl Reader<'_> {
    pub(super) fn run(&self, run: cli::Run) -> Result<Run> {
        let task = run.task.expect("a task has to be given where no run is followed");
        let backend = self.backend(run.backend)?;
        let work = self.work(cli::Work {
            task: vec![task.clone()],
            output: None,
            no_push: false,
            jobs: run.jobs,
            rebuild: false,
            rehash: run.rehash,
            scope: run.scope,
            cargo: run.cargo,
        })?;
        Ok(Run {
            work: Work { output: Output::Docker, describe: true, scope: Scope { backend, ..work.scope }, ..work },
            task,
            inputs: run.inputs,
            arguments: run.values,
            place: if run.host { Place::Host } else { Place::Engine },
        })
    }
}
