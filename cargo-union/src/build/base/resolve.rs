//! Resolves a base image reference, to a manifest or an index, to the image for one platform.
//!
//! As in containerd, the platform in an index takes precedence over the one in a config. Indexes may be nested.

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

/// The maximum depth of nested indexes.
const DEEPEST: usize = 4;

/// The lookup of a base image for one platform.
pub struct Lookup<'a> {
    /// The source of manifests and configs.
    pub source: &'a dyn BaseSource,
    /// The base as written by the user, for error messages.
    pub name: &'a str,
    /// Registry and repository of the base.
    pub repository: &'a Repository,
    /// The platform to select from an index.
    pub platform: &'a Platform,
}

/// The image manifest of one platform.
#[derive(Clone, Debug)]
pub struct PlatformManifest {
    /// Digest of the manifest.
    pub digest: Digest,
    /// Descriptors of the config and layers.
    pub image: BaseImageManifest,
}

type ResolveFuture<'a> = Pin<Box<dyn Future<Output = Result<PlatformManifest>> + Send + 'a>>;

impl Lookup<'_> {
    /// Selects the image of the platform from a manifest or index.
    ///
    /// # Errors
    /// `BaseWithoutPlatform`, `BaseUnsupported`, `BaseCorrupt`, and those of the source.
    pub async fn resolve(&self, raw: &RawManifest) -> Result<PlatformManifest> {
        self.find(raw.clone(), false, 0).await
    }

    /// The image with a locked digest, which was checked for the platform when it was locked.
    ///
    /// # Errors
    /// Those of [`resolve`](Self::resolve).
    pub async fn locked(&self, digest: Digest) -> Result<PlatformManifest> {
        self.find(self.manifest(digest).await?, true, 0).await
    }

    /// Fetches and parses the config of an image.
    ///
    /// # Errors
    /// `BaseCorrupt`, and those of the source.
    pub async fn config(&self, image: &BaseImageManifest) -> Result<BaseConfig> {
        let path = self.source.blob(self.repository, &image.config).await?;
        BaseConfig::read(self.name, &fs::read(&path)?, image.layers.len())
    }

    /// Selects the image from a manifest or index; `platform_is_known` if an index has the platform of the manifest.
    fn find(&self, raw: RawManifest, platform_is_known: bool, depth: usize) -> ResolveFuture<'_> {
        Box::pin(async move {
            match manifest::read(self.name, &raw)? {
                BaseManifest::Image(image) => {
                    if !platform_is_known {
                        self.check_platform(&image, depth > 0).await?;
                    }
                    Ok(PlatformManifest {
                        digest: raw.descriptor.digest,
                        image,
                    })
                }
                BaseManifest::Index(_) if depth == DEEPEST => {
                    let error = Error::new(
                        Code::BaseUnsupported,
                        format!("cannot build on base image `{}`", self.name),
                    );
                    Err(error.because(format!("more than {DEEPEST} indexes are nested")))
                }
                BaseManifest::Index(variants) => self.find_in_index(&variants, depth).await,
            }
        })
    }

    async fn find_in_index(&self, variants: &[Variant], depth: usize) -> Result<PlatformManifest> {
        for variant in manifest::candidates(variants, self.platform) {
            let raw = self.manifest(variant.descriptor.digest).await?;
            match self.find(raw, variant.platform.is_some(), depth + 1).await {
                // A nested index without the platform, or an artifact beside the images.
                Err(error) if error.code() == Code::BaseWithoutPlatform => {}
                Err(error)
                    if error.code() == Code::BaseUnsupported
                        && variant.platform.is_none()
                        && !is_index(variant) => {}
                result => return result,
            }
        }
        let platforms: Vec<_> = variants
            .iter()
            .filter_map(|variant| variant.platform.as_ref())
            .collect();
        Err(manifest::without_platform(
            self.name,
            self.platform,
            &platforms,
        ))
    }

    /// Checks the platform in the config, if no index has it. The config of an image in an index must have a platform.
    async fn check_platform(&self, image: &BaseImageManifest, in_index: bool) -> Result<()> {
        let own = self.config(image).await?.platform();
        if (own.is_complete() || in_index) && self.platform.distance(&own).is_none() {
            return Err(manifest::without_platform(
                self.name,
                self.platform,
                &[&own],
            ));
        }
        Ok(())
    }

    async fn manifest(&self, digest: Digest) -> Result<RawManifest> {
        self.source
            .manifest(self.repository, &digest.to_string())
            .await
    }
}

fn is_index(variant: &Variant) -> bool {
    matches!(
        variant.descriptor.media_type.as_str(),
        media_type::OCI_INDEX | media_type::DOCKER_INDEX
    )
}
