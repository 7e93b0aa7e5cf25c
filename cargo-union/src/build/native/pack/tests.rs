#![allow(clippy::unwrap_used)]

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
