//! What is known of the generation of a backend: as chosen, as remembered for its endpoint, or as the backend said.

use std::sync::{Mutex as SyncMutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use union_build::spec::BackendChoice;

use crate::flyte::capabilities::BackendKind;
use crate::sys::cache::Cache;
use crate::sys::digest::Digest;

/// The kind of notes that remember generations, by the hash of the endpoint.
const NOTES: &str = "backends-1";

/// What is known of the generation of a backend.
pub(super) struct Generation {
    pub(super) choice: BackendChoice,
    /// Where generations are remembered; `None` remembers nothing.
    cache: Option<Cache>,
    pub(super) known: Mutex<Option<KnownKind>>,
    /// What `known` has, for those who cannot wait.
    latest: SyncMutex<Option<BackendKind>>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct KnownKind {
    pub(super) kind: BackendKind,
    /// Whether it was remembered, and not said by the backend to this process.
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

    /// What is known by now; `None` before the first call.
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
        // Without the note the next command asks again.
        let _ = self
            .cache
            .as_ref()
            .map(|cache| cache.put_note(NOTES, &note_name(endpoint), &note));
    }
}

fn note_name(endpoint: &str) -> String {
    Digest::of(endpoint.as_bytes()).hex()
}
