//! Options of `resolve`.

use super::{OptionsReader, ResolveOptions};
use crate::cli;
use crate::sys::error::Result;
use crate::sys::fs;

impl OptionsReader<'_> {
    pub(super) fn resolve(&self, resolve: cli::ResolveArgs) -> Result<ResolveOptions> {
        let options = self.build_options(cli::BuildArgs {
            jobs: resolve.jobs,
            scope: cli::WorkspaceArgs {
                packages: cli::PackageArgs {
                    manifest_path: resolve.manifest_path,
                    ..cli::PackageArgs::default()
                },
                overrides: resolve.overrides,
            },
            cargo: resolve.cargo,
            ..cli::BuildArgs::default()
        })?;
        let directory = &options.scope.cargo.directory;
        let files = resolve.filename.iter();
        Ok(ResolveOptions {
            files: files
                .map(|file| (file.as_os_str() != "-").then(|| fs::absolute(directory, file)))
                .collect(),
            options,
        })
    }
}
