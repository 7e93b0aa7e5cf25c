//! A base image: its manifest, its config, and its layers where they are.
//!
//! Layers are never unpacked to disk and stay in their registry until a publisher has to move them.
//! What is in them is known to [`Contents`].

mod contents;
mod file;
mod layer;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use union_build::diag::Code;

use super::{LockedBase, Start};
use crate::base::cache::Cache;
use crate::base::error::{Error, Result};
use crate::base::fs;
use crate::image::config::BaseConfig;
use crate::image::digest::Digest;
use crate::image::layer::{Blob, Content, Layer};
use crate::image::manifest::{self, BaseManifest};
use crate::image::platform::Platform;
use crate::image::{BaseSource, PlatformImage, RawManifest};
pub(super) use contents::Contents;
pub(super) use file::of_file;
pub(super) use layer::plain;

/// A base for one platform.
pub(super) struct Base {
    /// The name that errors call it by.
    pub(super) name: String,
    pub(super) config_blob: Blob,
    pub(super) config: BaseConfig,
    /// Lowest first.
    pub(super) layers: Vec<Layer>,
}

impl Base {
    /// Gets at manifest and config, both small.
    pub(super) async fn open(cache: &Cache, source: &dyn BaseSource, start: &Start, platform: &Platform) -> Result<Self> {
        match start {
            Start::Locked(at) => Self::fetch(cache, source, at, platform).await,
            Start::Made(image) => {
                let name = "the environment".to_owned();
                let Content::Bytes(config) = &image.config.content else { unreachable!("a made config is always in memory") };
                let config = BaseConfig::read(&name, config, image.layers.len())?;
                Ok(Self { name, config_blob: image.config.clone(), config, layers: image.layers.clone() })
            }
        }
    }

    async fn fetch(cache: &Cache, source: &dyn BaseSource, at: &LockedBase, platform: &Platform) -> Result<Self> {
        let name = at.repository.pinned(at.digest).to_string();
        let image = match manifest::read(&name, &manifest(cache, source, at, at.digest).await?)? {
            BaseManifest::Image(image) => image,
            BaseManifest::Index(variants) => {
                let digest = manifest::choose(&name, &variants, platform)?.digest;
                match manifest::read(&name, &manifest(cache, source, at, digest).await?)? {
                    BaseManifest::Image(image) => image,
                    BaseManifest::Index(_) => {
                        return Err(Error::new(Code::BaseUnsupported, format!("cannot build upon base image `{name}`"))
                            .because("its index leads to another index"));
                    }
                }
            }
        };
        let mut config_blob = Blob { descriptor: image.config, content: Content::Remote(at.repository.clone()) };
        let path = file(cache, source, &config_blob).await?;
        let config = BaseConfig::read(&name, &fs::read(&path)?, image.layers.len())?;
        config_blob.content = Content::File(path);
        if config.platform() != *platform {
            return Err(manifest::without_platform(&name, platform, &[&config.platform()]));
        }
        let layers = image.layers.into_iter().zip(config.diff_ids()).map(|(descriptor, diff_id)| {
            let blob = Blob { descriptor, content: Content::Remote(at.repository.clone()) };
            Layer { blob, diff_id: *diff_id }
        });
        Ok(Self { layers: layers.collect(), name, config_blob, config })
    }

    /// It as an image, for whoever takes images.
    pub(super) fn into_image(self, platform: &Platform) -> PlatformImage {
        let manifest = manifest::manifest(&self.config_blob.descriptor, &self.layers, &BTreeMap::new());
        PlatformImage { platform: platform.clone(), manifest, config: self.config_blob, layers: self.layers }
    }
}

/// A manifest by its digest never changes, so it is asked for once.
async fn manifest(cache: &Cache, source: &dyn BaseSource, at: &LockedBase, digest: Digest) -> Result<RawManifest> {
    if let Some(bytes) = cache.blob(&digest).and_then(|path| std::fs::read(path).ok()).filter(|bytes| Digest::of(bytes) == digest) {
        let blob = Blob::of_bytes("", bytes.clone());
        return Ok(RawManifest { descriptor: blob.descriptor, bytes: bytes.into() });
    }
    let manifest = source.manifest(&at.repository, &digest.to_string()).await?;
    let mut draft = cache.draft()?;
    io::Write::write_all(&mut draft, &manifest.bytes).map_err(|cause| fs::unwritable(cache.folder(), cause))?;
    cache.keep(draft, &digest)?;
    Ok(manifest)
}

/// The file that a blob is in on this machine.
async fn file(cache: &Cache, source: &dyn BaseSource, blob: &Blob) -> Result<PathBuf> {
    if let Content::File(path) = &blob.content {
        return Ok(path.clone());
    }
    match (cache.blob(&blob.descriptor.digest), &blob.content) {
        (Some(path), _) => Ok(path),
        (None, Content::Remote(repository)) => source.blob(repository, &blob.descriptor).await,
        (None, Content::Bytes(_) | Content::File(_)) => unreachable!("layers and the configs of registries are never in memory"),
    }
}
