//! Builders: from a base, files and executables to an image.
//!
//! A builder knows nothing of cargo, registries or results. Bases come through
//! [`BaseSource`], executables as paths, and the image goes back as a value.

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

pub use base::{Lookup, Resolved};
pub use caching::{CachingBuilder, is_remembered};
pub use chain::{EffectiveConfig, ImageChain};
pub use measured_files::MeasuredFiles;
pub use requirements::problems as requirement_problems;
pub use roots::SourceRoots;
pub use sources::problems as copy_problems;
pub use variables::{Variables, base_variables, refers_to_base, undefined_variables};

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use union_build::key::Key;
use union_build::spec;

use crate::image::glibc::Glibc;
use crate::image::platform::Platform;
use crate::image::reference::Repository;
use crate::image::release::Release;
use crate::image::{BaseSource, Image, PlatformImage};
use crate::sys::cache::Cache;
use crate::sys::digest::Digest;
use crate::sys::error::Result;

/// Where binaries are in every image.
///
/// A folder of our own: no base has a link or a file there, so that the code layer, which is made
/// without a look at the base, cannot replace anything of it.
pub const BINARIES: &str = "/union/bin";

/// Everything that one image is made from.
#[derive(Clone, Debug)]
pub struct BuildRequest {
    /// What the image's settings come from.
    pub chain: ImageChain,
    /// What is to be made upon the base, in order: the chain itself, or what is left of it when the
    /// base is an environment that was made before.
    pub steps: Vec<spec::Image>,
    /// Where its files come from.
    pub roots: SourceRoots,
    /// What the copied files held when the key was made.
    pub files: Arc<MeasuredFiles>,
    /// The full key: `union.key` and `UNION_IMAGE_ID`.
    pub key: Key,
    /// One per platform, in the order declared.
    pub platforms: Vec<PlatformBuildRequest>,
    /// Labels with the interfaces of the binaries, besides the labels of the spec.
    pub interface_labels: BTreeMap<String, String>,
    /// Seconds since 1970 of every timestamp.
    pub source_date_epoch: u64,
    /// Whether a binary that could not start is refused; when it is not, the image says so.
    pub check: bool,
}

/// What differs from platform to platform.
#[derive(Clone, Debug)]
pub struct PlatformBuildRequest {
    /// Which platform.
    pub platform: Platform,
    /// What it starts from; `None` is scratch.
    pub base: Option<BaseImage>,
    /// Images with tools that the steps need, by their references as typed.
    pub tools: BTreeMap<String, LockedBase>,
    /// The compiled binaries, sorted by name; empty for an environment.
    pub executables: Vec<Executable>,
}

impl BuildRequest {
    /// The name of the image's own spec.
    fn image(&self) -> &str {
        &self.chain.own().key
    }
}

/// What an image starts from.
#[derive(Clone, Debug)]
pub enum BaseImage {
    /// An image of a registry.
    Locked(LockedBase),
    /// An environment that a builder has just made.
    Made(Box<PlatformImage>),
}

/// What of a base decides how code for it is compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BaseFacts {
    /// Its distribution; `None` where no file says.
    pub release: Option<Release>,
    /// Its C library; `None` when that is not GNU's.
    pub glibc: Option<Glibc>,
}

/// Looks into a base, of which each layer is fetched and read once in its life.
///
/// # Errors
/// When the base cannot be had or read.
pub async fn base_facts(cache: &Cache, source: &Arc<dyn BaseSource>, at: &LockedBase, platform: &Platform) -> Result<BaseFacts> {
    let base = base::ResolvedBase::open(&**source, &BaseImage::Locked(at.clone()), platform).await?;
    let files = base::LayerIndexCache::new(cache.clone(), source.clone()).libraries(&base.name, &base.layers).await?;
    Ok(BaseFacts { release: Release::of(&files), glibc: Glibc::of(&files) })
}

/// A base image as Union.lock pins it, for one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedBase {
    /// Where it is.
    pub repository: Repository,
    /// Digest of the platform's manifest.
    pub digest: Digest,
}

/// A compiled binary.
#[derive(Clone, Debug)]
pub struct Executable {
    /// Its name in the image, below [`BINARIES`].
    pub name: String,
    /// Where cargo put it.
    pub path: PathBuf,
}

/// Makes images.
#[async_trait::async_trait]
pub trait Builder: Send + Sync {
    /// Makes an image.
    ///
    /// # Errors
    /// When the base cannot be had or built upon, or a file cannot be read or packed.
    async fn build(&self, recipe: &BuildRequest) -> Result<Image>;
}

/// What a builder tells while it works; the user interface listens.
pub trait Reporter: Send + Sync {
    /// A step of an image begins: `packing 2 binaries`.
    fn step(&self, image: &str, step: &str) {
        let _ = (image, step);
    }

    /// The last step of an image has ended.
    fn ended(&self, image: &str) {
        let _ = image;
    }

    /// Something begins to run in an environment, which may take long: `[2/4] RUN apt-get …`.
    fn runs(&self, image: &str, step: &str) {
        let _ = (image, step);
    }

    /// What runs in an environment has written a line.
    fn line(&self, image: &str, line: &str) {
        let _ = (image, line);
    }
}

/// The steps of an image, which end with this value however they end.
struct Steps<'a>(&'a dyn Reporter, &'a str);

impl Drop for Steps<'_> {
    fn drop(&mut self) {
        self.0.ended(self.1);
    }
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Reporter for Silent {}
