//! `get`: what the backend has.

use super::{OptionsReader, WorkspaceOptions};
use crate::cli;
use crate::sys::error::Result;

/// What `get` works with.
#[derive(Debug)]
pub struct GetOptions {
    /// Of what.
    pub of: Resource,
    /// Where: packages, what overrides them, and which backend.
    pub scope: WorkspaceOptions,
    /// How many at most.
    pub limit: u32,
}

/// What is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Tasks.
    Tasks,
    /// Runs.
    Runs,
}

impl OptionsReader<'_> {
    pub(super) fn get(&self, get: cli::GetCommand) -> Result<GetOptions> {
        let (of, listing) = match get {
            cli::GetCommand::Tasks(listing) => (Resource::Tasks, listing),
            cli::GetCommand::Runs(listing) => (Resource::Runs, listing),
        };
        let overrides = cli::OverrideArgs { project: listing.project, domain: listing.domain, ..cli::OverrideArgs::default() };
        let scope = self.scope(cli::WorkspaceArgs { packages: listing.packages, overrides }, &cli::CargoArgs::default())?;
        Ok(GetOptions { of, scope: WorkspaceOptions { backend: self.backend(listing.backend)?, ..scope }, limit: listing.limit })
    }
}
