//! `register`: what is built, and what the backend is told of it.

pub use crate::deploy::options::RegisterOptions;

use super::{BuildOptions, OptionsReader, WorkspaceOptions, current_folder};
use crate::cli;
use crate::sys::error::Result;
use crate::sys::fs;

impl OptionsReader<'_> {
    /// Images go to the registry and nowhere else: a cluster has to find them.
    pub(super) fn register(&self, register: cli::RegisterArgs) -> Result<RegisterOptions> {
        let backend = self.backend(register.backend)?;
        let work = self.work(cli::BuildArgs {
            task: register.task,
            output: None,
            no_push: false,
            jobs: register.jobs,
            rebuild: false,
            rehash: register.rehash,
            scope: register.scope,
            cargo: register.cargo,
        })?;
        let folder = current_folder()?;
        let requests = register.output.map(|output| fs::absolute(&folder, &output));
        let mut scope = WorkspaceOptions { backend, ..work.scope };
        scope.cargo.written.extend(requests.clone());
        Ok(RegisterOptions {
            options: BuildOptions { scope, dry: register.dry_run, describe: true, allow_unpinned: register.allow_unpinned, ..work },
            version: register.version,
            replace: register.replace,
            require_clean: register.require_clean,
            require_public: register.require_public,
            requests,
        })
    }
}
