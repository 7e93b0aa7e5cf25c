#![allow(clippy::unwrap_used)]

use std::fs::File;

use super::*;

struct Fixture {
    directory: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let fixture = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        fixture.write(b'a');
        fixture
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("weights")
    }

    /// Other bytes of the same size, at another tick of the file system's clock.
    fn write(&self, byte: u8) {
        let stat = || {
            std::fs::metadata(self.path())
                .ok()
                .and_then(|data| FileStat::of(&data))
        };
        let before = stat();
        while stat() == before {
            std::fs::write(self.path(), vec![byte; 1 << 16]).unwrap();
        }
    }

    fn cache(&self) -> StatCache {
        StatCache {
            now: in_a_minute,
            ..StatCache::new(self.directory.path().join("cache"))
        }
    }

    /// Replaces the hash in the cache file, so that a cache hit can be recognized.
    fn forge(&self) {
        let file = self.cache().file(self.directory.path());
        let mut entries = self.cache().load(self.directory.path());
        entries.get_mut("weights").unwrap().hash = FORGED;
        std::fs::write(file, serde_json::to_vec(&entries).unwrap()).unwrap();
    }
}

const FORGED: [u8; 32] = [7; 32];

fn in_a_minute() -> SystemTime {
    SystemTime::now() + Duration::from_secs(60)
}

/// Measures with a new cache, as each run does.
fn measured(fixture: &Fixture) -> FileDigest {
    let cache = fixture.cache();
    let measured = cache.measure(&fixture.path()).unwrap();
    cache.save();
    measured
}

#[test]
fn unchanged_file_is_not_read_again() {
    let fixture = Fixture::new();
    assert_eq!(measured(&fixture), fs::measure(&fixture.path()).unwrap());
    fixture.forge();
    assert_eq!(
        measured(&fixture),
        FileDigest {
            size: 1 << 16,
            hash: FORGED
        }
    );
}

#[test]
fn reset_modification_time_does_not_hide_a_change() {
    let fixture = Fixture::new();
    let modified = std::fs::metadata(fixture.path())
        .unwrap()
        .modified()
        .unwrap();
    measured(&fixture);
    fixture.forge();
    fixture.write(b'b');
    File::options()
        .write(true)
        .open(fixture.path())
        .unwrap()
        .set_modified(modified)
        .unwrap();
    assert_eq!(measured(&fixture), fs::measure(&fixture.path()).unwrap());
}

#[test]
fn replaced_file_with_equal_size_and_time_is_read() {
    let fixture = Fixture::new();
    let modified = std::fs::metadata(fixture.path())
        .unwrap()
        .modified()
        .unwrap();
    measured(&fixture);
    fixture.forge();
    let other = fixture.directory.path().join("other");
    std::fs::write(&other, vec![b'c'; 1 << 16]).unwrap();
    File::options()
        .write(true)
        .open(&other)
        .unwrap()
        .set_modified(modified)
        .unwrap();
    std::fs::rename(other, fixture.path()).unwrap();
    assert_eq!(measured(&fixture), fs::measure(&fixture.path()).unwrap());
}

#[test]
fn recently_changed_file_is_not_cached() {
    let fixture = Fixture::new();
    let stat = FileStat::of(&std::fs::metadata(fixture.path()).unwrap()).unwrap();
    let at = |stat: &FileStat, millis: u64| {
        let changed = Duration::new(
            stat.changed.0.try_into().unwrap(),
            stat.changed.1.try_into().unwrap(),
        );
        stat.is_settled(UNIX_EPOCH + changed + Duration::from_millis(millis))
    };
    let fine = FileStat {
        modified: (stat.changed.0, 5),
        changed: (stat.changed.0, 5),
        ..stat
    };
    assert_eq!(
        [at(&fine, 0), at(&fine, 99), at(&fine, 101)],
        [false, false, true]
    );
    let coarse = FileStat {
        modified: (stat.changed.0, 0),
        changed: (stat.changed.0, 0),
        ..stat
    };
    assert_eq!(
        [at(&coarse, 1000), at(&coarse, 1999), at(&coarse, 2001)],
        [false, false, true]
    );
    let in_the_future = FileStat {
        modified: (stat.changed.0 + 86_400, 5),
        ..fine
    };
    assert!(!at(&in_the_future, 5000));
    let cache = StatCache {
        now: || UNIX_EPOCH,
        ..fixture.cache()
    };
    cache.measure(&fixture.path()).unwrap();
    cache.save();
    assert!(!cache.file(fixture.directory.path()).exists());
}

#[test]
fn damaged_cache_file_is_ignored_and_replaced() {
    let fixture = Fixture::new();
    measured(&fixture);
    let file = fixture.cache().file(fixture.directory.path());
    for damage in ["", "{", "[1, 2]", "{\"weights\": {\"stat\": 1}}"] {
        std::fs::write(&file, damage).unwrap();
        assert_eq!(
            measured(&fixture),
            fs::measure(&fixture.path()).unwrap(),
            "{damage}"
        );
    }
    fixture.forge();
    assert_eq!(measured(&fixture).hash, FORGED);
}

#[test]
fn ignoring_stored_entries_reads_and_replaces_them() {
    let fixture = Fixture::new();
    measured(&fixture);
    fixture.forge();
    let cache = fixture.cache().without_stored_entries();
    assert_eq!(
        cache.measure(&fixture.path()).unwrap(),
        fs::measure(&fixture.path()).unwrap()
    );
    cache.save();
    assert_eq!(measured(&fixture), fs::measure(&fixture.path()).unwrap());
}

#[test]
fn entries_of_two_processes_are_merged() {
    let fixture = Fixture::new();
    let other = fixture.directory.path().join("other");
    std::fs::write(&other, vec![b'o'; 1 << 16]).unwrap();
    let first = fixture.cache();
    let second = fixture.cache();
    first.measure(&fixture.path()).unwrap();
    second.measure(&other).unwrap();
    first.save();
    second.save();
    assert_eq!(fixture.cache().load(fixture.directory.path()).len(), 2);
}

#[test]
fn small_files_are_not_cached() {
    let fixture = Fixture::new();
    std::fs::write(fixture.path(), "small").unwrap();
    measured(&fixture);
    assert!(!fixture.directory.path().join("cache").exists());
}
