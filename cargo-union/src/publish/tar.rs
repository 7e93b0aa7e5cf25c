//! Publishes an image to a tar file, an OCI archive that `docker load` and `podman load` can read.

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

/// Publishes to a file, which is replaced atomically.
pub struct TarFile {
    path: PathBuf,
    source: Arc<dyn BaseSource>,
    reporter: Arc<dyn Reporter>,
}

impl TarFile {
    /// Publishes to the file at `path`.
    pub fn new(
        path: impl Into<PathBuf>,
        source: Arc<dyn BaseSource>,
        reporter: Arc<dyn Reporter>,
    ) -> Self {
        Self {
            path: path.into(),
            source,
            reporter,
        }
    }
}

#[async_trait::async_trait]
impl Publisher for TarFile {
    /// A file with different content counts as missing, because it will be replaced.
    async fn existence(&self, target: &ImageTarget) -> Result<Existence> {
        Ok(find_image(&self.path, target).map_or(Existence::Missing, Existence::Found))
    }

    async fn prepare(&self, _: &ImageTarget) -> Result<()> {
        AtomicFile::create_beside(&self.path).map(drop)
    }

    async fn publish(&self, target: &ImageTarget, image: &Image, _: bool) -> Result<Published> {
        let mut local_blobs = Vec::new();
        for blob in image.blobs() {
            local_blobs.push(self.source.local(blob).await?);
        }
        let path = self.path.clone();
        let target = target.clone();
        let shared_image = image.clone();
        let blobs = local_blobs.clone();
        let writing = tokio::task::spawn_blocking(move || -> Result<u64> {
            let mut writer = BufWriter::with_capacity(1 << 18, AtomicFile::create_beside(&path)?);
            let written =
                write(&mut writer, &shared_image, &target, &blobs).and_then(|()| writer.flush());
            written.map_err(|cause| fs::unwritable(&path, cause))?;
            let draft = writer
                .into_inner()
                .map_err(|error| fs::unwritable(&path, error.into_error()))?;
            let size = draft
                .as_file()
                .metadata()
                .map_err(|cause| fs::unwritable(&path, cause))?
                .len();
            draft.keep(&path)?;
            Ok(size)
        });
        let sent = writing.await.expect("writing a tar does not panic")?;
        let location = format!("tar:{}", self.path.display());
        local_blobs.iter().for_each(|blob| {
            report(
                &*self.reporter,
                &blob.descriptor,
                &location,
                TransferKind::Upload,
            )
        });
        Ok(Published {
            digest: image.top().descriptor.digest,
            location,
            sent,
            adopted: false,
        })
    }
}

/// Writes the files of an OCI layout, and Docker's `manifest.json`.
fn write(
    writer: impl Write,
    image: &Image,
    target: &ImageTarget,
    blobs: &[LocalBlob],
) -> io::Result<()> {
    let name = target.full_name();
    let mut archive = ImageArchive::new(writer);
    archive.bytes("oci-layout", VERSION.as_bytes())?;
    // Containerd and podman read the full name from this annotation; OCI's annotation has only the tag.
    let annotations = [
        ("io.containerd.image.name", &*engine_name(&name)),
        (TAG, &target.tag),
    ];
    archive.bytes(
        "index.json",
        index(vec![entry(&image.top().descriptor, &annotations)]).as_bytes(),
    )?;
    // Docker's format supports a single platform: the first one.
    archive.bytes("manifest.json", &list(&image.platforms[0], &name))?;
    blobs.iter().try_for_each(|blob| archive.blob(blob))?;
    archive.finish()
}

/// The name with a host, as containerd requires it; the default host is Docker Hub.
fn engine_name(name: &str) -> String {
    match name.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => name.to_owned(),
        Some(_) => format!("docker.io/{name}"),
        None => format!("docker.io/library/{name}"),
    }
}

/// The digest of the image in a file, if it is the expected one. Files are written atomically, so reading the beginning
/// suffices.
fn find_image(path: &Path, target: &ImageTarget) -> Option<Digest> {
    let mut archive = tar::Archive::new(io::BufReader::new(File::open(path).ok()?));
    let mut top: Option<Descriptor> = None;
    for entry in archive.entries().ok()? {
        let mut entry = entry.ok()?;
        let name = entry.path().ok()?.to_str()?.to_owned();
        if name == "index.json" {
            let mut text = String::new();
            entry.read_to_string(&mut text).ok()?;
            let index: Value = serde_json::from_str(&text).ok()?;
            let first = index["manifests"]
                .get(0)
                .filter(|entry| entry["annotations"][TAG] == json!(target.tag))?;
            top = serde_json::from_value(first.clone()).ok();
        } else if let Some(top) = top.as_ref().filter(|top| blob_path(top) == name) {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).ok()?;
            return (summary(&bytes)?.key? == target.key.to_string()).then_some(top.digest);
        }
    }
    None
}
