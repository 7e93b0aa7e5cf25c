//! `run`: which task, where, and with which inputs.

use std::path::PathBuf;

use super::{Output, Reader, Work};
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
        let work = cli::Work {
            task: vec![run.task.clone()],
            output: None,
            no_push: false,
            jobs: run.jobs,
            rebuild: false,
            scope: run.scope,
            cargo: run.cargo,
        };
        Ok(Run {
            work: Work { output: Output::Docker, describe: true, ..self.work(work)? },
            task: run.task,
            inputs: run.inputs,
            arguments: run.values,
            place: if run.host { Place::Host } else { Place::Engine },
        })
    }
}
