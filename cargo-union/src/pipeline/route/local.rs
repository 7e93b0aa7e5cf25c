//! Images that are built on this machine, and published to a registry, an OCI layout, a tar file or a container engine.

use std::sync::Arc;

use super::{
    AttachmentSubjects, Delivery, ExistingImage, ImageBackend, PackedImage, PublishedImage,
};
use crate::build::{BuildRequest, Builder};
use crate::image::reference::ImageRef;
use crate::image::{Image, PlatformImage};
use crate::pipeline::resolve::ResolvedImage;
use crate::publish::{Existence, ImageTarget, Publisher};
use crate::sys::digest::Digest;
use crate::sys::error::Result;

/// A builder with the publisher of one image.
#[derive(Clone)]
pub(crate) struct LocalBackend {
    pub(crate) builder: Arc<dyn Builder>,
    pub(crate) publisher: Arc<dyn Publisher>,
    /// As a user would type it.
    pub(crate) location: String,
    /// Whether the publisher is a registry, from which the image can be pulled by digest.
    pub(crate) in_registry: bool,
}

struct LocalImage {
    backend: LocalBackend,
    reference: Option<ImageRef>,
    /// Whether its last layer has the binaries.
    has_code: bool,
    content: Image,
}

impl LocalBackend {
    /// The image with a digest; `reference` is the one that it has when a registry is set.
    fn existing(&self, reference: Option<&ImageRef>, digest: Digest) -> ExistingImage {
        ExistingImage {
            location: self.location.clone(),
            digest: Some(digest),
            pinned: reference
                .filter(|_| self.in_registry)
                .map(|reference| reference.repository.pinned(digest)),
            unpinned: None,
        }
    }
}

#[async_trait::async_trait]
impl ImageBackend for LocalBackend {
    async fn find(&self, target: &ImageTarget) -> Result<Option<ExistingImage>> {
        Ok(match self.publisher.existence(target).await? {
            Existence::Found(digest) => Some(self.existing(target.reference.as_ref(), digest)),
            Existence::Missing => None,
        })
    }

    async fn preflight(&self, target: &ImageTarget) -> Result<()> {
        self.publisher.prepare(target).await
    }

    async fn pack(
        &self,
        image: &ResolvedImage,
        request: &BuildRequest,
    ) -> Result<Box<dyn PackedImage>> {
        let content = self.builder.build(request).await?;
        Ok(Box::new(LocalImage {
            backend: self.clone(),
            reference: image.reference(),
            has_code: image.code.is_some(),
            content,
        }))
    }
}

#[async_trait::async_trait]
impl PackedImage for LocalImage {
    async fn publish(
        self: Box<Self>,
        target: &ImageTarget,
        replace: bool,
    ) -> Result<PublishedImage> {
        let published = self
            .backend
            .publisher
            .publish(target, &self.content, replace)
            .await?;
        let delivery = if published.adopted {
            Delivery::Adopted
        } else {
            Delivery::Published
        };
        Ok(PublishedImage {
            sent: published.sent,
            subjects: (self.backend.in_registry && !published.adopted).then(|| self.subjects()),
            ..self.describe(published.digest, delivery)
        })
    }

    fn preview(&self) -> PublishedImage {
        self.describe(self.content.top().descriptor.digest, Delivery::Packed)
    }
}

impl LocalImage {
    /// The result for a digest, with no bytes sent.
    fn describe(&self, digest: Digest, delivery: Delivery) -> PublishedImage {
        let layers = self
            .content
            .platforms
            .first()
            .map_or(&[][..], |platform| &platform.layers);
        let code = layers.last().filter(|_| self.has_code);
        PublishedImage {
            existing: self.backend.existing(self.reference.as_ref(), digest),
            size: layers.iter().map(|layer| layer.blob.descriptor.size).sum(),
            code_size: code.map_or(0, |layer| layer.blob.descriptor.size),
            sent: 0,
            delivery,
            subjects: None,
        }
    }

    fn subjects(&self) -> AttachmentSubjects {
        let platform = |image: &PlatformImage| {
            let manifest = image.manifest.descriptor.clone();
            (image.platform.clone(), manifest)
        };
        AttachmentSubjects {
            top: self.content.top().descriptor.clone(),
            platforms: self.content.platforms.iter().map(platform).collect(),
        }
    }
}
