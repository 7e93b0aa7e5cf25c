//! Blobs and layers: what a manifest lists, and where its bytes are.

use std::path::PathBuf;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::reference::Repository;
use crate::sys::digest::{DiffId, Digest};

/// Media types, as written on the wire.
pub mod media_type {
    /// OCI image index.
    pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// OCI image manifest.
    pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// OCI image config.
    pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// OCI layer, gzip.
    pub const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    /// OCI layer, zstd.
    pub const OCI_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
    /// OCI layer, not compressed.
    pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    /// Docker manifest list.
    pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// Docker image manifest, schema 2.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker layer, gzip.
    pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    /// Docker layer, zstd.
    pub const DOCKER_LAYER_ZSTD: &str = "application/vnd.docker.image.rootfs.diff.tar.zstd";
    /// The four manifests that a registry may hold under a tag.
    pub const MANIFESTS: [&str; 4] = [OCI_INDEX, OCI_MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST];
}

/// What identifies a blob in a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Media type, as written on the wire.
    pub media_type: String,
    /// Digest of the bytes.
    pub digest: Digest,
    /// Number of bytes.
    pub size: u64,
}

/// A blob and where its bytes are.
#[derive(Clone, Debug)]
pub struct Blob {
    /// What it is.
    pub descriptor: Descriptor,
    /// Where its bytes are.
    pub content: BlobSource,
}

/// Where a blob's bytes are.
#[derive(Clone, Debug)]
pub enum BlobSource {
    /// In memory: manifests and configs.
    Bytes(Bytes),
    /// In a file of the cache.
    File(PathBuf),
    /// Still in the registry that a base comes from; fetched only when it has to move.
    Remote(Repository),
}

impl Blob {
    /// A blob of bytes in memory.
    pub fn of_bytes(media_type: &str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let descriptor = Descriptor { media_type: media_type.to_owned(), digest: Digest::of(&bytes), size: bytes.len() as u64 };
        Self { descriptor, content: BlobSource::Bytes(bytes) }
    }
}

/// A blob whose bytes are on this machine.
#[derive(Clone, Debug)]
pub struct LocalBlob {
    /// What it is.
    pub descriptor: Descriptor,
    /// Where its bytes are.
    pub bytes: BlobLocation,
}

/// Where the bytes of a local blob are.
#[derive(Clone, Debug)]
pub enum BlobLocation {
    /// In memory.
    Memory(Bytes),
    /// In a file.
    File(PathBuf),
}

/// A layer: a blob, and the digest of its uncompressed tar.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The compressed bytes.
    pub blob: Blob,
    /// Digest of the uncompressed tar.
    pub diff_id: DiffId,
}
