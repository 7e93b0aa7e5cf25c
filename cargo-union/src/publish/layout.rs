//! OCI image layouts: folders that every container tool reads.
//!
//! Blobs are hard links into the cache, so a layout costs no space beside it. The name of an image
//! is written last and in one step: a reader sees the image before or the image after.

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

/// The annotation of a layout's index that holds an image's tag.
pub(super) const TAG: &str = "org.opencontainers.image.ref.name";

/// The content of the file `oci-layout`.
pub(super) const VERSION: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// How many images a layout holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagPolicy {
    /// The current one: it is the tool's own folder, and what a former image leaves is removed.
    One,
    /// As many as the user puts there: nothing but the tag that is published is touched.
    Many,
}

/// Publishes into a folder.
pub struct Layout {
    folder: PathBuf,
    tags: TagPolicy,
    source: Arc<dyn BaseSource>,
    reporter: Arc<dyn Reporter>,
}

impl Layout {
    /// A layout in a folder, which is made when it is absent.
    pub fn new(folder: impl Into<PathBuf>, tags: TagPolicy, source: Arc<dyn BaseSource>, reporter: Arc<dyn Reporter>) -> Self {
        Self { folder: folder.into(), tags, source, reporter }
    }

    fn location(&self, target: &ImageTarget) -> String {
        format!("oci:{}:{}", self.folder.display(), target.tag)
    }
}

#[async_trait::async_trait]
impl Publisher for Layout {
    async fn existence(&self, target: &ImageTarget) -> Result<Existence> {
        LayoutDir(&self.folder).existence(target)
    }

    async fn prepare(&self, _: &ImageTarget) -> Result<()> {
        LayoutDir(&self.folder).check()?;
        AtomicFile::beside(&self.folder.join("index.json")).map(drop)
    }

    async fn publish(&self, target: &ImageTarget, image: &Image, replace: bool) -> Result<Published> {
        LayoutDir(&self.folder).check()?;
        let mut local_blobs = Vec::new();
        for blob in image.blobs() {
            local_blobs.push(self.source.local(blob).await?);
        }
        let (folder, tags, target_, reporter) = (self.folder.clone(), self.tags, target.clone(), Arc::clone(&self.reporter));
        let top = image.top().descriptor.clone();
        let publish = move || LayoutDir(&folder).publish(tags, &target_, &top, &local_blobs, replace, &*reporter);
        let (digest, sent) = tokio::task::spawn_blocking(publish).await.expect("publishing does not panic")?;
        Ok(Published { digest, location: self.location(target), sent, adopted: digest != image.top().descriptor.digest })
    }
}

