//! Publishes images to an OCI image layout (image-layout.md of the OCI image spec).
//!
//! Blobs are hard links to files of the cache and need no additional space. `index.json` is written last and atomically:
//! readers see either the previous or the new image.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use union_build::diag::Code;

use super::{Existence, ImageTarget, Published, Publisher, Reporter, TransferKind, report};
use crate::image::layer::{BlobLocation, Descriptor, LocalBlob, media_type};
use crate::image::manifest::{Summary, summary};
use crate::image::platform::Platform;
use crate::image::{BaseSource, Image};
use crate::sys::digest::Digest;
use crate::sys::error::{Error, Result};
use crate::sys::fs::{self, AtomicFile, FileLock};

/// The annotation with an image's tag in the index of a layout.
pub(super) const TAG: &str = "org.opencontainers.image.ref.name";

/// The content of the file `oci-layout`.
pub(super) const VERSION: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// Whether a layout may have other images than the published one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagPolicy {
    /// It has only the current image, as in the tool's own directory; blobs of former images are removed.
    One,
    /// It may have other images, as in a user's directory; only the published tag is changed.
    Many,
}

/// Publishes to an OCI layout.
pub struct Layout {
    directory: PathBuf,
    tags: TagPolicy,
    source: Arc<dyn BaseSource>,
    reporter: Arc<dyn Reporter>,
}

impl Layout {
    /// A layout in a directory, which is created if it does not exist.
    pub fn new(
        directory: impl Into<PathBuf>,
        tags: TagPolicy,
        source: Arc<dyn BaseSource>,
        reporter: Arc<dyn Reporter>,
    ) -> Self {
        Self {
            directory: directory.into(),
            tags,
            source,
            reporter,
        }
    }

    fn location(&self, target: &ImageTarget) -> String {
        format!("oci:{}:{}", self.directory.display(), target.tag)
    }
}

#[async_trait::async_trait]
impl Publisher for Layout {
    async fn existence(&self, target: &ImageTarget) -> Result<Existence> {
        LayoutDir(&self.directory).existence(target)
    }

    async fn prepare(&self, _: &ImageTarget) -> Result<()> {
        LayoutDir(&self.directory).check()?;
        AtomicFile::create_beside(&self.directory.join("index.json")).map(drop)
    }

    async fn publish(
        &self,
        target: &ImageTarget,
        image: &Image,
        replace: bool,
    ) -> Result<Published> {
        LayoutDir(&self.directory).check()?;
        let mut local_blobs = Vec::new();
        for blob in image.blobs() {
            local_blobs.push(self.source.local(blob).await?);
        }
        let location = self.location(target);
        let directory = self.directory.clone();
        let tags = self.tags;
        let target = target.clone();
        let reporter = Arc::clone(&self.reporter);
        let top = image.top().descriptor.clone();
        let publish = move || {
            LayoutDir(&directory).publish(tags, &target, &top, &local_blobs, replace, &*reporter)
        };
        let (digest, sent) = tokio::task::spawn_blocking(publish)
            .await
            .expect("publishing does not panic")?;
        Ok(Published {
            digest,
            location,
            sent,
            adopted: digest != image.top().descriptor.digest,
        })
    }
}

/// Synchronous access to the directory of a layout.
struct LayoutDir<'a>(&'a Path);

