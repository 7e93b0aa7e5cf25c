//! A builder that caches images by key, and reuses one only while all its blobs are in the cache and intact.

use serde::{Deserialize, Serialize};
use union_build::key::Key;

use super::{BuildRequest, Builder};
use crate::image::layer::{Blob, BlobSource, Descriptor, Layer};
use crate::image::platform::Platform;
use crate::image::reference::Repository;
use crate::image::{Image, PlatformImage};
use crate::sys::cache::Cache;
use crate::sys::digest::{DiffId, Digest};
use crate::sys::error::Result;
use crate::sys::fs;

/// Wraps a builder whose images are expensive to build.
pub struct CachingBuilder<B> {
    inner: B,
    cache: Cache,
}

impl<B> CachingBuilder<B> {
    /// A builder that calls `inner` only for images that are not cached.
    pub fn new(inner: B, cache: Cache) -> Self {
        Self { inner, cache }
    }
}

#[async_trait::async_trait]
impl<B: Builder> Builder for CachingBuilder<B> {
    async fn build(&self, request: &BuildRequest) -> Result<Image> {
        if let Some(image) = cached_image(&self.cache, request.key) {
            return Ok(image);
        }
        let image = self.inner.build(request).await?;
        remember(&self.cache, request.key, &image)?;
        Ok(image)
    }
}

const NOTES: &str = "environments";

/// The cache entry of an image; its manifests and configs are blobs of the cache.
#[derive(Serialize, Deserialize)]
struct Note {
    index: Option<Descriptor>,
    platforms: Vec<PlatformNote>,
}

#[derive(Serialize, Deserialize)]
struct PlatformNote {
    platform: Platform,
    manifest: Descriptor,
    config: Descriptor,
    layers: Vec<LayerNote>,
}

#[derive(Serialize, Deserialize)]
struct LayerNote {
    blob: Descriptor,
    diff_id: DiffId,
    /// The repository of a layer of the base, which is not copied into the cache.
    remote: Option<Repository>,
}

fn remember(cache: &Cache, key: Key, image: &Image) -> Result<()> {
    let mut platforms = Vec::new();
    for platform in &image.platforms {
        let layers = platform.layers.iter().map(|layer| LayerNote {
            blob: layer.blob.descriptor.clone(),
            diff_id: layer.diff_id,
            remote: match &layer.blob.content {
                BlobSource::Remote(repository) => Some(repository.clone()),
                BlobSource::Bytes(_) | BlobSource::File(_) => None,
            },
        });
        platforms.push(PlatformNote {
            platform: platform.platform.clone(),
            manifest: store_blob(cache, &platform.manifest)?,
            config: store_blob(cache, &platform.config)?,
            layers: layers.collect(),
        });
    }
    let index = image
        .index
        .as_ref()
        .map(|index| store_blob(cache, index))
        .transpose()?;
    cache.put_note(NOTES, &key.to_string(), &Note { index, platforms })
}

fn store_blob(cache: &Cache, blob: &Blob) -> Result<Descriptor> {
    if let BlobSource::Bytes(bytes) = &blob.content {
        let mut draft = cache.draft()?;
        std::io::Write::write_all(&mut draft, bytes)
            .map_err(|cause| fs::unwritable(cache.directory(), cause))?;
        cache.keep(draft, &blob.descriptor.digest)?;
    }
    Ok(blob.descriptor.clone())
}

/// The image of a key, if it is in the cache and intact.
pub fn cached_image(cache: &Cache, key: Key) -> Option<Image> {
    let note: Note = cache.note(NOTES, &key.to_string())?;
    let platforms = note.platforms.into_iter().map(|platform| {
        let layers = platform.layers.into_iter().map(|layer| {
            let content = match layer.remote {
                Some(repository) => BlobSource::Remote(repository),
                None => BlobSource::File(cache.verified_blob(&layer.blob.digest)?),
            };
            Some(Layer {
                blob: Blob {
                    descriptor: layer.blob,
                    content,
                },
                diff_id: layer.diff_id,
            })
        });
        Some(PlatformImage {
            platform: platform.platform,
            manifest: read_blob(cache, platform.manifest)?,
            config: read_blob(cache, platform.config)?,
            layers: layers.collect::<Option<_>>()?,
        })
    });
    let platforms = platforms.collect::<Option<_>>()?;
    let index = match note.index {
        Some(index) => Some(read_blob(cache, index)?),
        None => None,
    };
    Some(Image { platforms, index })
}

/// Reads a manifest or config into memory and verifies its digest.
fn read_blob(cache: &Cache, descriptor: Descriptor) -> Option<Blob> {
    let bytes = std::fs::read(cache.verified_blob(&descriptor.digest)?).ok()?;
    (Digest::of(&bytes) == descriptor.digest).then(|| Blob {
        descriptor,
        content: BlobSource::Bytes(bytes.into()),
    })
}
