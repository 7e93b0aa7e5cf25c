//! Publishers: where finished images go. A registry, an OCI layout, a tar file, a container engine.
//!
//! A publisher knows nothing of manifests, keys' inputs or builders: it is asked whether an image is
//! there, and it sends one. It must never leave half an image under a name.

pub mod auth;
pub mod daemon;
mod failure;
pub mod layout;
pub mod registry;
pub mod tar;

use std::time::Duration;

use union_build::key::Key;

use crate::image::Image;
use crate::image::layer::Descriptor;
use crate::image::platform::Platform;
use crate::image::reference::ImageRef;
use crate::sys::digest::Digest;
use crate::sys::error::Result;

/// Under which name an image is published, and what is expected to be there.
#[derive(Clone, Debug)]
pub struct ImageTarget {
    /// The image's bare name, for a layout or an engine without a registry.
    pub name: String,
    /// The tag.
    pub tag: String,
    /// The full reference, when a registry is set.
    pub reference: Option<ImageRef>,
    /// The full key, as the `union.key` annotation holds it.
    pub key: Key,
    /// The platforms that must be there.
    pub platforms: Vec<Platform>,
    /// The digest that the last results hold for this very key.
    pub known: Option<Digest>,
}

impl ImageTarget {
    /// Its name in an archive or an engine: `ghcr.io/acme/app:tag`, or `app:tag` without a registry.
    pub fn full_name(&self) -> String {
        self.reference.as_ref().map_or_else(|| self.local_name(), ToString::to_string)
    }

    /// Its name without a registry: `app:tag`.
    pub fn local_name(&self) -> String {
        format!("{}:{}", self.name, self.tag)
    }
}

/// Whether an image is there. Everything else, denied or unreachable, is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existence {
    /// There, with the expected key and platforms.
    Found(Digest),
    /// Not there.
    Missing,
}

/// What a publisher has done.
#[derive(Clone, Debug)]
pub struct Published {
    /// Digest of the top manifest, as the place now holds it.
    pub digest: Digest,
    /// Where it is, as a user would type it: `ghcr.io/acme/app:tag`, `oci:target/union/oci/app:tag`.
    pub location: String,
    /// Bytes that were sent.
    pub sent: u64,
    /// Whether another process had published the same key in the meantime, and its image was taken.
    pub adopted: bool,
}

/// A place for images.
#[async_trait::async_trait]
pub trait Publisher: Send + Sync {
    /// Whether the image is there.
    ///
    /// # Errors
    /// When the place cannot say: denied, unreachable, not understood; and `TagTaken` when the tag
    /// holds something else.
    async fn existence(&self, target: &ImageTarget) -> Result<Existence>;

    /// Finds out, before anything is compiled, whether publishing would be refused.
    ///
    /// # Errors
    /// What [`publish`](Self::publish) would end with.
    async fn prepare(&self, target: &ImageTarget) -> Result<()>;

    /// Sends an image: blobs, manifests, then the name. With `replace`, a name that is taken moves.
    ///
    /// # Errors
    /// When the place refuses or fails; the name is then as it was.
    async fn publish(&self, target: &ImageTarget, image: &Image, replace: bool) -> Result<Published>;
}

/// What a publisher tells while it works; the user interface listens.
pub trait Reporter: Send + Sync {
    /// Credentials for a host came from `source`, which names a file or a helper, never a secret.
    fn credentials(&self, host: &str, source: &str) {
        let _ = (host, source);
    }

    /// Something cannot be used, and the work goes on without it.
    fn warning(&self, text: &str) {
        let _ = text;
    }

    /// Something failed and is tried again.
    fn retrying(&self, what: &str, why: &str, after: Duration) {
        let _ = (what, why, after);
    }

    /// A blob moves: called at the start (`done` = 0), as bytes go, and at the end (`done` = `total`).
    fn transfer(&self, transfer: &Transfer<'_>) {
        let _ = transfer;
    }
}

/// A moving blob.
#[derive(Clone, Debug)]
pub struct Transfer<'a> {
    /// The blob.
    pub digest: Digest,
    /// Where it goes or comes from.
    pub place: &'a str,
    /// In which way.
    pub way: TransferKind,
    /// Bytes so far.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
}

/// In which way a blob gets there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransferKind {
    /// It is read from a registry.
    Download,
    /// It is sent.
    Upload,
    /// The registry takes it from another repository of its own.
    Mount,
    /// It is there.
    Present,
}

/// Tells that a blob is at its place, and how it got there.
fn report(reporter: &dyn Reporter, blob: &Descriptor, place: &str, way: TransferKind) {
    reporter.transfer(&Transfer { digest: blob.digest, place, way, done: blob.size, total: blob.size });
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Reporter for Silent {}
