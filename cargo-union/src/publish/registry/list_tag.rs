//! Tags that hold a list, to which several clients may add entries at once.
//!
//! Registries have no conditional writes: a client reads the list, writes it with its entries, and reads it again some time
//! later, to write once more if another client has removed the entries.

use std::time::{Duration, Instant};

use union_build::diag::Code;

use super::endpoint::RepositoryEndpoint;
use crate::publish::failure::RegistryFailure;

/// How often a tag is written before giving up.
const WRITES: usize = 10;
/// After a write, writes of other clients may arrive that had read the tag before it. The tag is read again after this
/// multiple of the time between reading and writing it here, within these limits.
const SETTLE_FACTOR: u32 = 5;
const SHORTEST_SETTLE: Duration = Duration::from_millis(20);
const LONGEST_SETTLE: Duration = Duration::from_millis(400);

/// A tag with a list that is extended.
pub(super) struct ListTag<'a> {
    place: &'a RepositoryEndpoint,
    pub(super) name: String,
    writes: usize,
    read_at: Instant,
}

impl<'a> ListTag<'a> {
    pub(super) fn new(place: &'a RepositoryEndpoint, name: String) -> Self {
        Self {
            place,
            name,
            writes: 0,
            read_at: Instant::now(),
        }
    }

    /// Starts a round, in which the tag is read, and written if entries are missing.
    pub(super) fn start_round(&mut self) {
        self.read_at = Instant::now();
    }

    /// Checks that the tag may be written once more.
    ///
    /// # Errors
    /// `RegistryFailed` after the largest number of writes.
    pub(super) fn check_writes(&self) -> Result<(), RegistryFailure> {
        if self.writes < WRITES {
            return Ok(());
        }
        Err(RegistryFailure::new(
            Code::RegistryFailed,
            format!(
                "other clients replaced the tag `{}` of {} {WRITES} times",
                self.name, self.place
            ),
        ))
    }

    /// Ends a round in which the tag was written: waits until the writes of other clients have arrived, which need about as
    /// long as this one between reading the tag and writing it.
    pub(super) async fn settle(&mut self) {
        self.writes += 1;
        let settle = self.read_at.elapsed().saturating_mul(SETTLE_FACTOR);
        tokio::time::sleep(settle.clamp(SHORTEST_SETTLE, LONGEST_SETTLE)).await;
    }
}

/// The failure for a tag that holds something else than a list of `what`.
pub(super) fn foreign_content(
    place: &RepositoryEndpoint,
    tag: &str,
    what: &str,
) -> RegistryFailure {
    RegistryFailure::new(
        Code::RegistryInvalid,
        format!("the tag `{tag}` of {place} holds something that is no list of {what}"),
    )
    .help(format!(
        "Remove the tag `{tag}` if nothing needs it; it is not overwritten."
    ))
}
