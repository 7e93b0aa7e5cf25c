//! The archive format of `docker load` and `docker save`.
//!
//! `manifest.json` is the first entry, so that a reader can identify the image without reading the whole archive.

use std::fs::File;
use std::io::{self, Read, Write};

use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::image::PlatformImage;
use crate::image::layer::{BlobLocation, Descriptor, LocalBlob};
use crate::sys::digest::Digest;

/// Writes an image for one platform. Layers that are not in `blobs` are listed, but not included.
pub(super) fn write(
    to: impl Write,
    platform: &PlatformImage,
    name: &str,
    blobs: &[LocalBlob],
) -> io::Result<()> {
    let mut archive = ImageArchive::new(to);
    archive.bytes("manifest.json", &list(platform, name))?;
    blobs.iter().try_for_each(|blob| archive.blob(blob))?;
    archive.finish()
}

/// The text of `manifest.json`: config and layers of an image, and its name.
pub fn list(platform: &PlatformImage, name: &str) -> Vec<u8> {
    let layers: Vec<String> = platform
        .layers
        .iter()
        .map(|layer| blob_path(&layer.blob.descriptor))
        .collect();
    json!([{ "Config": blob_path(&platform.config.descriptor), "RepoTags": [name], "Layers": layers }]).to_string().into_bytes()
}

/// The path of a blob in an archive.
pub fn blob_path(blob: &Descriptor) -> String {
    format!("blobs/sha256/{}", blob.digest.hex())
}

/// Writes an archive. Its bytes depend only on the content of its files.
pub struct ImageArchive<W: Write>(tar::Builder<W>);

impl<W: Write> ImageArchive<W> {
    /// Starts an archive.
    pub fn new(to: W) -> Self {
        Self(tar::Builder::new(to))
    }

    /// Adds a blob at its [path](blob_path).
    ///
    /// # Errors
    /// When the blob does not have its size or digest, or the archive cannot be written.
    pub fn blob(&mut self, blob: &LocalBlob) -> io::Result<()> {
        let path = blob_path(&blob.descriptor);
        match &blob.bytes {
            BlobLocation::Memory(bytes) => self.bytes(&path, bytes),
            BlobLocation::File(file) => {
                let file = File::open(file)?;
                let damaged = || {
                    io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!("blob {} does not match its digest", blob.descriptor.digest),
                    )
                };
                // The header contains the size, so content of another size would corrupt the archive.
                if file.metadata()?.len() != blob.descriptor.size {
                    return Err(damaged());
                }
                let mut content = VerifyingReader {
                    file: file.take(blob.descriptor.size),
                    hash: Sha256::new(),
                };
                let buffered = io::BufReader::with_capacity(1 << 18, &mut content);
                self.0
                    .append_data(&mut header(blob.descriptor.size), path, buffered)?;
                // After an error the end of the archive is missing, so readers reject it.
                if Digest::from_hasher(content.hash) == blob.descriptor.digest {
                    Ok(())
                } else {
                    Err(damaged())
                }
            }
        }
    }

    /// Adds a file with mode 0644.
    ///
    /// # Errors
    /// When the archive cannot be written.
    pub fn bytes(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.0
            .append_data(&mut header(bytes.len() as u64), path, bytes)
    }

    /// Writes the end of the archive.
    ///
    /// # Errors
    /// When the archive cannot be written.
    pub fn finish(&mut self) -> io::Result<()> {
        self.0.finish()
    }
}

/// Hashes a file while it is read.
struct VerifyingReader {
    file: io::Take<File>,
    hash: Sha256,
}

impl Read for VerifyingReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.hash.update(&buffer[..count]);
        Ok(count)
    }
}

fn header(size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn blob_with_another_size_or_digest_is_rejected() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("blob");
        let descriptor = Descriptor {
            media_type: String::new(),
            digest: Digest::of("layer"),
            size: 5,
        };
        let blob = LocalBlob {
            descriptor,
            bytes: BlobLocation::File(path.clone()),
        };
        for (content, is_valid) in [
            ("layer", true),
            ("later", false),
            ("lay", false),
            ("layers", false),
        ] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(
                ImageArchive::new(Vec::new()).blob(&blob).is_ok(),
                is_valid,
                "{content}"
            );
        }
    }
}
