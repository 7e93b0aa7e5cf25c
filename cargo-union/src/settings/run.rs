//! `run`: which task, where, and with which inputs.

use super::{BuildOptions, InputOptions, LocalRunOptions, OptionsReader, Output, RunTarget, WorkspaceOptions};
use crate::cli;
use crate::sys::error::Result;

impl OptionsReader<'_> {
    pub(super) fn run(&self, run: cli::RunArgs) -> Result<LocalRunOptions> {
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
        Ok(LocalRunOptions {
            build: BuildOptions { output: Output::Docker, describe: true, scope: WorkspaceOptions { backend, ..work.scope }, ..work },
            task,
            inputs: InputOptions { file: run.inputs, arguments: run.values },
            target: if run.host { RunTarget::Host } else { RunTarget::Engine },
        })
    }
}
