//! Packs entries into a layer, a tar whose bytes depend only on the entries.
//!
//! Times, owners, modes and the order of the host have no influence. A layer that was packed from the same content
//! before is taken from the cache.

use std::io::{self, BufReader, Read};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tar::{EntryType, Header};
use union_build::diag::Code;
use union_build::key::{Inputs, Value};
use union_build::spec::Compression;

use super::compress::{Compressor, ENCODER};
use crate::build::verified_file::VerifiedFile;
use crate::image::layer::{Blob, BlobSource, Descriptor, Layer, media_type};
use crate::sys::cache::Cache;
use crate::sys::digest::{DiffId, Digest};
use crate::sys::error::{Error, Result};
use crate::sys::fs;
use crate::sys::fs::FileDigest;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LayerEntry {
    /// Without a leading slash.
    pub(super) path: String,
    /// Permission bits.
    pub(super) mode: u32,
    /// User ID.
    pub(super) owner: u64,
    /// Group ID.
    pub(super) group: u64,
    pub(super) kind: EntryKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EntryKind {
    Directory,
    /// A file of the host, with its size and hash when it was measured.
    File(PathBuf, FileDigest),
    /// A file with compiled-in content.
    Bytes(Vec<u8>),
    /// A symbolic link with its target.
    Link(String),
}

impl LayerEntry {
    /// A directory of root with mode 755.
    pub(super) fn directory(path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            mode: 0o755,
            owner: 0,
            group: 0,
            kind: EntryKind::Directory,
        }
    }

    fn content(&self) -> Value {
        match &self.kind {
            EntryKind::Directory => Value::Bool(true),
            EntryKind::File(_, measured) => Value::Hash(measured.hash),
            EntryKind::Bytes(bytes) => Value::hash_of(bytes),
            EntryKind::Link(target) => Value::Text(target.clone()),
        }
    }
}

/// The options of packing a layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct PackOptions {
    pub(super) compression: Compression,
    /// Modification time of every entry, in seconds since the Unix epoch.
    pub(super) epoch: u64,
}

/// Packs entries into a layer, or takes it from the cache.
pub(super) fn layer(
    cache: &Cache,
    mut entries: Vec<LayerEntry>,
    options: PackOptions,
) -> Result<Layer> {
    // Sorted by path, a directory comes before its contents.
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    let name = content_key(&entries, options);
    let packed = match find_cached(cache, &name) {
        Some(packed) => packed,
        None => {
            let packed = pack(cache, &entries, options)?;
            cache.put_note(NOTES, &name, &packed)?;
            packed
        }
    };
    Ok(packed.layer(cache, options.compression))
}

/// The layer that was compressed from the tar with this diff ID, if its blob is still cached.
pub(in crate::build) fn cached_layer(
    cache: &Cache,
    diff_id: DiffId,
    compression: Compression,
) -> Option<Layer> {
    let packed = find_cached(cache, &plain_name(diff_id, compression))?;
    Some(packed.layer(cache, compression))
}

/// Compresses an uncompressed tar into a layer.
pub(in crate::build) fn plain_layer(
    cache: &Cache,
    mut plain: impl Read,
    diff_id: DiffId,
    compression: Compression,
) -> Result<Layer> {
    let mut compressor = Compressor::new(cache.draft()?, compression);
    let copied = io::copy(&mut plain, &mut compressor);
    let blob = compressor.finish()?;
    copied.map_err(|cause| fs::unwritable(cache.directory(), cause))?;
    if blob.diff_id != diff_id {
        let error = Error::new(
            Code::EngineFailed,
            format!("could not export the layer {diff_id} from the engine"),
        );
        return Err(error.because(format!("its content is {}", blob.diff_id)));
    }
    cache.keep(blob.draft, &blob.digest)?;
    let packed = CachedLayer {
        digest: blob.digest,
        diff_id,
        size: blob.size,
    };
    cache.put_note(NOTES, &plain_name(diff_id, compression), &packed)?;
    Ok(packed.layer(cache, compression))
}

fn plain_name(diff_id: DiffId, compression: Compression) -> String {
    let mut inputs = Inputs::new();
    inputs.insert("encoder", Value::Number(ENCODER));
    inputs.insert("compression", Value::Bool(compression == Compression::Zstd));
    inputs.insert("plain", diff_id.to_string());
    inputs.key("layer").to_string()
}

const NOTES: &str = "layers";

/// The cache entry of a packed layer.
#[derive(Serialize, Deserialize)]
struct CachedLayer {
    digest: Digest,
    diff_id: DiffId,
    size: u64,
}

