//! The state that all operations on registries share: connections, logins, locks, known blobs and size limits.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use tokio::sync::Mutex as AsyncMutex;

use super::parts::PartSizes;
use super::presence::BlobPresence;
use super::settings::RegistrySettings;
use super::transport::RegistryTransport;
use crate::publish::Reporter;
use crate::sys::cache::Cache;
use crate::sys::digest::Digest;

/// A client of all registries.
pub struct Registry {
    pub(super) transport: RegistryTransport,
    pub(super) mirrors: BTreeMap<String, String>,
    pub(super) cache: Cache,
    pub(super) reporter: Arc<dyn Reporter>,
    /// Locks of the blobs that are being downloaded, so that each is downloaded only once.
    pub(super) downloads: Mutex<HashMap<Digest, Arc<AsyncMutex<()>>>>,
    pub(super) presence: BlobPresence,
    pub(super) parts: PartSizes,
    /// Warnings about bases that were reported.
    pub(super) warned: Mutex<BTreeSet<String>>,
}

impl Registry {
    /// Creates a client; reads no files and sends no requests.
    pub fn new(settings: RegistrySettings, cache: Cache, reporter: Arc<dyn Reporter>) -> Self {
        let transport = RegistryTransport::new(&settings, reporter.clone());
        Self {
            transport,
            mirrors: settings.mirrors,
            cache,
            reporter,
            downloads: Mutex::default(),
            presence: BlobPresence::default(),
            parts: PartSizes::default(),
            warned: Mutex::default(),
        }
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry")
            .field("mirrors", &self.mirrors)
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}
