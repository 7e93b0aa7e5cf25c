//! `get`: what the backend has.

use super::{Reader, Scope};
use crate::base::error::Result;
use crate::cli;

/// What `get` works with.
#[derive(Debug)]
pub struct Get {
    /// Of what.
    pub of: Of,
    /// Where: packages, what overrides them, and which backend.
    pub scope: Scope,
    /// How many at most.
    pub limit: u32,
}

/// What is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// Tasks.
    Tasks,
    /// Runs.
    Runs,
}

impl Reader<'_> {
    pub(super) fn get(&self, get: cli::Get) -> Result<Get> {
        let (of, listing) = match get {
            cli::Get::Tasks(listing) => (Of::Tasks, listing),
            cli::Get::Runs(listing) => (Of::Runs, listing),
        };
        let overrides = cli::Overrides { project: listing.project, domain: listing.domain, ..cli::Overrides::default() };
        let scope = self.scope(cli::Scope { packages: listing.packages, overrides }, &cli::Cargo::default())?;
        Ok(Get { of, scope: Scope { backend: self.backend(listing.backend)?, ..scope }, limit: listing.limit })
    }
}
