//! Which repositories have a blob, so that it is sent only once to a host.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Mutex as AsyncMutex;

use super::endpoint::RepositoryEndpoint;
use crate::sys::digest::Digest;

/// The repositories of a host that have a blob; locked while the blob is uploaded.
#[derive(Default)]
pub(super) struct BlobPresence(Mutex<HashMap<(String, Digest), Arc<Repositories>>>);

/// The paths of repositories.
type Repositories = AsyncMutex<BTreeSet<String>>;

impl BlobPresence {
    /// The repositories of the host of `place` that are known to have a blob.
    pub(super) fn of(&self, place: &RepositoryEndpoint, digest: Digest) -> Arc<Repositories> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry((place.host.clone(), digest))
            .or_default()
            .clone()
    }
}
