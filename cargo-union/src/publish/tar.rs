//! Tar files: one image, as an OCI archive that `docker load` and `podman load` read as well.

use std::fs::File;
use std::io::{self, BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::layout::{TAG, VERSION, entry, index};
use super::{Existence, ImageTarget, Published, Publisher, Reporter, TransferKind, report};
use crate::engine::archive::{ImageArchive, blob_path, list};
use crate::image::layer::{Descriptor, LocalBlob};
use crate::image::manifest::summary;
use crate::image::{BaseSource, Image};
use crate::sys::digest::Digest;
use crate::sys::error::Result;
use crate::sys::fs::{self, AtomicFile};

/// Publishes into a file, which is replaced in one step once it is whole.
pub struct TarFile {
    path: PathBuf,
    source: Arc<dyn BaseSource>,
    reporter: Arc<dyn Reporter>,
}

impl TarFile {
    /// A publisher into a file.
    pub fn new(path: impl Into<PathBuf>, source: Arc<dyn BaseSource>, reporter: Arc<dyn Reporter>) -> Self {
        Self { path: path.into(), source, reporter }
    }
}

#[async_trait::async_trait]
impl Publisher for TarFile {
    /// A file that holds something else is simply not the image: it will be replaced.
    async fn existence(&self, target: &ImageTarget) -> Result<Existence> {
        Ok(held(&self.path, target).map_or(Existence::Missing, Existence::Found))
    }

    async fn prepare(&self, _: &ImageTarget) -> Result<()> {
        AtomicFile::beside(&self.path).map(drop)
    }

    async fn publish(&self, target: &ImageTarget, image: &Image, _: bool) -> Result<Published> {
        let mut local_blobs = Vec::new();
        for blob in image.blobs() {
            local_blobs.push(self.source.local(blob).await?);
        }
        let (path, target, image_, sources) = (self.path.clone(), target.clone(), image.clone(), local_blobs.clone());
        let write = move || -> Result<u64> {
            let mut to = BufWriter::with_capacity(1 << 18, AtomicFile::beside(&path)?);
            let written = write(&mut to, &image_, &target, &sources).and_then(|()| to.flush());
            written.map_err(|cause| fs::unwritable(&path, cause))?;
            let draft = to.into_inner().map_err(|failed| fs::unwritable(&path, failed.into_error()))?;
            let size = draft.as_file().metadata().map_err(|cause| fs::unwritable(&path, cause))?.len();
            draft.keep(&path)?;
            Ok(size)
        };
        let sent = tokio::task::spawn_blocking(write).await.expect("writing a tar does not panic")?;
        let location = format!("tar:{}", self.path.display());
        local_blobs.iter().for_each(|blob| report(&*self.reporter, &blob.descriptor, &location, TransferKind::Upload));
        Ok(Published { digest: image.top().descriptor.digest, location, sent, adopted: false })
    }
}

/// Writes the files of an OCI layout, with Docker's list of images beside them.
fn write(to: impl Write, image: &Image, target: &ImageTarget, blobs: &[LocalBlob]) -> io::Result<()> {
    let name = target.full_name();
    let mut archive = ImageArchive::new(to);
    archive.bytes("oci-layout", VERSION.as_bytes())?;
    // Containerd and podman take the whole name from this annotation; the tag alone is OCI's.
    let annotations = [("io.containerd.image.name", &*engine_name(&name)), (TAG, &target.tag)];
    archive.bytes("index.json", index(vec![entry(&image.top().descriptor, &annotations)]).as_bytes())?;
    // Docker's own format knows one platform: the first, as declared.
    archive.bytes("manifest.json", &list(&image.platforms[0], &name))?;
    blobs.iter().try_for_each(|blob| archive.blob(blob))?;
    archive.finish()
}

/// A name without a host is Docker Hub's in the words of containerd.
fn engine_name(name: &str) -> String {
    match name.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => name.to_owned(),
        Some(_) => format!("docker.io/{name}"),
        None => format!("docker.io/library/{name}"),
    }
}

/// The digest of the image in a file, if it is the expected one. The file was put in place whole, so
/// its beginning speaks for the rest.
fn held(path: &Path, target: &ImageTarget) -> Option<Digest> {
    let mut archive = tar::Archive::new(io::BufReader::new(File::open(path).ok()?));
    let mut top: Option<Descriptor> = None;
    for entry in archive.entries().ok()? {
        let mut entry = entry.ok()?;
        let name = entry.path().ok()?.to_str()?.to_owned();
        if name == "index.json" {
            let mut text = String::new();
            entry.read_to_string(&mut text).ok()?;
            let index: Value = serde_json::from_str(&text).ok()?;
            let first = index["manifests"].get(0).filter(|entry| entry["annotations"][TAG] == json!(target.tag))?;
            top = serde_json::from_value(first.clone()).ok();
        } else if let Some(top) = top.as_ref().filter(|top| blob_path(top) == name) {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).ok()?;
            return (summary(&bytes)?.key? == target.key.to_string()).then_some(top.digest);
        }
    }
    None
}
