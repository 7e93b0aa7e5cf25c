//! Tar files: one image, as an OCI archive that `docker load` and `podman load` read as well.

use std::fs::File;
use std::io::{self, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::archive::{Names, blob_path, write_oci};
use super::layout::TAG;
use super::local::{blobs, local, report};
use super::{Existence, Published, Publisher, Reporter, Target, Way};
use crate::base::error::Result;
use crate::base::fs::{self, Draft};
use crate::image::digest::Digest;
use crate::image::layer::Descriptor;
use crate::image::manifest::summary;
use crate::image::{BaseSource, Image};

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
    async fn existence(&self, target: &Target) -> Result<Existence> {
        Ok(held(&self.path, target).map_or(Existence::Missing, Existence::Found))
    }

    async fn prepare(&self, _: &Target) -> Result<()> {
        Draft::beside(&self.path).map(drop)
    }

    async fn publish(&self, target: &Target, image: &Image, _: bool) -> Result<Published> {
        let mut local_blobs = Vec::new();
        for blob in blobs(image) {
            local_blobs.push(local(&*self.source, blob).await?);
        }
        let names = names(target);
        let (path, image_, sources) = (self.path.clone(), image.clone(), local_blobs.clone());
        let write = move || -> Result<u64> {
            let mut to = BufWriter::with_capacity(1 << 18, Draft::beside(&path)?);
            let written = write_oci(&mut to, &image_, &names, &sources).and_then(|()| to.flush());
            written.map_err(|cause| fs::unwritable(&path, cause))?;
            let draft = to.into_inner().map_err(|failed| fs::unwritable(&path, failed.into_error()))?;
            let size = draft.as_file().metadata().map_err(|cause| fs::unwritable(&path, cause))?.len();
            draft.keep(&path)?;
            Ok(size)
        };
        let sent = tokio::task::spawn_blocking(write).await.expect("writing a tar does not panic")?;
        let location = format!("tar:{}", self.path.display());
        local_blobs.iter().for_each(|blob| report(&*self.reporter, &blob.descriptor, &location, Way::Upload));
        Ok(Published { digest: image.top().descriptor.digest, location, sent, adopted: false })
    }
}

/// The names of a target in an archive or an engine.
pub(super) fn names(target: &Target) -> Names {
    let full = target.reference.as_ref().map_or_else(|| format!("{}:{}", target.name, target.tag), ToString::to_string);
    Names { full, tag: target.tag.clone() }
}

/// The digest of the image in a file, if it is the expected one. The file was put in place whole, so
/// its beginning speaks for the rest.
fn held(path: &Path, target: &Target) -> Option<Digest> {
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
