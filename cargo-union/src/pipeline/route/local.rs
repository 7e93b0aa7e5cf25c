//! Images that are built on this machine, and published to a registry, an OCI layout, a tar file or a container engine.

use std::sync::Arc;

use super::{Delivery, ExistingImage, ImageBackend, PackedImage, PublishedImage};
use crate::build::{BuildRequest, Builder};
use crate::image::Image;
use crate::image::reference::PinnedRef;
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
    resolved: ResolvedImage,
    content: Image,
}

impl LocalBackend {
    fn existing(
        &self,
        location: String,
        digest: Digest,
        pinned: Option<PinnedRef>,
    ) -> ExistingImage {
        ExistingImage {
            location,
            digest: Some(digest),
            pinned: pinned.filter(|_| self.in_registry),
            unpinned: None,
        }
    }
}

#[async_trait::async_trait]
impl ImageBackend for LocalBackend {
    async fn find(&self, target: &ImageTarget) -> Result<Option<ExistingImage>> {
        let pinned = |digest| {
            target
                .reference
                .as_ref()
                .map(|reference| reference.repository.pinned(digest))
        };
        Ok(match self.publisher.existence(target).await? {
            Existence::Found(digest) => {
                Some(self.existing(self.location.clone(), digest, pinned(digest)))
            }
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
            resolved: image.clone(),
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
            delivery,
            sent: published.sent,
            ..self.published(published.digest)
        })
    }

    fn preview(&self) -> PublishedImage {
        self.published(self.content.top().descriptor.digest)
    }
}

impl LocalImage {
    fn published(&self, digest: Digest) -> PublishedImage {
        let pinned = self
            .resolved
            .reference()
            .map(|reference| reference.repository.pinned(digest));
        let layers = self
            .content
            .platforms
            .first()
            .map_or(&[][..], |platform| &platform.layers);
        let code = layers.last().filter(|_| self.resolved.code.is_some());
        PublishedImage {
            existing: self
                .backend
                .existing(self.backend.location.clone(), digest, pinned),
            size: layers.iter().map(|layer| layer.blob.descriptor.size).sum(),
            code_size: code.map_or(0, |layer| layer.blob.descriptor.size),
            sent: 0,
            delivery: Delivery::Published,
        }
    }
}