impl LayoutDir<'_> {
    fn publish(
        &self,
        tags: TagPolicy,
        target: &ImageTarget,
        top: &Descriptor,
        blobs: &[LocalBlob],
        replace: bool,
        reporter: &dyn Reporter,
    ) -> Result<(Digest, u64)> {
        let _lock = FileLock::exclusive(&self.0.join(".union.lock"), || {})?;
        if !replace {
            // Another process may have published the same key.
            match self.existence(target)? {
                Existence::Found(digest) if digest != top.digest => return Ok((digest, 0)),
                Existence::Found(_) | Existence::Missing => {}
            }
        }
        fs::replace_if_different(&self.0.join("oci-layout"), VERSION.as_bytes())?;
        let mut sent = 0;
        for blob in blobs {
            let transfer = self.put_blob(blob)?;
            sent += if transfer == TransferKind::Present {
                0
            } else {
                blob.descriptor.size
            };
            report(
                reporter,
                &blob.descriptor,
                &self.0.display().to_string(),
                transfer,
            );
        }
        let mut entries = if tags == TagPolicy::One {
            Vec::new()
        } else {
            self.entries()?
        };
        entries.retain(|entry| entry["annotations"][TAG] != json!(target.tag));
        entries.push(entry(top, &[(TAG, &target.tag)]));
        fs::replace(&self.0.join("index.json"), index(entries).as_bytes())?;
        if tags == TagPolicy::One {
            self.sweep(blobs)?;
        }
        Ok((top.digest, sent))
    }

    /// Refuses a directory with other files.
    fn check(&self) -> Result<()> {
        let invalid = || {
            Error::new(
                Code::LayoutInvalid,
                format!("`{}` is not an OCI image layout", self.0.display()),
            )
        };
        match fs::read_if_exists(&self.0.join("oci-layout"))? {
            Some(text) => {
                let version: Value =
                    serde_json::from_str(&text).map_err(|cause| invalid().because(cause))?;
                let is_supported = version["imageLayoutVersion"]
                    .as_str()
                    .is_some_and(|version| version.starts_with("1."));
                if is_supported {
                    Ok(())
                } else {
                    Err(invalid().because("its `oci-layout` has an unsupported version"))
                }
            }
            None => match std::fs::read_dir(self.0) {
                // A publisher that was interrupted early leaves only a lock or a temporary file, `.union…`.
                Ok(entries) => {
                    let has_other_files = entries
                        .flatten()
                        .any(|entry| !entry.file_name().to_string_lossy().starts_with(".union"));
                    if has_other_files {
                        Err(invalid().because("it is a directory with other files"))
                    } else {
                        Ok(())
                    }
                }
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(cause) => Err(fs::unreadable(self.0, cause)),
            },
        }
    }

    fn existence(&self, target: &ImageTarget) -> Result<Existence> {
        self.check()?;
        let entries = self.entries()?;
        let Some(entry) = entries
            .into_iter()
            .find(|entry| entry["annotations"][TAG] == json!(target.tag))
        else {
            return Ok(Existence::Missing);
        };
        // An invalid entry, or one with missing blobs, is repaired by publishing again.
        let Some((top, summary)) = serde_json::from_value(entry)
            .ok()
            .and_then(|top: Descriptor| Some((top.digest, self.summary(&top)?)))
        else {
            return Ok(Existence::Missing);
        };
        let platforms: BTreeSet<&Platform> = summary
            .manifests
            .iter()
            .map(|(_, platform)| platform)
            .collect();
        let expected: BTreeSet<&Platform> = target.platforms.iter().collect();
        // A single manifest has no platform, but the key depends on it.
        let has_platforms = if platforms.is_empty() {
            expected.len() == 1
        } else {
            platforms == expected
        };
        if summary.key != Some(target.key.to_string()) || !has_platforms {
            let found = summary
                .key
                .map_or("an image of another tool".to_owned(), |key| {
                    format!("an image with the key {key}")
                });
            return Err(Error::new(
                Code::TagTaken,
                format!("`oci:{}:{}` is taken", self.0.display(), target.tag),
            )
            .because(format!("it is {found}, expected {}", target.key)));
        }
        let manifests: Option<Vec<Summary>> = summary
            .manifests
            .iter()
            .map(|(manifest, _)| self.summary(manifest))
            .collect();
        let Some(manifests) = manifests else {
            return Ok(Existence::Missing);
        };
        let is_complete = manifests
            .iter()
            .chain([&summary])
            .flat_map(|manifest| &manifest.blobs)
            .all(|blob| self.has_blob(blob));
        Ok(if is_complete {
            Existence::Found(top)
        } else {
            Existence::Missing
        })
    }

    fn entries(&self) -> Result<Vec<Value>> {
        let path = self.0.join("index.json");
        let Some(text) = fs::read_if_exists(&path)? else {
            return Ok(Vec::new());
        };
        let invalid = || {
            Error::new(
                Code::LayoutInvalid,
                format!("could not read `{}`", path.display()),
            )
        };
        let index: Value = serde_json::from_str(&text).map_err(|cause| invalid().because(cause))?;
        index["manifests"]
            .as_array()
            .cloned()
            .ok_or_else(|| invalid().because("it lists no manifests"))
    }

    fn summary(&self, manifest: &Descriptor) -> Option<Summary> {
        let bytes = std::fs::read(self.blob_path(&manifest.digest)).ok()?;
        (Digest::of(&bytes) == manifest.digest)
            .then(|| summary(&bytes))
            .flatten()
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.0.join("blobs/sha256").join(digest.hex())
    }

    fn has_blob(&self, blob: &Descriptor) -> bool {
        std::fs::metadata(self.blob_path(&blob.digest))
            .is_ok_and(|metadata| metadata.is_file() && metadata.len() == blob.size)
    }

    fn put_blob(&self, blob: &LocalBlob) -> Result<TransferKind> {
        if self.has_blob(&blob.descriptor) {
            return Ok(TransferKind::Present);
        }
        let path = self.blob_path(&blob.descriptor.digest);
        match &blob.bytes {
            BlobLocation::Memory(bytes) => fs::replace(&path, bytes)?,
            BlobLocation::File(from) => link_or_copy(from, &path)?,
        }
        Ok(TransferKind::Upload)
    }

    /// Removes all other blobs.
    fn sweep(&self, used: &[LocalBlob]) -> Result<()> {
        let directory = self.0.join("blobs/sha256");
        let used: BTreeSet<String> = used
            .iter()
            .map(|blob| blob.descriptor.digest.hex())
            .collect();
        for entry in std::fs::read_dir(&directory)
            .map_err(|cause| fs::unreadable(&directory, cause))?
            .flatten()
        {
            if entry
                .file_name()
                .to_str()
                .is_none_or(|name| !used.contains(name))
            {
                std::fs::remove_file(entry.path())
                    .map_err(|cause| fs::unwritable(&entry.path(), cause))?;
            }
        }
        Ok(())
    }
}

/// The text of an `index.json`.
pub(super) fn index(entries: Vec<Value>) -> String {
    json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": entries })
        .to_string()
}

/// The entry of an image in an `index.json`.
pub(super) fn entry(top: &Descriptor, annotations: &[(&str, &str)]) -> Value {
    let mut entry = json!(top);
    entry["annotations"] = annotations
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    entry
}

/// Creates a hard link to a file of the cache, or a copy if the file system does not support that.
fn link_or_copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(directory) = to.parent() {
        fs::create_directory(directory)?;
    }
    // An existing file has the wrong size.
    match std::fs::remove_file(to) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
            return Err(fs::unwritable(to, cause));
        }
        _ => {}
    }
    if std::fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    let mut source = std::fs::File::open(from).map_err(|cause| fs::unreadable(from, cause))?;
    let mut draft = AtomicFile::create_beside(to)?;
    io::copy(&mut source, &mut draft).map_err(|cause| fs::unwritable(to, cause))?;
    draft.keep(to)
}
