//! `run --remote` and `run --follow`: a run at the backend.

use std::path::PathBuf;

use super::{Reader, Register};
use crate::base::error::Result;
use crate::cli;

/// What `run` works with when the backend runs.
#[derive(Debug)]
pub struct Remote {
    /// How the task is built and registered; which packages, and which backend.
    pub register: Register,
    /// Which run.
    pub what: What,
}

/// Which run.
#[derive(Debug)]
pub enum What {
    /// A new one.
    New(Wanted),
    /// `--follow RUN`
    Follow(String),
}

/// A new run.
#[derive(Debug)]
pub struct Wanted {
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

impl Reader<'_> {
    pub(super) fn remote(&self, run: cli::Run) -> Result<Remote> {
        let cli::Remote { version, overwrite_cache, detach, follow, .. } = run.remote;
        let register = self.register(cli::Register {
            task: run.task.iter().cloned().collect(),
            jobs: run.jobs,
            rehash: run.rehash,
            scope: run.scope,
            backend: run.backend,
            cargo: run.cargo,
            ..cli::Register::default()
        })?;
        let what = match (follow, run.task) {
            (Some(name), _) => What::Follow(name),
            (None, task) => {
                let task = task.expect("a task has to be given where no run is followed");
                What::New(Wanted { task, version, inputs: run.inputs, arguments: run.values, overwrite_cache, detach })
            }
        };
        Ok(Remote { register, what })
    }
}
