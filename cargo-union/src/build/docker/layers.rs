//! Exports the layers that a build added from an engine.
//!
//! An engine exports an image as an archive of uncompressed tars, in no fixed order. Layers of the base are recognized
//! by their diff IDs, and the base's blobs are used for them; only the others are compressed. Layers that were exported
//! before are taken from the cache.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek as _};

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio_util::io::{StreamReader, SyncIoBridge};
use union_build::diag::Code;
use union_build::spec::Compression;

use crate::build::base;
use crate::build::native::pack;
use crate::image::config::BaseConfig;
use crate::image::layer::Layer;
use crate::sys::cache::Cache;
use crate::sys::copy::{CopyError, copy};
use crate::sys::digest::DiffId;
use crate::sys::error::{Error, Result};
use crate::sys::fs::{self, AtomicFile};

/// An image that an engine exported.
pub(super) struct ExportedImage {
    pub(super) config: BaseConfig,
    /// Lowest first.
    pub(super) layers: Vec<Layer>,
}

/// Reads an archive to its end. `known` are layers that need not be exported.
pub(super) async fn read_export(
    archive: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    name: &str,
    known: Vec<Layer>,
    cache: &Cache,
    compression: Compression,
) -> Result<ExportedImage> {
    let reader = StreamReader::new(Box::pin(archive.into_stream()));
    let name = name.to_owned();
    let cache = cache.clone();
    let bridge = SyncIoBridge::new(reader);
    let read = tokio::task::spawn_blocking(move || {
        ExportReader {
            name: &name,
            cache: &cache,
            compression,
        }
        .read(bridge, &known)
    });
    read.await.expect("reading an archive does not panic")
}

struct ExportReader<'a> {
    name: &'a str,
    cache: &'a Cache,
    compression: Compression,
}

/// An entry of `manifest.json`, which lists the images of an archive.
#[derive(Deserialize)]
struct ManifestEntry {
    #[serde(rename = "Config")]
    config: String,
    #[serde(rename = "Layers")]
    layers: Vec<String>,
}

enum ArchiveMember {
    /// JSON, or a small layer.
    Bytes(Vec<u8>),
    /// An uncompressed layer in a temporary file.
    Layer(DiffId, AtomicFile),
    /// A link to another path of the archive.
    Link(String),
}

impl ExportReader<'_> {
    fn read(&self, archive: impl Read, known: &[Layer]) -> Result<ExportedImage> {
        let mut members = BTreeMap::new();
        for entry in tar::Archive::new(archive)
            .entries()
            .map_err(|cause| self.failed(cause))?
        {
            let mut entry = entry.map_err(|cause| self.failed(cause))?;
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let kind = entry.header().entry_type();
            if kind.is_file() {
                let content = self.content(&mut entry)?;
                members.insert(path, content);
            } else if let (true, Some(target)) = (
                kind.is_symlink() || kind.is_hard_link(),
                entry.link_name_bytes(),
            ) {
                members.insert(
                    path.clone(),
                    ArchiveMember::Link(resolve_target(
                        &path,
                        &String::from_utf8_lossy(&target),
                        kind.is_symlink(),
                    )),
                );
            }
        }
        let entries: Vec<ManifestEntry> = self.json(&members, "manifest.json")?;
        let entry = entries
            .into_iter()
            .next()
            .ok_or_else(|| self.failed(io::Error::other("it lists no image")))?;
        let Some(ArchiveMember::Bytes(config)) = follow(&members, &entry.config) else {
            return Err(self.failed(io::Error::other("it has no config")));
        };
        let config = BaseConfig::read(self.name, config, entry.layers.len())?;
        let mut layers = Vec::new();
        for (position, (path, diff_id)) in entry.layers.iter().zip(config.diff_ids()).enumerate() {
            layers.push(
                match known
                    .get(position)
                    .filter(|layer| layer.diff_id == *diff_id)
                {
                    Some(layer) => layer.clone(),
                    None => self.layer(&members, path, *diff_id)?,
                },
            );
        }
        Ok(ExportedImage { config, layers })
    }

    /// Reads a small file into memory, and a large one, which must be a layer, into a temporary file.
    fn content(&self, entry: &mut impl Read) -> Result<ArchiveMember> {
        const SMALL: u64 = 1 << 20;
        let mut start = Vec::new();
        entry
            .by_ref()
            .take(SMALL)
            .read_to_end(&mut start)
            .map_err(|cause| self.failed(cause))?;
        if (start.len() as u64) < SMALL {
            return Ok(ArchiveMember::Bytes(start));
        }
        let mut plain =
            base::decompress(start.as_slice().chain(entry)).map_err(|cause| self.failed(cause))?;
        let mut draft = self.cache.draft()?;
        let mut hash = Sha256::new();
        copy(&mut plain, &mut draft, |chunk| hash.update(chunk)).map_err(|error| match error {
            CopyError::Read(cause) => self.failed(cause),
            CopyError::Write(cause) => fs::unwritable(self.cache.directory(), cause),
        })?;
        Ok(ArchiveMember::Layer(DiffId::from_hasher(hash), draft))
    }

    fn layer(
        &self,
        members: &BTreeMap<String, ArchiveMember>,
        path: &str,
        diff_id: DiffId,
    ) -> Result<Layer> {
        if let Some(layer) = pack::cached_layer(self.cache, diff_id, self.compression) {
            return Ok(layer);
        }
        match follow(members, path) {
            Some(ArchiveMember::Bytes(bytes)) => {
                let plain =
                    base::decompress(bytes.as_slice()).map_err(|cause| self.failed(cause))?;
                pack::plain_layer(self.cache, plain, diff_id, self.compression)
            }
            Some(ArchiveMember::Layer(actual, draft)) if *actual == diff_id => {
                let mut file: File = draft
                    .as_file()
                    .try_clone()
                    .map_err(|cause| self.failed(cause))?;
                file.rewind().map_err(|cause| self.failed(cause))?;
                pack::plain_layer(self.cache, file, diff_id, self.compression)
            }
            Some(ArchiveMember::Layer(..) | ArchiveMember::Link(_)) | None => {
                let cause = io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("it has no layer {diff_id} at {path}"),
                );
                Err(self.failed(cause))
            }
        }
    }

    fn json<T: for<'de> Deserialize<'de>>(
        &self,
        members: &BTreeMap<String, ArchiveMember>,
        path: &str,
    ) -> Result<T> {
        let Some(ArchiveMember::Bytes(bytes)) = follow(members, path) else {
            return Err(self.failed(io::Error::other(format!("it has no {path}"))));
        };
        serde_json::from_slice(bytes).map_err(|cause| self.failed(cause.into()))
    }

    fn failed(&self, cause: io::Error) -> Error {
        let full = matches!(cause.kind(), io::ErrorKind::StorageFull);
        let code = if full {
            Code::DiskFull
        } else {
            Code::EngineFailed
        };
        Error::new(
            code,
            format!("could not export `{}` from the engine", self.name),
        )
        .because(cause)
    }
}

fn follow<'a>(
    members: &'a BTreeMap<String, ArchiveMember>,
    path: &str,
) -> Option<&'a ArchiveMember> {
    let mut path = path;
    // Links of these archives lead to files, not to further links, so that two steps suffice.
    for _ in 0..2 {
        match members.get(path)? {
            ArchiveMember::Link(target) => path = target,
            other => return Some(other),
        }
    }
    None
}

/// The target of a link, relative to the archive's root.
fn resolve_target(path: &str, target: &str, relative: bool) -> String {
    if !relative {
        return target.to_owned();
    }
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}
