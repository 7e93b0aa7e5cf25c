//! A client of container registries (OCI distribution spec), for reading bases and publishing images.
//!
//! One client does both, so that logins, tokens and connections are shared. It verifies all content: blobs are hashed
//! while they are streamed, and a tag is read again after it was written. It must never leave an incomplete image under
//! a tag: the tag is always written last.
//!
//! `manifests` reads and writes manifests, `pull` fetches bases, `existence` checks whether an image exists, `upload`
//! transfers blobs, and `push` publishes images. All of them send requests through `transport`, which uses `origin` to
//! select https or http.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::sync::Mutex as AsyncMutex;
use union_build::diag::Code;

use super::failure::RegistryFailure;
use super::{Existence, ImageTarget, Published, Publisher, Reporter};
use crate::image::Image;
use crate::image::reference::ImageRef;
use crate::sys::cache::Cache;
use crate::sys::digest::Digest;
use crate::sys::error::{Error, Result};

mod endpoint;
mod existence;
mod logins;
mod manifests;
mod origin;
mod parts;
mod pull;
mod push;
mod settings;
mod tags;
mod transport;
mod upload;
mod upload_session;

pub use settings::{RegistryOptions, RegistrySettings};

use endpoint::RepositoryEndpoint;
use parts::PartSizes;
use transport::RegistryTransport;
use upload::BlobPresence;

/// A client of all registries.
pub struct Registry {
    wire: RegistryTransport,
    mirrors: BTreeMap<String, String>,
    cache: Cache,
    reporter: Arc<dyn Reporter>,
    /// Locks of the blobs that are being downloaded, so that each is downloaded only once.
    downloads: Mutex<HashMap<Digest, Arc<AsyncMutex<()>>>>,
    holders: BlobPresence,
    parts: PartSizes,
    /// Warnings about bases that were reported.
    warned: Mutex<BTreeSet<String>>,
}

impl Registry {
    /// Creates a client; reads no files and sends no requests.
    pub fn new(settings: RegistrySettings, cache: Cache, reporter: Arc<dyn Reporter>) -> Self {
        let wire = RegistryTransport::new(&settings, reporter.clone());
        Self {
            wire,
            mirrors: settings.mirrors,
            cache,
            reporter,
            downloads: Mutex::default(),
            holders: BlobPresence::default(),
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

#[async_trait]
impl Publisher for Registry {
    async fn existence(&self, target: &ImageTarget) -> Result<Existence> {
        let reference = reference(target)?;
        let found = self
            .find(&RepositoryEndpoint::of(&reference.repository), target)
            .await;
        found.map_err(|failure| {
            failure.into_error(format!("could not find out whether {reference} exists"))
        })
    }

    async fn prepare(&self, target: &ImageTarget) -> Result<()> {
        let reference = reference(target)?;
        let accepted = self
            .try_upload(&RepositoryEndpoint::of(&reference.repository))
            .await;
        accepted.map_err(|failure| {
            failure.into_error(format!(
                "could not start an upload to {}",
                reference.repository
            ))
        })
    }

    async fn publish(
        &self,
        target: &ImageTarget,
        image: &Image,
        replace: bool,
    ) -> Result<Published> {
        let reference = reference(target)?;
        let pushed = self
            .push(
                &RepositoryEndpoint::of(&reference.repository),
                target,
                image,
                replace,
            )
            .await;
        pushed.map_err(|failure: RegistryFailure| {
            failure.into_error(format!("could not push {reference}"))
        })
    }
}

fn reference(target: &ImageTarget) -> Result<&ImageRef> {
    target.reference.as_ref().ok_or_else(|| {
        Error::new(
            Code::RegistryMissing,
            format!("could not push `{}`: no registry is set", target.name),
        )
    })
}
