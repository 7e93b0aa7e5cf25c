//! The backend of `--dry-run`, which publishes nothing.

use std::sync::Arc;

use super::{ExistingImage, ImageBackend, PackedImage, PublishedImage};
use crate::build::BuildRequest;
use crate::pipeline::resolve::ResolvedImage;
use crate::publish::ImageTarget;
use crate::sys::error::Result;

/// Finds and packs images with another backend, and publishes nothing.
pub(crate) struct DryRun(pub(crate) Arc<dyn ImageBackend>);

struct DryRunImage(Box<dyn PackedImage>);

#[async_trait::async_trait]
impl ImageBackend for DryRun {
    async fn find(&self, target: &ImageTarget) -> Result<Option<ExistingImage>> {
        self.0.find(target).await
    }

    async fn preflight(&self, _: &ImageTarget) -> Result<()> {
        Ok(())
    }

    async fn pack(
        &self,
        image: &ResolvedImage,
        request: &BuildRequest,
    ) -> Result<Box<dyn PackedImage>> {
        Ok(Box::new(DryRunImage(self.0.pack(image, request).await?)))
    }
}

#[async_trait::async_trait]
impl PackedImage for DryRunImage {
    async fn publish(self: Box<Self>, _: &ImageTarget, _: bool) -> Result<PublishedImage> {
        Ok(self.preview())
    }

    fn preview(&self) -> PublishedImage {
        self.0.preview()
    }
}
