//! OCI images as pure values: this module reads no files, starts no processes and opens no connections.
//!
//! `build` returns an [`Image`], `publish` publishes it, and `pipeline` connects the two.

pub mod artifact;
pub mod audit_data;
pub mod config;
pub mod content;
pub mod crate_graph;
pub mod elf;
pub mod glibc;
pub mod index;
pub mod inventory;
pub mod layer;
pub mod loader;
pub mod loader_cache;
pub mod machine;
pub mod manifest;
pub mod packages;
pub mod per_platform;
pub mod plan;
pub mod platform;
pub mod reference;
pub mod release;
pub mod remote_spec;
pub mod section;
pub mod signature_list;
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
    /// One per platform, in declaration order; never empty.
    pub platforms: Vec<PlatformImage>,
    /// The index of their manifests; `None` for a single platform.
    pub index: Option<Blob>,
}

/// An image for one platform.
#[derive(Clone, Debug)]
pub struct PlatformImage {
    /// Operating system, architecture and variant.
    pub platform: Platform,
    /// The manifest, always with its bytes in memory.
    pub manifest: Blob,
    /// The config, always with its bytes in memory.
    pub config: Blob,
    /// Base layers first, the code layer last.
    pub layers: Vec<Layer>,
}

impl Image {
    /// The target of the tag: the index, or the only manifest.
    pub fn top(&self) -> &Blob {
        self.index.as_ref().unwrap_or(&self.platforms[0].manifest)
    }

    /// Every distinct blob, the small ones first: index, manifests and configs, then layers.
    pub fn blobs(&self) -> Vec<&Blob> {
        let metadata = self.index.iter().chain(
            self.platforms
                .iter()
                .flat_map(|platform| [&platform.manifest, &platform.config]),
        );
        let layers = self
            .platforms
            .iter()
            .flat_map(|platform| platform.layers.iter().map(|layer| &layer.blob));
        let mut seen = std::collections::BTreeSet::new();
        metadata
            .chain(layers)
            .filter(|blob| seen.insert(blob.descriptor.digest))
            .collect()
    }
}

/// A manifest or index as a registry served it.
#[derive(Clone, Debug)]
pub struct RawManifest {
    /// Media type, size, and the verified digest of the bytes.
    pub descriptor: Descriptor,
    /// The unchanged bytes, which the digest depends on.
    pub bytes: Bytes,
}

/// The user's credentials for a registry.
#[derive(Clone, Debug)]
pub enum RegistryLogin {
    /// User name and password, for basic authentication or a token server.
    Password {
        /// The user name.
        user: String,
        /// The password, or a personal access token.
        password: Secret<String>,
    },
    /// An OAuth2 refresh token (`identitytoken` of Docker's config.json).
    Identity(Secret<String>),
    /// A bearer token for the registry itself (`registrytoken` of Docker's config.json).
    Bearer(Secret<String>),
}

/// Looks up credentials. Implemented by the registry client, for engines, which pull the images of a user's own
/// Dockerfile by themselves.
#[async_trait::async_trait]
pub trait Logins: Send + Sync {
    /// The credentials for a repository or, with an empty path, for its registry; `None` for anonymous access.
    ///
    /// # Errors
    /// `CredentialsInvalid` when a credential store cannot be read.
    async fn login(&self, repository: &Repository) -> Result<Option<RegistryLogin>>;
}

/// Fetches base images. Implemented by the registry client.
#[async_trait::async_trait]
pub trait BaseSource: Send + Sync {
    /// Fetches and verifies the manifest or index with a tag or digest (`sha256:…`).
    ///
    /// # Errors
    /// `BaseMissing`, `BaseDenied`, `BaseUnreachable`, `BaseCorrupt`.
    async fn manifest(&self, repository: &Repository, tag_or_digest: &str) -> Result<RawManifest>;

    /// Downloads a blob into the cache, verifies it, and returns its path.
    ///
    /// # Errors
    /// `BaseMissing`, `BaseDenied`, `BaseUnreachable`, `BaseCorrupt`, `DiskFull`.
    async fn blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
    ) -> Result<std::path::PathBuf>;

    /// Warns the user about an irregularity of a base that is used nevertheless.
    fn warn(&self, warning: &str) {
        let _ = warning;
    }

    /// Downloads a blob if it is only in a base's registry.
    ///
    /// # Errors
    /// Those of [`blob`](Self::blob).
    async fn local(&self, blob: &Blob) -> Result<LocalBlob> {
        let bytes = match &blob.content {
            BlobSource::Bytes(bytes) => BlobLocation::Memory(bytes.clone()),
            BlobSource::File(path) => BlobLocation::File(path.clone()),
            BlobSource::Remote(repository) => {
                BlobLocation::File(self.blob(repository, &blob.descriptor).await?)
            }
        };
        Ok(LocalBlob {
            descriptor: blob.descriptor.clone(),
            bytes,
        })
    }
}
