//! Blobs, layers and their descriptors.

use std::path::PathBuf;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::reference::Repository;
use crate::sys::digest::{DiffId, Digest};

/// Media types of OCI and Docker.
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
    /// OCI layer, uncompressed.
    pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    /// Docker manifest list.
    pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// Docker image manifest, schema 2.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker layer, gzip.
    pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    /// Docker layer, zstd.
    pub const DOCKER_LAYER_ZSTD: &str = "application/vnd.docker.image.rootfs.diff.tar.zstd";
    /// The manifests and indexes that a tag may refer to.
    pub const MANIFESTS: [&str; 4] = [OCI_INDEX, OCI_MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST];
}

/// An OCI content descriptor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// One of [`media_type`], or that of an unsupported artifact.
    pub media_type: String,
    /// Digest of the content.
    pub digest: Digest,
    /// Size of the content in bytes.
    pub size: u64,
}

/// A blob, whose content may be remote.
#[derive(Clone, Debug)]
pub struct Blob {
    /// Media type, digest and size.
    pub descriptor: Descriptor,
    /// The location of the content.
    pub content: BlobSource,
}

/// The location of a blob's content.
#[derive(Clone, Debug)]
pub enum BlobSource {
    /// In memory: manifests and configs.
    Bytes(Bytes),
    /// In a file of the cache.
    File(PathBuf),
    /// In the registry of a base; downloaded only when it has to be transferred.
    Remote(Repository),
}

impl Blob {
    /// A blob with its content in memory; computes the digest.
    pub fn of_bytes(media_type: &str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let descriptor = Descriptor {
            media_type: media_type.to_owned(),
            digest: Digest::of(&bytes),
            size: bytes.len() as u64,
        };
        Self {
            descriptor,
            content: BlobSource::Bytes(bytes),
        }
    }
}

/// A blob whose content is on this machine.
#[derive(Clone, Debug)]
pub struct LocalBlob {
    /// Media type, digest and size.
    pub descriptor: Descriptor,
    /// The location of the content.
    pub bytes: BlobLocation,
}

/// The location of a local blob's content.
#[derive(Clone, Debug)]
pub enum BlobLocation {
    /// In memory: manifests and configs.
    Memory(Bytes),
    /// In a file of the cache.
    File(PathBuf),
}

/// A layer of an image.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The blob, usually compressed.
    pub blob: Blob,
    /// Digest of the uncompressed tar (`rootfs.diff_ids` of the config).
    pub diff_id: DiffId,
}
