//! The backends that build and publish images: this machine, or the Flyte backend.
//!
//! Both implement [`ImageBackend`], with the same four steps: find, preflight, pack, publish. [`dry_run`] wraps either of
//! them.

pub(crate) mod dry_run;
pub(crate) mod local;
pub(crate) mod remote;
mod remote_progress;

use union_build::diag::Code;

use crate::build::BuildRequest;
use crate::image::layer::Descriptor;
use crate::image::per_platform::PerPlatform;
use crate::image::reference::PinnedRef;
use crate::pipeline::resolve::ResolvedImage;
use crate::publish::ImageTarget;
use crate::sys::digest::Digest;
use crate::sys::error::{Error, Result};

/// Builds images, and publishes them to one destination.
#[async_trait::async_trait]
pub(crate) trait ImageBackend: Send + Sync {
    /// Looks the image up at its destination.
    ///
    /// # Errors
    /// If the destination cannot be queried (access denied, unreachable); `TagTaken` if the tag holds another image.
    async fn find(&self, target: &ImageTarget) -> Result<Option<ExistingImage>>;

    /// Checks, before anything is packed, whether publishing would be refused.
    ///
    /// # Errors
    /// The reason of the refusal, such as `RegistryDenied`.
    async fn preflight(&self, target: &ImageTarget) -> Result<()>;

    /// Builds everything that has to be sent. Sends nothing.
    ///
    /// # Errors
    /// If the base is not supported or cannot be read, a file cannot be read, or a binary could not start.
    async fn pack(
        &self,
        image: &ResolvedImage,
        request: &BuildRequest,
    ) -> Result<Box<dyn PackedImage>>;
}

/// The content of an image that is ready to be sent.
#[async_trait::async_trait]
pub(crate) trait PackedImage: Send {
    /// Sends the content and sets the tag. With `replace`, a tag that holds another image is moved.
    ///
    /// # Errors
    /// If the destination refuses or fails; the tag is not changed then.
    async fn publish(
        self: Box<Self>,
        target: &ImageTarget,
        replace: bool,
    ) -> Result<PublishedImage>;

    /// The result as far as it is known without sending anything: [`Delivery::Packed`].
    fn preview(&self) -> PublishedImage;
}

/// An image at its destination.
#[derive(Clone, Debug)]
pub(crate) struct ExistingImage {
    /// As a user would type it: `ghcr.io/acme/app:tag`, `oci:target/union/oci/app:tag`.
    pub(crate) location: String,
    /// Digest of the index, or of the manifest of a single platform; `None` if the remote builder's registry did not
    /// return it.
    pub(crate) digest: Option<Digest>,
    /// The reference by digest; `None` outside of registries.
    pub(crate) pinned: Option<PinnedRef>,
    /// The reason why the digest of an image in a registry is not known.
    pub(crate) unpinned: Option<String>,
}

impl ExistingImage {
    /// `ImageUnpinned` if the digest of an image in a registry is not known.
    pub(crate) fn unpinned_error(&self, image: &str) -> Option<Error> {
        let cause = self.unpinned.clone()?;
        Some(
            Error::new(
                Code::ImageUnpinned,
                format!("could not pin image `{image}`, which is {}", self.location),
            )
            .because(cause),
        )
    }
}

/// The result of publishing a packed image.
#[derive(Clone, Debug)]
pub(crate) struct PublishedImage {
    pub(crate) existing: ExistingImage,
    /// Compressed size in bytes of all layers of the first platform; 0 if the backend built the image.
    pub(crate) size: u64,
    /// Compressed size in bytes of the code layer; if the backend built the image, the bytes that were sent to it.
    pub(crate) code_size: u64,
    /// Bytes that were sent.
    pub(crate) sent: u64,
    pub(crate) delivery: Delivery,
    /// What documents can be attached to; `None` unless this process pushed the image to a registry.
    pub(crate) subjects: Option<AttachmentSubjects>,
}

/// The manifests of an image in a registry, to which documents are attached.
#[derive(Clone, Debug)]
pub(crate) struct AttachmentSubjects {
    /// The index, or the manifest of a single platform.
    pub(crate) top: Descriptor,
    /// The manifest of each platform.
    pub(crate) platforms: PerPlatform<Descriptor>,
}

/// How an image got to its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// This process sent it.
    Published,
    /// Another process published the same key first.
    Adopted,
    /// It was packed, but not sent: a dry run.
    Packed,
}
