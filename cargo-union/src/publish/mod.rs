//! Publishers send images to a registry, an OCI layout, a tar file or a container engine.
//!
//! A publisher checks whether an image exists, and sends images. It is independent of the package's manifest, the inputs
//! of keys, and builders. It must never leave an incomplete image under a name.

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

/// The name under which an image is published, and its expected content.
#[derive(Clone, Debug)]
pub struct ImageTarget {
    /// The name without a registry, for an archive or an engine.
    pub name: String,
    /// The tag, which contains a part of the key.
    pub tag: String,
    /// The full reference; `None` if no registry is set.
    pub reference: Option<ImageRef>,
    /// The content key, which the image must have as annotation `union.key`.
    pub key: Key,
    /// The platforms that the image must have.
    pub platforms: Vec<Platform>,
    /// The digest that was recorded for the same key by an earlier run.
    pub known: Option<Digest>,
}

impl ImageTarget {
    /// The name in an archive or an engine: `ghcr.io/acme/app:tag`, or `app:tag` without a registry.
    pub fn full_name(&self) -> String {
        self.reference
            .as_ref()
            .map_or_else(|| self.local_name(), ToString::to_string)
    }

    /// The name without a registry: `app:tag`.
    pub fn local_name(&self) -> String {
        format!("{}:{}", self.name, self.tag)
    }
}

/// Whether an image exists. If that cannot be determined (access denied, unreachable), it is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existence {
    /// It exists with the expected key and platforms; the digest of its manifest or index.
    Found(Digest),
    /// The tag does not exist.
    Missing,
}

/// The result of publishing.
#[derive(Clone, Debug)]
pub struct Published {
    /// Digest of the manifest or index at the destination.
    pub digest: Digest,
    /// The location as written on the command line: `ghcr.io/acme/app:tag`, `oci:target/union/oci/app:tag`.
    pub location: String,
    /// The number of bytes that were sent.
    pub sent: u64,
    /// Whether another process published the same key in the meantime, so that its image is used.
    pub adopted: bool,
}

/// A destination for images.
#[async_trait::async_trait]
pub trait Publisher: Send + Sync {
    /// Checks whether the image exists.
    ///
    /// # Errors
    /// When access is denied, the destination is unreachable or its response is invalid; `TagTaken` when the tag
    /// refers to a different image.
    async fn existence(&self, target: &ImageTarget) -> Result<Existence>;

    /// Checks, before anything is packed, whether publishing would be refused.
    ///
    /// # Errors
    /// Those that [`publish`](Self::publish) would return.
    async fn prepare(&self, target: &ImageTarget) -> Result<()>;

    /// Sends an image: blobs, manifests, and finally the name. With `replace`, an existing name is changed.
    ///
    /// # Errors
    /// When the destination refuses the image or fails; the name is not changed then.
    async fn publish(
        &self,
        target: &ImageTarget,
        image: &Image,
        replace: bool,
    ) -> Result<Published>;
}

/// Receives the progress of a publisher; every method has an empty default.
pub trait Reporter: Send + Sync {
    /// Credentials for a host were found in `source`, the name of a file or a helper.
    fn credentials(&self, host: &str, source: &str) {
        let _ = (host, source);
    }

    /// Something cannot be used, for example a credential helper; publishing continues without it.
    fn warning(&self, text: &str) {
        let _ = text;
    }

    /// A request to `place` failed and is retried after a pause.
    fn retrying(&self, place: &str, cause: &str, after: Duration) {
        let _ = (place, cause, after);
    }

    /// Progress of a blob: called at the start (`done` = 0), repeatedly, and at the end (`done` = `total`).
    fn transfer(&self, transfer: &Transfer<'_>) {
        let _ = transfer;
    }
}

/// The progress of a blob.
#[derive(Clone, Debug)]
pub struct Transfer<'a> {
    /// The digest of the blob.
    pub digest: Digest,
    /// The repository, layout, file or engine that it is transferred to or from.
    pub place: &'a str,
    /// The kind of transfer.
    pub kind: TransferKind,
    /// Transferred bytes.
    pub done: u64,
    /// The size of the blob in bytes.
    pub total: u64,
}

/// How a blob is transferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransferKind {
    /// Downloaded from a registry.
    Download,
    /// Uploaded, or written to a file.
    Upload,
    /// Mounted from another repository of the same registry (OCI distribution spec).
    Mount,
    /// Not transferred, because it exists already.
    Present,
}

/// Reports a completed transfer.
fn report(reporter: &dyn Reporter, blob: &Descriptor, place: &str, kind: TransferKind) {
    reporter.transfer(&Transfer {
        digest: blob.digest,
        place,
        kind,
        done: blob.size,
        total: blob.size,
    });
}

/// A [`Reporter`] that ignores everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Reporter for Silent {}
