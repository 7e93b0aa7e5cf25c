//! Options of `run` on this machine.

use super::{BuildOptions, ImageOutput, InputOptions, LocalRunOptions, OptionsReader, RunTarget};
use crate::cli;
use crate::sys::error::Result;

impl OptionsReader<'_> {
    pub(super) fn run(&self, run: cli::RunArgs) -> Result<LocalRunOptions> {
        let task = run.task.expect("clap requires a task without `--follow`");
        let work = self.build_options(cli::BuildArgs {
            task: vec![task.clone()],
            jobs: run.jobs,
            rehash: run.rehash,
            scope: run.scope,
            cargo: run.cargo,
            ..cli::BuildArgs::default()
        })?;
        Ok(LocalRunOptions {
            build: BuildOptions {
                output: ImageOutput::Docker,
                describe: true,
                scope: self.with_backend(work.scope, run.backend)?,
                ..work
            },
            task,
            inputs: InputOptions {
                file: run.inputs,
                arguments: run.values,
            },
            target: if run.host {
                RunTarget::Host
            } else {
                RunTarget::Engine
            },
        })
    }
}
