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
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs::File;

    use proptest::prelude::*;

    use super::*;
    use crate::sys::fs::measure;

    const PACKING: PackOptions = PackOptions {
        compression: Compression::Gzip,
        epoch: 0,
    };

    fn cache() -> (tempfile::TempDir, Cache) {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(directory.path().join("cache"));
        (directory, cache)
    }

    fn bytes(path: &str, content: &[u8]) -> LayerEntry {
        LayerEntry {
            path: path.to_owned(),
            mode: 0o644,
            owner: 0,
            group: 0,
            kind: EntryKind::Bytes(content.to_vec()),
        }
    }

    fn unpacked(cache: &Cache, layer: &Layer) -> Vec<u8> {
        let file = File::open(cache.blob(&layer.blob.descriptor.digest).unwrap()).unwrap();
        let mut tar = Vec::new();
        flate2::read::MultiGzDecoder::new(file)
            .read_to_end(&mut tar)
            .unwrap();
        tar
    }

    #[test]
    fn layer_digests_are_stable() {
        let (_directory, cache) = cache();
        let layer = layer(
            &cache,
            vec![
                LayerEntry::directory("union"),
                bytes("union/hello", b"hello\n"),
            ],
            PACKING,
        )
        .unwrap();
        // The uncompressed digest must never change, the compressed one only when `ENCODER` is raised.
        assert_eq!(
            layer.diff_id.to_string(),
            "sha256:7aafb80c231ad9f9aff7590b6150ae3cf247d260107c16989617dcaf6e073ccb"
        );
        assert_eq!(
            layer.blob.descriptor.digest.to_string(),
            "sha256:6e2133195faf2ac8e055561cd088f162d863ef202c41270a4cbadcf16967e89a"
        );
    }

    #[test]
    fn layer_digest_depends_on_the_epoch_but_not_on_the_order_of_entries() {
        let (_directory, cache) = cache();
        let a = bytes("a", b"1");
        let b = bytes("b", b"2");
        let one = layer(&cache, vec![a.clone(), b.clone()], PACKING).unwrap();
        let two = layer(&cache, vec![b.clone(), a.clone()], PACKING).unwrap();
        let three = layer(
            &cache,
            vec![a, b],
            PackOptions {
                epoch: 1,
                ..PACKING
            },
        )
        .unwrap();
        assert_eq!(one.diff_id, two.diff_id);
        assert_ne!(one.diff_id, three.diff_id);
    }

    #[test]
    fn cached_layers_are_not_packed_again_unless_their_blob_is_missing() {
        let (directory, cache) = cache();
        let path = directory.path().join("binary");
        std::fs::write(&path, "binary").unwrap();
        let measured = measure(&path).unwrap();
        let entries = || {
            vec![LayerEntry {
                path: "x".to_owned(),
                mode: 0o755,
                owner: 0,
                group: 0,
                kind: EntryKind::File(path.clone(), measured),
            }]
        };
        let first = layer(&cache, entries(), PACKING).unwrap();
        // Packing would fail now, so the next layer is from the cache.
        std::fs::remove_file(&path).unwrap();
        assert_eq!(
            layer(&cache, entries(), PACKING).unwrap().blob.descriptor,
            first.blob.descriptor
        );
        std::fs::remove_file(cache.blob_path(&first.blob.descriptor.digest)).unwrap();
        assert_eq!(
            layer(&cache, entries(), PACKING).unwrap_err().code(),
            Code::InputsMoved
        );
        std::fs::write(&path, "binary").unwrap();
        assert_eq!(
            layer(&cache, entries(), PACKING).unwrap().blob.descriptor,
            first.blob.descriptor
        );
    }

    #[test]
    fn file_that_changes_while_it_is_packed_is_an_error() {
        let (directory, cache) = cache();
        let path = directory.path().join("binary");
        for (content, why) in [
            ("shorter", "it became shorter"),
            ("other content, longer", "its content changed"),
        ] {
            std::fs::write(&path, "the content before").unwrap();
            let measured = measure(&path).unwrap();
            std::fs::write(&path, content).unwrap();
            let entry = LayerEntry {
                path: "x".to_owned(),
                mode: 0o755,
                owner: 0,
                group: 0,
                kind: EntryKind::File(path.clone(), measured),
            };
            let error = layer(&cache, vec![entry], PACKING).unwrap_err();
            assert_eq!((error.code(), &*error.chain()[1]), (Code::InputsMoved, why));
        }
        assert!(
            !cache.directory().join("notes/layers").exists(),
            "a failed layer has no cache entry"
        );
    }

    #[test]
    fn long_names_and_link_targets_are_preserved() {
        let (_directory, cache) = cache();
        let long = format!(
            "{}/file",
            "folder-with-a-long-name/".repeat(12).trim_end_matches('/')
        );
        let link = LayerEntry {
            path: "link".to_owned(),
            mode: 0o777,
            owner: 0,
            group: 0,
            kind: EntryKind::Link(long.clone()),
        };
        let layer = layer(&cache, vec![bytes(&long, b"x"), link], PACKING).unwrap();
        let tar = unpacked(&cache, &layer);
        let mut archive = tar::Archive::new(&tar[..]);
        let entries: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap())
            .collect();
        assert_eq!(entries[0].path().unwrap().to_str(), Some(long.as_str()));
        assert_eq!(
            entries[1].link_name().unwrap().unwrap().to_str(),
            Some(long.as_str())
        );
    }

    #[test]
    fn sizes_beyond_eight_gibibytes_fit_into_the_header() {
        let mut header = Header::new_gnu();
        header.set_size(9 << 30);
        assert_eq!(header.entry_size().unwrap(), 9 << 30);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn packed_files_are_unpacked_unchanged(files in proptest::collection::btree_map("[a-z]{1,8}(/[a-zé ]{1,60}){0,4}", proptest::collection::vec(any::<u8>(), 0..2000), 1..8)) {
            let (_directory, cache) = cache();
            let entries = files.iter().map(|(path, content)| bytes(path, content)).collect();
            let layer = layer(&cache, entries, PACKING).unwrap();
            let tar = unpacked(&cache, &layer);
            prop_assert_eq!(DiffId::of(&tar), layer.diff_id);
            let mut unpacked = std::collections::BTreeMap::new();
            for entry in tar::Archive::new(&tar[..]).entries().unwrap() {
                let mut entry = entry.unwrap();
                let mut content = Vec::new();
                entry.read_to_end(&mut content).unwrap();
                unpacked.insert(entry.path().unwrap().to_str().unwrap().to_owned(), content);
                prop_assert_eq!((entry.header().mtime().unwrap(), entry.header().uid().unwrap(), entry.header().mode().unwrap()), (0, 0, 0o644));
            }
            prop_assert_eq!(unpacked, files);
        }
    }
}
