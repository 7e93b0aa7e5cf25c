//! Docker's own archive: what `docker load` reads and `docker save` writes.
//!
//! What says which image it is comes first, so that a reader can tell without going through it all.

use std::fs::File;
use std::io::{self, Write};

use serde_json::json;

use crate::image::PlatformImage;
use crate::image::layer::{Descriptor, Local, Place};

/// Writes an image for one platform. Layers that are not among the blobs are only named.
pub(super) fn write(to: impl Write, platform: &PlatformImage, name: &str, blobs: &[Local]) -> io::Result<()> {
    let mut archive = Archive::new(to);
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
pub struct Archive<W: Write>(tar::Builder<W>);

impl<W: Write> Archive<W> {
    /// An archive with nothing in it.
    pub fn new(to: W) -> Self {
        Self(tar::Builder::new(to))
    }

    /// Adds a blob at [its place](blob_path).
    ///
    /// # Errors
    /// When it is not whole, or what [`bytes`](Self::bytes) fails with.
    pub fn blob(&mut self, blob: &Local) -> io::Result<()> {
        let path = blob_path(&blob.descriptor);
        match &blob.bytes {
            Place::Memory(bytes) => self.bytes(&path, bytes),
            Place::File(file) => {
                let file = File::open(file)?;
                // The header is written first; a file of another size would make what follows unreadable.
                if file.metadata()?.len() != blob.descriptor.size {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, format!("blob {} is not whole", blob.descriptor.digest)));
                }
                self.0.append_data(&mut header(blob.descriptor.size), path, io::BufReader::with_capacity(1 << 18, file))
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

fn header(size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header
}
