//! Options of `register`.

pub use crate::deploy::options::RegisterOptions;

use super::{BuildOptions, OptionsReader, current_directory};
use crate::cli;
use crate::sys::error::Result;
use crate::sys::fs;

impl OptionsReader<'_> {
    /// Images are always pushed to the registry, since a cluster has to pull them.
    pub(super) fn register(&self, register: cli::RegisterArgs) -> Result<RegisterOptions> {
        let work = self.build_options(cli::BuildArgs {
            task: register.task,
            jobs: register.jobs,
            rehash: register.rehash,
            scope: register.scope,
            cargo: register.cargo,
            ..cli::BuildArgs::default()
        })?;
        let directory = current_directory()?;
        let requests = register
            .output
            .map(|output| fs::absolute(&directory, &output));
        let mut scope = self.with_backend(work.scope, register.backend)?;
        scope.cargo.written.extend(requests.clone());
        Ok(RegisterOptions {
            options: BuildOptions {
                scope,
                dry: register.dry_run,
                describe: true,
                signing: self.signing(register.sign_key)?,
                allow_unpinned: register.allow_unpinned,
                ..work
            },
            version: register.version,
            replace: register.replace,
            require_clean: register.require_clean,
            require_public: register.require_public,
            requests,
        })
    }
}
