//! Caches the hashes of large files by their `stat` data, like git's index.
//!
//! A file with the device, inode, size, modification time and change time that it had when it was hashed has the same
//! content. Users cannot set the change time, so resetting the modification time does not hide a change. A file that was
//! changed just before it was hashed is not cached: it could change again within the same tick of the file system's clock
//! without changing its `stat` data.
//!
//! There is one cache file per directory of hashed files. A missing or damaged cache file only costs time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::error::Result;
use super::fs::{self, FileDigest};
use crate::sys::digest::Digest;

/// Minimum size of cached files. Smaller files are hashed about as fast as they are looked up.
const MIN_SIZE: u64 = 1 << 15;

/// Maximum number of entries per directory. Those of the latest run are kept first.
const MAX_ENTRIES: usize = 10_000;

/// The hashes of large files.
#[derive(Debug)]
pub struct StatCache {
    root: PathBuf,
    /// Whether entries of earlier processes are used.
    uses_stored_entries: bool,
    now: fn() -> SystemTime,
    directories: Mutex<BTreeMap<PathBuf, CachedDirectory>>,
}

/// The entries of one directory.
#[derive(Debug, Default)]
struct CachedDirectory {
    entries: BTreeMap<String, Entry>,
    /// The names of the files that this process has looked up.
    used: BTreeSet<String>,
    is_changed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    stat: FileStat,
    hash: [u8; 32],
}

/// The `stat` data of a file or directory, which differs after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileStat {
    device: u64,
    inode: u64,
    size: u64,
    /// Modification time in seconds and nanoseconds since 1970.
    modified: (i64, i64),
    changed: (i64, i64),
}

impl StatCache {
    /// A cache with its files in a directory, which is created on the first [`save`](Self::save).
    pub fn new(directory: PathBuf) -> Self {
        Self {
            root: directory,
            uses_stored_entries: true,
            now: SystemTime::now,
            directories: Mutex::default(),
        }
    }

    /// Ignores the entries of earlier processes.
    #[must_use]
    pub fn without_stored_entries(self) -> Self {
        Self {
            uses_stored_entries: false,
            ..self
        }
    }

    /// Size and hash of a file's content. The file is read only when it may have changed.
    ///
    /// # Errors
    /// `FileUnreadable`.
    pub fn measure(&self, path: &Path) -> Result<FileDigest> {
        let read_stat = || {
            std::fs::metadata(path)
                .map(|data| FileStat::of(&data))
                .map_err(|cause| fs::unreadable(path, cause))
        };
        let Some(stat) = read_stat()?.filter(|stat| stat.size >= MIN_SIZE) else {
            return fs::measure(path);
        };
        let (directory, name) = split_path(path);
        if let Some(hash) = self.directory(&directory).find(&name, &stat) {
            return Ok(FileDigest {
                size: stat.size,
                hash,
            });
        }
        let started = (self.now)();
        let measured = fs::measure(path)?;
        if stat.is_settled(started) && read_stat()? == Some(stat) && measured.size == stat.size {
            self.directory(&directory).put(
                name,
                Entry {
                    stat,
                    hash: measured.hash,
                },
            );
        }
        Ok(measured)
    }

    /// Writes new entries. When that fails, the files are read again next time.
    pub fn save(&self) {
        for (path, directory) in &mut *self.lock() {
            if std::mem::take(&mut directory.is_changed) {
                // Another process may have written entries of other files meanwhile.
                let others = self
                    .load(path)
                    .into_iter()
                    .filter(|(name, _)| !directory.used.contains(name));
                let used = directory
                    .entries
                    .iter()
                    .filter(|(name, _)| directory.used.contains(*name));
                let merged: BTreeMap<String, Entry> = used
                    .map(|(name, entry)| (name.clone(), entry.clone()))
                    .chain(others)
                    .take(MAX_ENTRIES)
                    .collect();
                let bytes = serde_json::to_vec(&merged).unwrap_or_default();
                let _ = fs::replace(&self.file(path), &bytes);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PathBuf, CachedDirectory>> {
        self.directories
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn directory(&self, path: &Path) -> LockedDirectory<'_> {
        let mut directories = self.lock();
        if !directories.contains_key(path) {
            let entries = if self.uses_stored_entries {
                self.load(path)
            } else {
                BTreeMap::new()
            };
            directories.insert(
                path.to_owned(),
                CachedDirectory {
                    entries,
                    ..CachedDirectory::default()
                },
            );
        }
        LockedDirectory {
            directories,
            path: path.to_owned(),
        }
    }

    fn load(&self, directory: &Path) -> BTreeMap<String, Entry> {
        std::fs::read(self.file(directory))
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default()
    }

    fn file(&self, directory: &Path) -> PathBuf {
        self.root.join(format!(
            "{}.json",
            Digest::of(directory.as_os_str().as_encoded_bytes()).hex()
        ))
    }
}

/// The entries of one directory, with the lock held.
struct LockedDirectory<'a> {
    directories: MutexGuard<'a, BTreeMap<PathBuf, CachedDirectory>>,
    path: PathBuf,
}

impl LockedDirectory<'_> {
    /// The cached hash of a file with unchanged `stat` data.
    fn find(&mut self, name: &str, stat: &FileStat) -> Option<[u8; 32]> {
        let directory = self.directories.get_mut(&self.path)?;
        directory.used.insert(name.to_owned());
        directory
            .entries
            .get(name)
            .filter(|entry| entry.stat == *stat)
            .map(|entry| entry.hash)
    }

    fn put(&mut self, name: String, entry: Entry) {
        let directory = self.directories.entry(self.path.clone()).or_default();
        directory.entries.insert(name, entry);
        directory.is_changed = true;
    }
}

/// A file's directory and name. Names that are equal after a lossy conversion differ in their `stat` data.
fn split_path(path: &Path) -> (PathBuf, String) {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    (path.parent().unwrap_or(Path::new("")).to_owned(), name)
}

impl FileStat {
    /// The data of a file; `None` where there are no inodes and change times.
    #[cfg(unix)]
    pub(crate) fn of(data: &std::fs::Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        Some(Self {
            device: data.dev(),
            inode: data.ino(),
            size: data.size(),
            modified: (data.mtime(), data.mtime_nsec()),
            changed: (data.ctime(), data.ctime_nsec()),
        })
    }

    /// Nothing is cached where there are no inodes and change times.
    #[cfg(not(unix))]
    pub(crate) fn of(_: &std::fs::Metadata) -> Option<Self> {
        None
    }

    /// Whether the file's times are old enough that a further change would result in other times.
    fn is_settled(&self, now: SystemTime) -> bool {
        // File systems with a resolution of seconds have times without nanoseconds; the coarsest has two seconds.
        let is_coarse = self.modified.1 == 0 && self.changed.1 == 0;
        let tick = if is_coarse {
            Duration::from_secs(2)
        } else {
            Duration::from_millis(100)
        };
        let Some(past) = now
            .duration_since(UNIX_EPOCH)
            .ok()
            .and_then(|now| now.checked_sub(tick))
        else {
            return false;
        };
        let past = (
            i64::try_from(past.as_secs()).unwrap_or(0),
            i64::from(past.subsec_nanos()),
        );
        self.modified.max(self.changed) < past
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
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
}
