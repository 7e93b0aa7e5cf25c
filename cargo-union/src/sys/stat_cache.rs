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

/// Minimum size of cached files. Hashing smaller files takes about as long as looking them up.
const MIN_SIZE: u64 = 1 << 15;

/// Maximum number of entries per directory. If there are more, entries of older runs are removed first.
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
mod tests;