/// The folder itself, without anything asynchronous.
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
            // Somebody else may have been first.
            match self.existence(target)? {
                Existence::Found(digest) if digest != top.digest => return Ok((digest, 0)),
                Existence::Found(_) | Existence::Missing => {}
            }
        }
        fs::replace_if_different(&self.0.join("oci-layout"), VERSION.as_bytes())?;
        let mut sent = 0;
        for blob in blobs {
            let way = self.put(blob)?;
            sent += if way == TransferKind::Present { 0 } else { blob.descriptor.size };
            report(reporter, &blob.descriptor, &self.0.display().to_string(), way);
        }
        let mut entries = if tags == TagPolicy::One { Vec::new() } else { self.entries()? };
        entries.retain(|entry| entry["annotations"][TAG] != json!(target.tag));
        entries.push(entry(top, &[(TAG, &target.tag)]));
        fs::replace(&self.0.join("index.json"), index(entries).as_bytes())?;
        if tags == TagPolicy::One {
            self.sweep(blobs)?;
        }
        Ok((top.digest, sent))
    }

    /// Refuses a folder in which something else is.
    fn check(&self) -> Result<()> {
        let invalid = || Error::new(Code::LayoutInvalid, format!("`{}` is not an OCI image layout", self.0.display()));
        match fs::read_if_exists(&self.0.join("oci-layout"))? {
            Some(text) => {
                let version: Value = serde_json::from_str(&text).map_err(|cause| invalid().because(cause))?;
                let known = version["imageLayoutVersion"].as_str().is_some_and(|version| version.starts_with("1."));
                if known { Ok(()) } else { Err(invalid().because("its `oci-layout` has a version that is not known")) }
            }
            None => match std::fs::read_dir(self.0) {
                // A lock or a draft is what a publisher leaves that was interrupted at its very start.
                Ok(entries) => {
                    let ours = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with(".union");
                    let foreign = entries.flatten().any(|entry| !ours(&entry.file_name()));
                    if foreign { Err(invalid().because("it is a folder with other files in it")) } else { Ok(()) }
                }
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(cause) => Err(fs::unreadable(self.0, cause)),
            },
        }
    }

    fn existence(&self, target: &ImageTarget) -> Result<Existence> {
        self.check()?;
        let entries = self.entries()?;
        let Some(entry) = entries.into_iter().find(|entry| entry["annotations"][TAG] == json!(target.tag)) else {
            return Ok(Existence::Missing);
        };
        // An entry that cannot be read, or whose blobs are not whole, is put right by publishing again.
        let Some((top, summary)) = serde_json::from_value(entry).ok().and_then(|top: Descriptor| Some((top.digest, self.summary(&top)?)))
        else {
            return Ok(Existence::Missing);
        };
        let platforms: BTreeSet<&Platform> = summary.manifests.iter().map(|(_, platform)| platform).collect();
        let expected: BTreeSet<&Platform> = target.platforms.iter().collect();
        // A single manifest does not say its platform; the key, which holds it, does.
        let fits = if platforms.is_empty() { expected.len() == 1 } else { platforms == expected };
        if summary.key != Some(target.key.to_string()) || !fits {
            let held = summary.key.map_or("an image that is not ours".to_owned(), |key| format!("an image with the key {key}"));
            return Err(Error::new(Code::TagTaken, format!("`oci:{}:{}` is taken", self.0.display(), target.tag))
                .because(format!("it holds {held}, and {} is expected", target.key)));
        }
        let manifests: Option<Vec<Summary>> = summary.manifests.iter().map(|(manifest, _)| self.summary(manifest)).collect();
        let Some(manifests) = manifests else { return Ok(Existence::Missing) };
        let whole = manifests.iter().chain([&summary]).flat_map(|manifest| &manifest.blobs).all(|blob| self.has(blob));
        Ok(if whole { Existence::Found(top) } else { Existence::Missing })
    }

    fn entries(&self) -> Result<Vec<Value>> {
        let path = self.0.join("index.json");
        let Some(text) = fs::read_if_exists(&path)? else { return Ok(Vec::new()) };
        let invalid = || Error::new(Code::LayoutInvalid, format!("could not read `{}`", path.display()));
        let index: Value = serde_json::from_str(&text).map_err(|cause| invalid().because(cause))?;
        index["manifests"].as_array().cloned().ok_or_else(|| invalid().because("it lists no manifests"))
    }

    fn summary(&self, manifest: &Descriptor) -> Option<Summary> {
        let bytes = std::fs::read(self.blob(&manifest.digest)).ok()?;
        (Digest::of(&bytes) == manifest.digest).then(|| summary(&bytes)).flatten()
    }

    fn blob(&self, digest: &Digest) -> PathBuf {
        self.0.join("blobs/sha256").join(digest.hex())
    }

    fn has(&self, blob: &Descriptor) -> bool {
        std::fs::metadata(self.blob(&blob.digest)).is_ok_and(|metadata| metadata.is_file() && metadata.len() == blob.size)
    }

    fn put(&self, blob: &LocalBlob) -> Result<TransferKind> {
        if self.has(&blob.descriptor) {
            return Ok(TransferKind::Present);
        }
        let path = self.blob(&blob.descriptor.digest);
        match &blob.bytes {
            BlobLocation::Memory(bytes) => fs::replace(&path, bytes)?,
            BlobLocation::File(from) => link(from, &path)?,
        }
        Ok(TransferKind::Upload)
    }

    /// Removes every blob but these.
    fn sweep(&self, kept: &[LocalBlob]) -> Result<()> {
        let folder = self.0.join("blobs/sha256");
        let kept: BTreeSet<String> = kept.iter().map(|blob| blob.descriptor.digest.hex()).collect();
        for entry in std::fs::read_dir(&folder).map_err(|cause| fs::unreadable(&folder, cause))?.flatten() {
            if entry.file_name().to_str().is_none_or(|name| !kept.contains(name)) {
                std::fs::remove_file(entry.path()).map_err(|cause| fs::unwritable(&entry.path(), cause))?;
            }
        }
        Ok(())
    }
}

/// The text of an `index.json`.
pub(super) fn index(entries: Vec<Value>) -> String {
    json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": entries }).to_string()
}

/// An image's entry in an `index.json`.
pub(super) fn entry(top: &Descriptor, annotations: &[(&str, &str)]) -> Value {
    let mut entry = json!(top);
    entry["annotations"] = annotations.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    entry
}

/// Gives a file of the cache a second name, or a copy where the file system has no second names.
fn link(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_folder(folder)?;
    }
    // What stands there has the wrong size.
    match std::fs::remove_file(to) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(fs::unwritable(to, cause)),
        _ => {}
    }
    if std::fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    let mut source = std::fs::File::open(from).map_err(|cause| fs::unreadable(from, cause))?;
    let mut draft = AtomicFile::beside(to)?;
    io::copy(&mut source, &mut draft).map_err(|cause| fs::unwritable(to, cause))?;
    draft.keep(to)
}
