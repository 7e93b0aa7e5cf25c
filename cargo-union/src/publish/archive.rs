//! Images as one tar stream, readable as an OCI archive and by `docker load`.
//!
//! What says which image it is comes first, so that a reader can tell without going through it all.

use std::fs::File;
use std::io::{self, Write};

use serde_json::json;

use super::layout::{TAG, VERSION, entry, index};
use super::local::{Local, Place};
use crate::image::layer::Descriptor;
use crate::image::{Image, PlatformImage};

/// The names that an image has in an archive.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// `name:tag`, as an engine lists it.
    pub(super) full: String,
    /// The tag alone.
    pub(super) tag: String,
}

/// Writes the files of an OCI layout, with Docker's list of images beside them.
pub(super) fn write_oci(to: impl Write, image: &Image, names: &Names, blobs: &[Local]) -> io::Result<()> {
    let mut tar = Tar(tar::Builder::new(to));
    tar.bytes("oci-layout", VERSION.as_bytes())?;
    // Containerd and podman take the whole name from this annotation; the tag alone is OCI's.
    let annotations = [("io.containerd.image.name", &*engine_name(&names.full)), (TAG, &names.tag)];
    tar.bytes("index.json", index(vec![entry(&image.top().descriptor, &annotations)]).as_bytes())?;
    // Docker's own format knows one platform: the first, as declared.
    tar.bytes("manifest.json", &docker_list(&image.platforms[0], names))?;
    blobs.iter().try_for_each(|blob| tar.blob(blob))?;
    tar.0.finish()
}

/// Writes Docker's own format for one platform. Layers that are not among the blobs are only named.
pub(super) fn write_docker(to: impl Write, platform: &PlatformImage, names: &Names, blobs: &[Local]) -> io::Result<()> {
    let mut tar = Tar(tar::Builder::new(to));
    tar.bytes("manifest.json", &docker_list(platform, names))?;
    blobs.iter().try_for_each(|blob| tar.blob(blob))?;
    tar.0.finish()
}

/// Where a blob stands in an archive.
pub(super) fn blob_path(blob: &Descriptor) -> String {
    format!("blobs/sha256/{}", blob.digest.hex())
}

fn docker_list(platform: &PlatformImage, names: &Names) -> Vec<u8> {
    let layers: Vec<String> = platform.layers.iter().map(|layer| blob_path(&layer.blob.descriptor)).collect();
    json!([{ "Config": blob_path(&platform.config.descriptor), "RepoTags": [names.full], "Layers": layers }]).to_string().into_bytes()
}

/// A name without a host is Docker Hub's in the words of containerd.
fn engine_name(name: &str) -> String {
    match name.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => name.to_owned(),
        Some(_) => format!("docker.io/{name}"),
        None => format!("docker.io/library/{name}"),
    }
}

struct Tar<W: Write>(tar::Builder<W>);

impl<W: Write> Tar<W> {
    fn blob(&mut self, blob: &Local) -> io::Result<()> {
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

    fn bytes(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.0.append_data(&mut header(bytes.len() as u64), path, bytes)
    }
}

fn header(size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(size);
    header
}
