//! A base image: its manifest, its config, and its layers where they are.
//!
//! Layers are never unpacked to disk and stay in their registry until a publisher has to move them.
//! What is in them is known to [`Contents`].

mod contents;
mod file;
mod layer;

use std::io;
use std::path::PathBuf;

use union_build::diag::Code;

use super::LockedBase;
use crate::base::cache::Cache;
use crate::base::error::{Error, Result};
use crate::base::fs;
use crate::image::config::BaseConfig;
use crate::image::digest::Digest;
use crate::image::layer::{Blob, Content, Descriptor, Layer};
use crate::image::manifest::{self, BaseManifest};
use crate::image::platform::Platform;
use crate::image::reference::Repository;
use crate::image::{BaseSource, RawManifest};
pub(super) use contents::Contents;
pub(super) use file::of_file;

/// A base for one platform.
pub(super) struct Base {
    /// The name that errors call it by.
    pub(super) name: String,
    pub(super) config: BaseConfig,
    /// Lowest first.
    pub(super) layers: Vec<Layer>,
}

impl Base {
    /// Fetches manifest and config, both small.
    pub(super) async fn open(cache: &Cache, source: &dyn BaseSource, at: &LockedBase, platform: &Platform) -> Result<Self> {
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
        let path = blob(cache, source, &at.repository, &image.config).await?;
        let config = BaseConfig::read(&name, &fs::read(&path)?, image.layers.len())?;
        if config.platform() != *platform {
            return Err(manifest::without_platform(&name, platform, &[&config.platform()]));
        }
        let layers = image.layers.into_iter().zip(config.diff_ids()).map(|(descriptor, diff_id)| {
            let blob = Blob { descriptor, content: Content::Remote(at.repository.clone()) };
            Layer { blob, diff_id: *diff_id }
        });
        Ok(Self { layers: layers.collect(), name, config })
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

async fn blob(cache: &Cache, source: &dyn BaseSource, repository: &Repository, descriptor: &Descriptor) -> Result<PathBuf> {
    match cache.blob(&descriptor.digest) {
        Some(path) => Ok(path),
        None => source.blob(repository, descriptor).await,
    }
}
