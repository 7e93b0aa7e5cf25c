//! Images as pure values: nothing here reads a file, runs a process or opens a connection.
//!
//! This is where the rooms meet: `build` makes an [`Image`], `publish` sends it, `command` carries
//! it from one to the other.

pub mod config;
pub mod elf;
pub mod glibc;
pub mod index;
pub mod layer;
pub mod loader;
pub mod machine;
pub mod manifest;
pub mod per_platform;
pub mod plan;
pub mod platform;
pub mod reference;
pub mod release;
pub mod remote_spec;
pub mod start;
pub mod user;

use bytes::Bytes;

use crate::sys::error::Result;
use crate::sys::secret::Secret;
use layer::{Blob, BlobLocation, BlobSource, Descriptor, Layer, LocalBlob};
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

    /// Every blob of it once, the small ones first: index, manifests and configs, then layers.
    pub fn blobs(&self) -> Vec<&Blob> {
        let tops = self.index.iter().chain(self.platforms.iter().flat_map(|platform| [&platform.manifest, &platform.config]));
        let layers = self.platforms.iter().flat_map(|platform| platform.layers.iter().map(|layer| &layer.blob));
        let mut seen = std::collections::BTreeSet::new();
        tops.chain(layers).filter(|blob| seen.insert(blob.descriptor.digest)).collect()
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

/// The user's login at a registry.
#[derive(Clone, Debug)]
pub enum RegistryLogin {
    /// User and password.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: Secret<String>,
    },
    /// A refresh token.
    Identity(Secret<String>),
    /// A token for the registry itself, which no token server has to give.
    Bearer(Secret<String>),
}

/// Where the user's logins are. Implemented by the registry client, handed to builders by `command`: an engine
/// pulls the images of a user's own Dockerfile by itself.
#[async_trait::async_trait]
pub trait Logins: Send + Sync {
    /// The login for a repository; with an empty path, for its registry. `None` is nobody.
    ///
    /// # Errors
    /// `CredentialsInvalid`, when where logins are kept cannot be read.
    async fn login(&self, repository: &Repository) -> Result<Option<RegistryLogin>>;
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

    /// Tells the user what is odd about a base that is used all the same.
    fn warn(&self, warning: &str) {
        let _ = warning;
    }

    /// Brings a blob here if it is still in a base's registry.
    ///
    /// # Errors
    /// Those of [`blob`](Self::blob).
    async fn local(&self, blob: &Blob) -> Result<LocalBlob> {
        let bytes = match &blob.content {
            BlobSource::Bytes(bytes) => BlobLocation::Memory(bytes.clone()),
            BlobSource::File(path) => BlobLocation::File(path.clone()),
            BlobSource::Remote(repository) => BlobLocation::File(self.blob(repository, &blob.descriptor).await?),
        };
        Ok(LocalBlob { descriptor: blob.descriptor.clone(), bytes })
    }
}
