//! Images as pure values: nothing here reads a file, runs a process or opens a connection.
//!
//! This is where the rooms meet: `build` makes an [`Image`], `publish` sends it, `command` carries
//! it from one to the other.

pub mod config;
pub mod digest;
pub mod elf;
pub mod index;
pub mod layer;
pub mod loader;
pub mod machine;
pub mod manifest;
pub mod plan;
pub mod platform;
pub mod reference;
pub mod release;
pub mod start;
pub mod user;

use bytes::Bytes;

use crate::base::error::Result;
use layer::{Blob, Descriptor, Layer};
use platform::Platform;
use reference::Repository;

/// An image that is ready to be published.
#[derive(Clone, Debug)]
pub struct Image {
    /// One per platform, in the order declared.
    pub platforms: Vec<PlatformImage>,
    /// The index over them; `None` for a single platform.
    pub index: Option<Blob>,
}

/// An image for one platform.
#[derive(Clone, Debug)]
pub struct PlatformImage {
    /// Which platform.
    pub platform: Platform,
    /// The manifest, always with its bytes in memory.
    pub manifest: Blob,
    /// The config, always with its bytes in memory.
    pub config: Blob,
    /// Base layers first, the code layer last.
    pub layers: Vec<Layer>,
}

impl Image {
    /// What the tag points at: the index, or the only manifest.
    pub fn top(&self) -> &Blob {
        self.index.as_ref().unwrap_or(&self.platforms[0].manifest)
    }
}

/// A manifest or index as a registry served it.
#[derive(Clone, Debug)]
pub struct RawManifest {
    /// What it is; the digest is that of the bytes, checked.
    pub descriptor: Descriptor,
    /// Its exact bytes.
    pub bytes: Bytes,
}

/// Where bases come from. Implemented by the registry client, handed to builders by `command`.
#[async_trait::async_trait]
pub trait BaseSource: Send + Sync {
    /// Fetches the manifest or index under a tag or a digest (`sha256:…`) of a repository, verified.
    ///
    /// # Errors
    /// `BaseMissing`, `BaseDenied`, `BaseUnreachable`, `BaseCorrupt`.
    async fn manifest(&self, repository: &Repository, tag_or_digest: &str) -> Result<RawManifest>;

    /// Fetches a blob into the cache, verified while it streams, and returns its path there.
    ///
    /// # Errors
    /// `BaseMissing`, `BaseDenied`, `BaseUnreachable`, `BaseCorrupt`, `DiskFull`.
    async fn blob(&self, repository: &Repository, descriptor: &Descriptor) -> Result<std::path::PathBuf>;
}
