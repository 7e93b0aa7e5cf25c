//! Options of `get`.

use super::{OptionsReader, WorkspaceOptions};
use crate::cli;
use crate::sys::error::Result;

/// Options of `get`.
#[derive(Debug)]
pub struct GetOptions {
    /// What to list.
    pub of: Resource,
    /// The packages that set the project, with overrides, and the backend.
    pub scope: WorkspaceOptions,
    /// The maximum number of entries.
    pub limit: u32,
}

/// A kind of resource of the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Tasks with their latest versions.
    Tasks,
    /// Runs with their phases.
    Runs,
}

impl OptionsReader<'_> {
    pub(super) fn get(&self, get: cli::GetCommand) -> Result<GetOptions> {
        let (of, listing) = match get {
            cli::GetCommand::Tasks(listing) => (Resource::Tasks, listing),
            cli::GetCommand::Runs(listing) => (Resource::Runs, listing),
        };
        let overrides = cli::OverrideArgs {
            project: listing.project,
            domain: listing.domain,
            ..cli::OverrideArgs::default()
        };
        let scope = self.workspace_options(
            cli::WorkspaceArgs {
                packages: listing.packages,
                overrides,
            },
            &cli::CargoArgs::default(),
        )?;
        Ok(GetOptions {
            of,
            scope: WorkspaceOptions {
                backend: self.backend_options(listing.backend)?,
                ..scope
            },
            limit: listing.limit,
        })
    }
}