impl CachedLayer {
    fn layer(&self, cache: &Cache, compression: Compression) -> Layer {
        let media_type = match compression {
            Compression::Gzip => media_type::OCI_LAYER_GZIP,
            Compression::Zstd => media_type::OCI_LAYER_ZSTD,
        };
        let descriptor = Descriptor {
            media_type: media_type.to_owned(),
            digest: self.digest,
            size: self.size,
        };
        let content = BlobSource::File(cache.blob_path(&self.digest));
        Layer {
            blob: Blob {
                descriptor,
                content,
            },
            diff_id: self.diff_id,
        }
    }
}

/// The cache entry of a layer, if its blob is still there and intact.
fn find_cached(cache: &Cache, name: &str) -> Option<CachedLayer> {
    let packed: CachedLayer = cache.note(NOTES, name)?;
    let blob = std::fs::metadata(cache.verified_blob(&packed.digest)?).ok()?;
    (blob.len() == packed.size).then_some(packed)
}

fn content_key(entries: &[LayerEntry], options: PackOptions) -> String {
    let mut inputs = Inputs::new();
    inputs.insert("encoder", Value::Number(ENCODER));
    inputs.insert(
        "compression",
        Value::Bool(options.compression == Compression::Zstd),
    );
    inputs.insert("epoch", options.epoch.to_string());
    let entries = entries.iter().map(|entry| {
        let kind = match entry.kind {
            EntryKind::Directory => "folder",
            EntryKind::File(..) | EntryKind::Bytes(_) => "file",
            EntryKind::Link(_) => "link",
        };
        let mode = Value::Number(entry.mode.into());
        let owner = Value::Number(entry.owner as i64);
        let group = (entry.group != entry.owner).then(|| Value::Text(entry.group.to_string()));
        Value::List(
            [
                entry.path.as_str().into(),
                kind.into(),
                mode,
                owner,
                entry.content(),
            ]
            .into_iter()
            .chain(group)
            .collect(),
        )
    });
    inputs.insert("entries", Value::List(entries.collect()));
    inputs.key("layer").to_string()
}

fn pack(cache: &Cache, entries: &[LayerEntry], options: PackOptions) -> Result<CachedLayer> {
    let mut compressor = Compressor::new(cache.draft()?, options.compression);
    let written = write(entries, options.epoch, &mut compressor);
    let finished = compressor.finish();
    match written {
        // If no source file is the cause, the compressor has the original error.
        Err(PackError::Source(error)) => return Err(error),
        Err(PackError::Output(cause)) => {
            return Err(finished
                .err()
                .unwrap_or_else(|| fs::unwritable(cache.directory(), cause)));
        }
        Ok(()) => {}
    }
    let blob = finished?;
    cache.keep(blob.draft, &blob.digest)?;
    Ok(CachedLayer {
        digest: blob.digest,
        diff_id: blob.diff_id,
        size: blob.size,
    })
}

enum PackError {
    Source(Error),
    Output(io::Error),
}

fn write(entries: &[LayerEntry], epoch: u64, output: &mut Compressor) -> Result<(), PackError> {
    let mut tar = tar::Builder::new(output);
    for entry in entries {
        let mut header = Header::new_gnu();
        header.set_mode(entry.mode);
        header.set_uid(entry.owner);
        header.set_gid(entry.group);
        header.set_mtime(epoch);
        header.set_size(0);
        match &entry.kind {
            EntryKind::Directory => {
                header.set_entry_type(EntryType::Directory);
                tar.append_data(&mut header, format!("{}/", entry.path), io::empty())
                    .map_err(PackError::Output)?;
            }
            EntryKind::Link(target) => {
                header.set_entry_type(EntryType::Symlink);
                tar.append_link(&mut header, &entry.path, target)
                    .map_err(PackError::Output)?;
            }
            EntryKind::Bytes(bytes) => {
                header.set_size(bytes.len() as u64);
                tar.append_data(&mut header, &entry.path, &bytes[..])
                    .map_err(PackError::Output)?;
            }
            EntryKind::File(path, measured) => {
                header.set_size(measured.size);
                let mut source = VerifiedFile::open(path, *measured).map_err(PackError::Source)?;
                let appended = tar.append_data(
                    &mut header,
                    &entry.path,
                    BufReader::with_capacity(1 << 18, &mut source),
                );
                source.finish().map_err(PackError::Source)?;
                appended.map_err(PackError::Output)?;
            }
        }
    }
    tar.finish().map_err(PackError::Output)
}

#[cfg(test)]
mod tests;
