//! Image builders: combine a base image, files and executables into an image.
//!
//! Builders are independent of cargo and registries. They read bases through [`BaseSource`] and executables from
//! paths, and return the image as a value.

mod archive;
mod base;
mod caching;
mod chain;
mod check;
pub mod docker;
pub mod environment;
pub mod inputs;
mod measured_files;
pub mod native;
mod patterns;
pub mod remote;
mod requirements;
mod roots;
mod sources;
mod variables;
mod verified_file;
mod walk;

pub use base::{Lookup, PlatformManifest};
pub use caching::{CachingBuilder, cached_image};
pub use chain::{EffectiveConfig, ImageChain};
pub use measured_files::MeasuredFiles;
pub use requirements::problems as requirement_problems;
pub use roots::SourceRoots;
pub use sources::problems as copy_problems;
pub use variables::{Variables, base_variables, refers_to_base, undefined_variables};

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use union_build::key::Key;
use union_build::spec;

use crate::image::glibc::Glibc;
use crate::image::inventory::Inventory;
use crate::image::platform::Platform;
use crate::image::reference::Repository;
use crate::image::release::Release;
use crate::image::{BaseSource, Image, PlatformImage};
use crate::sys::cache::Cache;
use crate::sys::digest::Digest;
use crate::sys::error::Result;

/// The directory of the executables in every image.
///
/// Base images do not use this directory, so the code layer cannot replace a file or link of the base, although it
/// is built without reading the base.
pub const BINARIES: &str = "/union/bin";

/// Everything that a builder needs to build one image.
#[derive(Clone, Debug)]
pub struct BuildRequest {
    /// The specs of the image's settings.
    pub chain: ImageChain,
    /// What is built on top of the base, in order: the whole chain, or the rest of it when the base is an environment
    /// that was built before.
    pub steps: Vec<spec::ImageSpec>,
    /// The directories that copied files may come from.
    pub roots: SourceRoots,
    /// Sizes and hashes of the copied files at the time the key was computed.
    pub files: Arc<MeasuredFiles>,
    /// The content key, for the label `union.key` and the variable `UNION_IMAGE_ID`.
    pub key: Key,
    /// One per platform, in declaration order.
    pub platforms: Vec<PlatformBuildRequest>,
    /// Labels in addition to those of the spec: the task interfaces that the binaries describe.
    pub interface_labels: BTreeMap<String, String>,
    /// Every timestamp, in seconds since the Unix epoch.
    pub source_date_epoch: u64,
    /// Whether a binary that could not start is an error; if not, the image is labeled as unchecked.
    pub check: bool,
}

/// The part of a [`BuildRequest`] that depends on the platform.
#[derive(Clone, Debug)]
pub struct PlatformBuildRequest {
    /// Operating system, architecture and variant.
    pub platform: Platform,
    /// The base image; `None` is scratch.
    pub base: Option<BaseImage>,
    /// Tool images that the steps need, by their references as written in the manifest.
    pub tools: BTreeMap<String, LockedBase>,
    /// The compiled binaries, sorted by name; empty for an environment.
    pub executables: Vec<Executable>,
    /// The program that starts the programs of tasks; `None` for an image without tasks.
    pub launcher: Option<Bytes>,
}

impl PlatformBuildRequest {
    /// A request for an image with only its steps.
    pub fn without_binaries(platform: Platform, base: Option<BaseImage>) -> Self {
        Self {
            platform,
            base,
            tools: BTreeMap::new(),
            executables: Vec::new(),
            launcher: None,
        }
    }
}

impl BuildRequest {
    fn image(&self) -> &str {
        &self.chain.own().key
    }
}

/// The image that another image is built on.
#[derive(Clone, Debug)]
pub enum BaseImage {
    /// An image in a registry, pinned by digest.
    Locked(LockedBase),
    /// An environment that a builder has built before.
    Made(Box<PlatformImage>),
}

/// The properties of a base that decide how code for it is compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BaseFacts {
    /// The distribution, from `os-release`; `None` if the base has no such file.
    pub release: Option<Release>,
    /// The version of glibc; `None` if the base does not have glibc.
    pub glibc: Option<Glibc>,
}

/// Reads the distribution and C library of a base. Each layer is downloaded and indexed only once, then cached.
///
/// # Errors
/// When the base cannot be fetched or parsed.
pub async fn base_facts(
    cache: &Cache,
    source: &Arc<dyn BaseSource>,
    at: &LockedBase,
    platform: &Platform,
) -> Result<BaseFacts> {
    let base =
        base::ResolvedBase::open(&**source, &BaseImage::Locked(at.clone()), platform).await?;
    let files = base::LayerIndexCache::new(cache.clone(), source.clone())
        .libraries(&base.name, &base.layers)
        .await?;
    Ok(BaseFacts {
        release: Release::of(&files),
        glibc: Glibc::of(&files),
    })
}

/// The packages that are installed in a base or environment; `None` if a layer would have to be downloaded and `downloads` is
/// not set. Each layer is read only once, then cached.
///
/// # Errors
/// When the base cannot be fetched or parsed.
pub async fn inventory(
    cache: &Cache,
    source: &Arc<dyn BaseSource>,
    base: &BaseImage,
    platform: &Platform,
    downloads: bool,
) -> Result<Option<Inventory>> {
    let base = base::ResolvedBase::open(&**source, base, platform).await?;
    base::LayerIndexCache::new(cache.clone(), source.clone())
        .inventory(&base.name, &base.layers, downloads)
        .await
}

/// A base image as Union.lock pins it, for one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedBase {
    /// Registry and repository of the image.
    pub repository: Repository,
    /// Digest of the platform's manifest, not of the index.
    pub digest: Digest,
}

/// A compiled binary that becomes part of an image.
#[derive(Clone, Debug)]
pub struct Executable {
    /// File name in the image, in the directory [`BINARIES`].
    pub name: String,
    /// Path on the host, as cargo reports it.
    pub path: PathBuf,
}

/// Builds images from requests.
#[async_trait::async_trait]
pub trait Builder: Send + Sync {
    /// Builds an image for all platforms of the request.
    ///
    /// # Errors
    /// When the base cannot be fetched or is not supported, a build step fails, or a file cannot be read or packed.
    async fn build(&self, request: &BuildRequest) -> Result<Image>;
}

/// Receives the progress of a builder; every method has an empty default.
pub trait Reporter: Send + Sync {
    /// A step of an image begins, for example `packing 2 binaries`.
    fn step(&self, image: &str, step: &str) {
        let _ = (image, step);
    }

    /// The last step of an image has ended.
    fn ended(&self, image: &str) {
        let _ = image;
    }

    /// A step of an environment begins, for example `[2/4] RUN apt-get …`.
    fn runs(&self, image: &str, step: &str) {
        let _ = (image, step);
    }

    /// A step of an environment has written a line of output.
    fn line(&self, image: &str, line: &str) {
        let _ = (image, line);
    }
}

/// Reports the end of an image's steps on drop, also after an error.
struct Steps<'a>(&'a dyn Reporter, &'a str);

impl Drop for Steps<'_> {
    fn drop(&mut self) {
        self.0.ended(self.1);
    }
}

/// A [`Reporter`] that ignores everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Reporter for Silent {}
