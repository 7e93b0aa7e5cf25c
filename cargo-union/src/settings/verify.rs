//! Options of `verify`.

use super::{OptionsReader, current_directory};
use crate::cli;
use crate::pipeline::options::VerifyOptions;
use crate::sys::error::Result;
use crate::sys::fs;

impl OptionsReader<'_> {
    /// The options of `verify`, which never changes Cargo.lock or Union.lock.
    pub(super) fn verify(&self, verify: cli::VerifyArgs) -> Result<VerifyOptions> {
        let build = self.build_options(cli::BuildArgs {
            scope: verify.scope,
            cargo: cli::CargoArgs {
                locked: true,
                ..cli::CargoArgs::default()
            },
            ..cli::BuildArgs::default()
        })?;
        let directory = current_directory()?;
        Ok(VerifyOptions {
            build,
            reference: verify.reference,
            image: verify.image,
            rebuild: verify.rebuild,
            key: verify.key.map(|key| fs::absolute(&directory, &key)),
        })
    }
}
