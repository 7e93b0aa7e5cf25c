//! Docker's own archive: what `docker load` reads and `docker save` writes.
//!
//! What says which image it is comes first, so that a reader can tell without going through it all.

use std::fs::File;
use std::io::{self, Read, Write};

use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::image::PlatformImage;
use crate::image::layer::{BlobLocation, Descriptor, LocalBlob};
use crate::sys::digest::Digest;

/// Writes an image for one platform. Layers that are not among the blobs are only named.
pub(super) fn write(to: impl Write, platform: &PlatformImage, name: &str, blobs: &[LocalBlob]) -> io::Result<()> {
    let mut archive = ImageArchive::new(to);
    archive.bytes("manifest.json", &list(platform, name))?;
    blobs.iter().try_for_each(|blob| archive.blob(blob))?;
    archive.finish()
}

/// The text of `manifest.json`: config and layers of an image, and the name it gets.
pub fn list(platform: &PlatformImage, name: &str) -> Vec<u8> {
    let layers: Vec<String> = platform.layers.iter().map(|layer| blob_path(&layer.blob.descriptor)).collect();
    json!([{ "Config": blob_path(&platform.config.descriptor), "RepoTags": [name], "Layers": layers }]).to_string().into_bytes()
}

/// Where a blob stands in an archive.
pub fn blob_path(blob: &Descriptor) -> String {
    format!("blobs/sha256/{}", blob.digest.hex())
}

/// An archive that is being written: plain files that depend on nothing but their content.
pub struct ImageArchive<W: Write>(tar::Builder<W>);

impl<W: Write> ImageArchive<W> {
    /// An archive with nothing in it.
    pub fn new(to: W) -> Self {
        Self(tar::Builder::new(to))
    }

    /// Adds a blob at [its place](blob_path).
    ///
    /// # Errors
    /// When it is not whole, or what [`bytes`](Self::bytes) fails with.
    pub fn blob(&mut self, blob: &LocalBlob) -> io::Result<()> {
        let path = blob_path(&blob.descriptor);
        match &blob.bytes {
            BlobLocation::Memory(bytes) => self.bytes(&path, bytes),
            BlobLocation::File(file) => {
                let file = File::open(file)?;
                let not_whole = || io::Error::new(io::ErrorKind::InvalidData, format!("blob {} is not whole", blob.descriptor.digest));
                // The header is written first; a file of another size would make what follows unreadable.
                if file.metadata()?.len() != blob.descriptor.size {
                    return Err(not_whole());
                }
                let mut content = VerifyingReader { file: file.take(blob.descriptor.size), hash: Sha256::new() };
                let buffered = io::BufReader::with_capacity(1 << 18, &mut content);
                self.0.append_data(&mut header(blob.descriptor.size), path, buffered)?;
                // Whoever reads it learns that it is not complete, for its end is missing.
                if Digest::from_hasher(content.hash) == blob.descriptor.digest { Ok(()) } else { Err(not_whole()) }
            }
        }
    }

    /// Adds a file.
    ///
    /// # Errors
    /// When the archive cannot be written.
    pub fn bytes(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.0.append_data(&mut header(bytes.len() as u64), path, bytes)
    }

    /// Writes the end.
    ///
    /// # Errors
    /// When the archive cannot be written.
    pub fn finish(&mut self) -> io::Result<()> {
        self.0.finish()
    }
}

/// A file whose content is hashed while it is read.
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
    fn a_blob_that_is_not_what_its_digest_says_ends_an_archive() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("blob");
        let descriptor = Descriptor { media_type: String::new(), digest: Digest::of("layer"), size: 5 };
        let blob = LocalBlob { descriptor, bytes: BlobLocation::File(path.clone()) };
        for (content, is_whole) in [("layer", true), ("later", false), ("lay", false), ("layers", false)] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(ImageArchive::new(Vec::new()).blob(&blob).is_ok(), is_whole, "{content}");
        }
    }
}
