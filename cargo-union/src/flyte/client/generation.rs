//! The generation of a backend: set by the user, cached for its endpoint, or detected from its responses.

use std::sync::{Mutex as SyncMutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use union_build::spec::BackendChoice;

use crate::flyte::capabilities::BackendKind;
use crate::sys::cache::Cache;
use crate::sys::digest::Digest;

/// The kind of cache notes with the generation of an endpoint, by the hash of the endpoint.
const NOTES: &str = "backends-1";

/// The generation of a backend, as far as it is known.
pub(super) struct Generation {
    pub(super) choice: BackendChoice,
    /// Where detected generations are cached; `None` disables the cache.
    cache: Option<Cache>,
    pub(super) known: Mutex<Option<KnownKind>>,
    /// The kind in `known`, for callers that cannot wait for its lock.
    latest: SyncMutex<Option<BackendKind>>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct KnownKind {
    pub(super) kind: BackendKind,
    /// Whether it is from the cache, and was not detected by this process.
    pub(super) remembered: bool,
}

#[derive(Serialize, Deserialize)]
struct RememberedKind {
    endpoint: String,
    backend: String,
}

impl Generation {
    pub(super) fn new(choice: BackendChoice, cache: Option<Cache>) -> Self {
        Self {
            choice,
            cache,
            known: Mutex::default(),
            latest: SyncMutex::default(),
        }
    }

    /// The generation if it is known by now; `None` before the first call.
    pub(super) fn latest(&self) -> Option<BackendKind> {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_latest(&self, kind: BackendKind) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(kind);
    }

    pub(super) fn remembered(&self, endpoint: &str) -> Option<BackendKind> {
        let note: RememberedKind = self.cache.as_ref()?.note(NOTES, &note_name(endpoint))?;
        if note.endpoint != endpoint {
            return None;
        }
        [BackendKind::Flyte1, BackendKind::Flyte2]
            .into_iter()
            .find(|kind| kind.word() == note.backend)
    }

    pub(super) fn remember(&self, endpoint: &str, kind: BackendKind) {
        let note = RememberedKind {
            endpoint: endpoint.to_owned(),
            backend: kind.word().to_owned(),
        };
        // If the note cannot be written, the next command detects the generation again.
        let _ = self
            .cache
            .as_ref()
            .map(|cache| cache.put_note(NOTES, &note_name(endpoint), &note));
    }
}

fn note_name(endpoint: &str) -> String {
    Digest::of(endpoint.as_bytes()).hex()
}
