//! Base images: manifest, config, and descriptors of the layers.
//!
//! Layers are never unpacked to disk. They are downloaded only when [`LayerIndexCache`] indexes their files, or when a
//! publisher has to transfer them.

mod contents;
mod file;
mod layer;
mod resolve;

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{BaseImage, LockedBase};
use crate::image::config::BaseConfig;
use crate::image::layer::{Blob, BlobSource, Layer};
use crate::image::manifest;
use crate::image::platform::Platform;
use crate::image::{BaseSource, PlatformImage};
use crate::sys::cache::Cache;
use crate::sys::error::Result;
pub(super) use contents::LayerIndexCache;
pub(super) use file::index_file;
pub(super) use layer::decompress;
pub use resolve::{Lookup, PlatformManifest};

/// A base image for one platform.
pub(super) struct ResolvedBase {
    /// The name for error messages.
    pub(super) name: String,
    pub(super) config_blob: Blob,
    pub(super) config: BaseConfig,
    /// Lowest first.
    pub(super) layers: Vec<Layer>,
}

impl ResolvedBase {
    /// Fetches only manifest and config.
    pub(super) async fn open(
        source: &dyn BaseSource,
        base: &BaseImage,
        platform: &Platform,
    ) -> Result<Self> {
        match base {
            BaseImage::Locked(at) => Self::fetch(source, at, platform).await,
            BaseImage::Made(image) => {
                let name = "the environment".to_owned();
                let BlobSource::Bytes(config) = &image.config.content else {
                    unreachable!("a made config is always in memory")
                };
                let config = BaseConfig::read(&name, config, image.layers.len())?;
                Ok(Self {
                    name,
                    config_blob: image.config.clone(),
                    config,
                    layers: image.layers.clone(),
                })
            }
        }
    }

    async fn fetch(source: &dyn BaseSource, at: &LockedBase, platform: &Platform) -> Result<Self> {
        let name = at.repository.pinned(at.digest).to_string();
        let lookup = Lookup {
            source,
            name: &name,
            repository: &at.repository,
            platform,
        };
        let image = lookup.locked(at.digest).await?.image;
        let config = lookup.config(&image).await?;
        let mut config_blob = Blob {
            descriptor: image.config,
            content: BlobSource::Remote(at.repository.clone()),
        };
        let own = config.platform();
        if platform.distance(&own).is_none() {
            let says = if own.is_complete() {
                format!("declares the platform `{own}`")
            } else {
                "names no platform".to_owned()
            };
            source.warn(&format!(
                "the config of base image `{name}` {says}; `{platform}` of its index is used"
            ));
            config_blob = config.with_platform(platform);
        }
        let layers =
            image
                .layers
                .into_iter()
                .zip(config.diff_ids())
                .map(|(descriptor, diff_id)| {
                    let blob = Blob {
                        descriptor,
                        content: BlobSource::Remote(at.repository.clone()),
                    };
                    Layer {
                        blob,
                        diff_id: *diff_id,
                    }
                });
        Ok(Self {
            layers: layers.collect(),
            name,
            config_blob,
            config,
        })
    }

    pub(super) fn into_image(self, platform: &Platform) -> PlatformImage {
        let manifest =
            manifest::manifest(&self.config_blob.descriptor, &self.layers, &BTreeMap::new());
        PlatformImage {
            platform: platform.clone(),
            manifest,
            config: self.config_blob,
            layers: self.layers,
        }
    }
}

/// The local file of a blob, which is downloaded if necessary.
async fn local_file(cache: &Cache, source: &dyn BaseSource, blob: &Blob) -> Result<PathBuf> {
    if let BlobSource::File(path) = &blob.content {
        return Ok(path.clone());
    }
    match (cache.verified_blob(&blob.descriptor.digest), &blob.content) {
        (Some(path), _) => Ok(path),
        (None, BlobSource::Remote(repository)) => source.blob(repository, &blob.descriptor).await,
        (None, BlobSource::Bytes(_) | BlobSource::File(_)) => {
            unreachable!("layers and the configs of registries are never in memory")
        }
    }
}
