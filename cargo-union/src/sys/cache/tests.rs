#![allow(clippy::unwrap_used)]

use std::io::Write as _;

use super::*;

/// Adds a blob of ten bytes, last used `hours` ago.
fn put(cache: &Cache, text: &str, hours: u64) -> Digest {
    let mut draft = cache.draft().unwrap();
    let bytes = format!("{text:10}");
    draft.write_all(bytes.as_bytes()).unwrap();
    let digest = Digest::of(&bytes);
    let path = cache.keep(draft, &digest).unwrap();
    let used = SystemTime::now() - Duration::from_secs(hours * 3600);
    File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(used)
        .unwrap();
    digest
}

fn exists(cache: &Cache, digest: &Digest) -> bool {
    cache.blob_path(digest).exists()
}

#[test]
fn default_directory_falls_back_and_a_set_one_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    let otherwise = directory.path().join("target/union/cache");
    std::fs::write(&file, "").unwrap();
    for (usual, word) in [
        (None, "HOME"),
        (Some(file.join("cargo-union")), "cannot be written"),
    ] {
        let cache = Cache::usual(usual);
        let message = cache.settle(&otherwise).unwrap();
        assert!(
            message.contains(word) && message.contains("target/union/cache"),
            "{message}"
        );
        assert_eq!(
            (cache.directory(), cache.clone().settle(&otherwise)),
            (&*otherwise, None)
        );
        let digest = put(&cache, "blob", 0);
        assert!(cache.blob(&digest).unwrap().starts_with(&otherwise));
    }
    let good = Cache::usual(Some(directory.path().join("good")));
    assert_eq!(
        (good.settle(&otherwise), good.directory()),
        (None, &*directory.path().join("good"))
    );
    let named = Cache::new(file.join("cargo-union"));
    assert_eq!(
        (named.settle(&otherwise), named.draft().is_err()),
        (None, true)
    );
}

#[test]
fn sweep_removes_least_recently_used_blobs_first() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(directory.path());
    let old = put(&cache, "old", 2);
    let older = put(&cache, "older", 3);
    let oldest = put(&cache, "oldest", 4);
    assert_eq!(cache.sweep(30).unwrap(), 0);
    assert!(cache.blob(&oldest).is_some(), "this marks the blob as used");
    assert_eq!(cache.sweep(25).unwrap(), 10);
    assert!(exists(&cache, &oldest) && exists(&cache, &old) && !exists(&cache, &older));
    assert_eq!(cache.sweep(0).unwrap(), 20);
}

#[test]
fn sweep_does_nothing_while_another_process_uses_the_cache() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(directory.path());
    let other = Cache::new(directory.path());
    let digest = put(&cache, "blob", 9);
    assert!(other.blob(&digest).is_some());
    assert_eq!(cache.sweep(0).unwrap(), 0);
    drop(other);
    assert_eq!(cache.sweep(0).unwrap(), 10);
}

#[test]
fn sweep_ignores_blobs_linked_from_a_layout() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(directory.path());
    let linked = put(&cache, "linked", 9);
    let alone = put(&cache, "alone", 1);
    std::fs::hard_link(cache.blob_path(&linked), directory.path().join("layout")).unwrap();
    assert_eq!(cache.sweep(10).unwrap(), 0);
    assert!(exists(&cache, &linked) && exists(&cache, &alone));
}

#[test]
fn sweep_removes_temporary_files() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(directory.path());
    let digest = put(&cache, "blob", 0);
    let left = directory.path().join("blobs/sha256/.union-left");
    std::fs::write(&left, "half").unwrap();
    assert_eq!(cache.sweep(DEFAULT_CAP).unwrap(), 4);
    assert!(!left.exists() && exists(&cache, &digest));
}

#[test]
fn damaged_blob_is_removed_when_verified() {
    let directory = tempfile::tempdir().unwrap();
    let digest = put(&Cache::new(directory.path()), "blob", 0);
    let path = Cache::new(directory.path()).blob_path(&digest);
    for _ in 0..2 {
        assert_eq!(
            Cache::new(directory.path()).verified_blob(&digest).as_ref(),
            Some(&path)
        );
    }
    for bytes in [&b"blo"[..], b"", b"BLOB      ", b"blob       and more"] {
        std::fs::write(&path, bytes).unwrap();
        let cache = Cache::new(directory.path());
        assert_eq!(cache.verified_blob(&digest), None);
        assert!(!path.exists());
        put(&cache, "blob", 0);
        assert_eq!(
            cache.verified_blob(&digest).as_ref(),
            Some(&path),
            "the blob was added again"
        );
    }
}

#[test]
fn damaged_note_is_ignored() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(directory.path());
    cache.put_note("layers", "one", &1234).unwrap();
    let path = directory.path().join("notes/layers/one");
    let valid = std::fs::read(&path).unwrap();
    for damaged in [
        &valid[..valid.len() - 1],
        &valid[..10],
        b"",
        b"1234",
        &[&valid[..valid.len() - 1], b"5"].concat(),
    ] {
        std::fs::write(&path, damaged).unwrap();
        assert_eq!(cache.note::<u32>("layers", "one"), None);
    }
    std::fs::write(&path, valid).unwrap();
    assert_eq!(cache.note::<u32>("layers", "one"), Some(1234));
}

#[test]
fn sweep_removes_old_notes() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(directory.path());
    cache.put_note("layers", "new", &1).unwrap();
    cache.put_note("layers", "old", &2).unwrap();
    let old = File::options()
        .write(true)
        .open(directory.path().join("notes/layers/old"))
        .unwrap();
    old.set_modified(SystemTime::now() - OLD_NOTE * 2).unwrap();
    cache.sweep(DEFAULT_CAP).unwrap();
    assert_eq!(
        (
            cache.note::<u32>("layers", "new"),
            cache.note::<u32>("layers", "old")
        ),
        (Some(1), None)
    );
}
