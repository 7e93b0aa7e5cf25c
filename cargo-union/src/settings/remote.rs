//! Options of `run --remote` and `run --follow`.

use super::{InputOptions, NewRun, OptionsReader, RemoteRunMode, RemoteRunOptions};
use crate::cli;
use crate::sys::error::Result;

impl OptionsReader<'_> {
    pub(super) fn remote(&self, run: cli::RunArgs) -> Result<RemoteRunOptions> {
        let cli::RemoteRunArgs {
            version,
            overwrite_cache,
            allow_unpinned,
            detach,
            follow,
            save_outputs,
            ..
        } = run.remote;
        let register = self.register(cli::RegisterArgs {
            task: run.task.iter().cloned().collect(),
            jobs: run.jobs,
            rehash: run.rehash,
            allow_unpinned,
            scope: run.scope,
            backend: run.backend,
            cargo: run.cargo,
            ..cli::RegisterArgs::default()
        })?;
        let mode = match (follow, run.task) {
            (Some(name), _) => RemoteRunMode::Follow(name),
            (None, task) => {
                let task = task.expect("clap requires a task without `--follow`");
                let inputs = InputOptions {
                    file: run.inputs,
                    arguments: run.values,
                };
                RemoteRunMode::New(NewRun {
                    task,
                    version,
                    inputs,
                    overwrite_cache,
                    detach,
                })
            }
        };
        Ok(RemoteRunOptions {
            register,
            mode,
            save_outputs,
        })
    }
}
