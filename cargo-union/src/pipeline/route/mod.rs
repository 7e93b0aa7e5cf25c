//! How an image gets to its place: made here and published, or made by the backend.
//!
//! Both routes are an [`ImageBackend`], with the same four steps: find, preflight, pack, publish. [`dry_run`] wraps
//! either of them.

pub(crate) mod dry_run;
pub(crate) mod local;
pub(crate) mod remote;
mod remote_progress;

use union_build::diag::Code;

use crate::build::BuildRequest;
use crate::image::reference::PinnedRef;
use crate::pipeline::resolve::ResolvedImage;
use crate::publish::ImageTarget;
use crate::sys::digest::Digest;
use crate::sys::error::{Error, Result};

/// Makes images, and brings them to one place.
#[async_trait::async_trait]
pub(crate) trait ImageBackend: Send + Sync {
    /// The image, when it is at its place.
    ///
    /// # Errors
    /// When that cannot be found out (access denied, place unreachable); `TagTaken` when the tag holds something else.
    async fn find(&self, target: &ImageTarget) -> Result<Option<ExistingImage>>;

    /// Finds out, before anything is compiled, whether publishing would be refused.
    ///
    /// # Errors
    /// Why it would be.
    async fn preflight(&self, target: &ImageTarget) -> Result<()>;

    /// Makes everything that leaves this machine. Sends nothing.
    ///
    /// # Errors
    /// When the base cannot be read or built upon, a file cannot be read, or a binary could not start.
    async fn pack(&self, image: &ResolvedImage, request: &BuildRequest) -> Result<Box<dyn PackedImage>>;
}

/// What is ready to leave this machine for one image.
#[async_trait::async_trait]
pub(crate) trait PackedImage: Send {
    /// Sends it. With `replace`, a tag that holds something else moves.
    ///
    /// # Errors
    /// When the place refuses or fails; the tag is then as it was.
    async fn publish(self: Box<Self>, target: &ImageTarget, replace: bool) -> Result<PublishedImage>;

    /// What is known of it without sending it.
    fn preview(&self) -> PublishedImage;
}

/// An image at its place.
#[derive(Clone, Debug)]
pub(crate) struct ExistingImage {
    /// As a user would type it: `ghcr.io/acme/app:tag`, `oci:target/union/oci/app:tag`.
    pub(crate) location: String,
    /// Digest of the top manifest; `None` when the registry of the remote builder did not give it.
    pub(crate) digest: Option<Digest>,
    /// Its reference by digest; `None` when it is in no registry.
    pub(crate) pinned: Option<PinnedRef>,
    /// Why the digest of an image in a registry is not known.
    pub(crate) unpinned: Option<String>,
}

impl ExistingImage {
    /// The error for an image whose digest is not known.
    pub(crate) fn unpinned_error(&self, image: &str) -> Option<Error> {
        let cause = self.unpinned.clone()?;
        Some(Error::new(Code::ImageUnpinned, format!("could not pin image `{image}`, which is {}", self.location)).because(cause))
    }
}

/// What became of a packed image.
#[derive(Clone, Debug)]
pub(crate) struct PublishedImage {
    /// Where it is now.
    pub(crate) existing: ExistingImage,
    /// Compressed bytes of all layers of the first platform; 0 when the backend made it.
    pub(crate) size: u64,
    /// Compressed bytes of the code layer; of an image that the backend made, those that were sent.
    pub(crate) code_size: u64,
    /// Bytes that were sent.
    pub(crate) sent: u64,
    /// How it got there.
    pub(crate) delivery: Delivery,
}

/// How an image got to its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// It was sent.
    Published,
    /// Another process had published the same key in the meantime.
    Adopted,
    /// It was packed and not sent: a dry run.
    Packed,
}
