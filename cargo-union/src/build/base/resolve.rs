//! From what a base's name leads to, a manifest or an index, to the image for one platform.
//!
//! As in containerd the index decides: what a config says of its platform counts only where no index has said it. An index
//! may lead to another one.

use std::pin::Pin;

use union_build::diag::Code;

use crate::image::config::BaseConfig;
use crate::image::layer::media_type;
use crate::image::manifest::{self, BaseImageManifest, BaseManifest, Variant};
use crate::image::platform::Platform;
use crate::image::reference::Repository;
use crate::image::{BaseSource, RawManifest};
use crate::sys::digest::Digest;
use crate::sys::error::{Error, Result};
use crate::sys::fs;

/// How many indexes may lead to one another.
const DEEPEST: usize = 4;

/// A base whose image is looked for.
pub struct Lookup<'a> {
    /// Where manifests and configs come from.
    pub source: &'a dyn BaseSource,
    /// What the user knows the base by.
    pub name: &'a str,
    /// Where it is.
    pub repository: &'a Repository,
    /// For which platform.
    pub platform: &'a Platform,
}

/// The image of one platform.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// Digest of its manifest.
    pub digest: Digest,
    /// Its manifest.
    pub image: BaseImageManifest,
}

type Finding<'a> = Pin<Box<dyn Future<Output = Result<Resolved>> + Send + 'a>>;

impl Lookup<'_> {
    /// The image that a reference leads to.
    ///
    /// # Errors
    /// `BaseWithoutPlatform`, `BaseUnsupported`, `BaseCorrupt`; what the source says.
    pub async fn resolve(&self, raw: &RawManifest) -> Result<Resolved> {
        self.find(raw.clone(), false, 0).await
    }

    /// The image at a digest that was resolved before, and so is for the platform.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub async fn locked(&self, digest: Digest) -> Result<Resolved> {
        self.find(self.manifest(digest).await?, true, 0).await
    }

    /// The config of an image. One that contradicts the index is told.
    ///
    /// # Errors
    /// `BaseCorrupt`; what the source says.
    pub async fn config(&self, image: &BaseImageManifest) -> Result<BaseConfig> {
        let path = self.source.blob(self.repository, &image.config).await?;
        BaseConfig::read(self.name, &fs::read(&path)?, image.layers.len())
    }

    /// Looks below a manifest; `named` when an index has said that it is for the platform.
    fn find(&self, raw: RawManifest, named: bool, depth: usize) -> Finding<'_> {
        Box::pin(async move {
            match manifest::read(self.name, &raw)? {
                BaseManifest::Image(image) => {
                    if !named {
                        self.check(&image, depth > 0).await?;
                    }
                    Ok(Resolved { digest: raw.descriptor.digest, image })
                }
                BaseManifest::Index(_) if depth == DEEPEST => {
                    let error = Error::new(Code::BaseUnsupported, format!("cannot build upon base image `{}`", self.name));
                    Err(error.because(format!("more than {DEEPEST} indexes lead to one another")))
                }
                BaseManifest::Index(variants) => self.among(&variants, depth).await,
            }
        })
    }

    async fn among(&self, variants: &[Variant], depth: usize) -> Result<Resolved> {
        for variant in manifest::candidates(variants, self.platform) {
            let raw = self.manifest(variant.descriptor.digest).await?;
            match self.find(raw, variant.platform.is_some(), depth + 1).await {
                // An index without a platform, an artifact beside the images.
                Err(error) if error.code() == Code::BaseWithoutPlatform => {}
                Err(error) if error.code() == Code::BaseUnsupported && variant.platform.is_none() && !is_index(variant) => {}
                found => return found,
            }
        }
        let platforms: Vec<_> = variants.iter().filter_map(|variant| variant.platform.as_ref()).collect();
        Err(manifest::without_platform(self.name, self.platform, &platforms))
    }

    /// Requires that a config fits of which no index has said the platform. In an index it has to name its platform.
    async fn check(&self, image: &BaseImageManifest, in_index: bool) -> Result<()> {
        let own = self.config(image).await?.platform();
        if (own.is_whole() || in_index) && self.platform.distance(&own).is_none() {
            return Err(manifest::without_platform(self.name, self.platform, &[&own]));
        }
        Ok(())
    }

    async fn manifest(&self, digest: Digest) -> Result<RawManifest> {
        self.source.manifest(self.repository, &digest.to_string()).await
    }
}

fn is_index(variant: &Variant) -> bool {
    matches!(variant.descriptor.media_type.as_str(), media_type::OCI_INDEX | media_type::DOCKER_INDEX)
}
