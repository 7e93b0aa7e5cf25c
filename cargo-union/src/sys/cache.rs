//! The user's cache of blobs and packed layers, shared by all workspaces and processes.
//!
//! It is in `$UNION_CACHE_DIR`, `$XDG_CACHE_HOME/cargo-union` or `~/.cache/cargo-union`; when neither of the last two is
//! known and writable, in a directory below the workspace's target directory. `blobs/sha256/<hex>` are blobs by digest;
//! `notes/<kind>/<name>` are notes about them, each with a hash before it. Entries are written atomically, so several
//! processes may share the cache; a missing entry only costs time.
//!
//! The path of a blob stays valid until the process exits: a process that uses blobs holds a shared lock, and
//! [`Cache::sweep`] removes nothing while another process holds one.

use std::collections::HashSet;
use std::fs::{File, FileTimes};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::Result;
use super::fs::{self, AtomicFile, FileDigest};
use super::stat_cache::StatCache;
use crate::sys::digest::Digest;

/// The default size limit of the blobs, in bytes.
pub const DEFAULT_CAP: u64 = 10_000_000_000;

/// The length of the hash before each note, which detects damaged notes.
const NOTE_HASH_LENGTH: usize = 64;
/// How long a blob is not marked as used again after it was marked.
const RECENT: Duration = Duration::from_secs(3600);
/// The directory of file hashes. The number changes with the format of its files.
const FILES: &str = "notes/files-1";
/// The age at which notes are removed.
const OLD_NOTE: Duration = Duration::from_secs(90 * 24 * 3600);

/// The cache directory.
#[derive(Clone, Debug)]
pub struct Cache {
    /// The configured directory; `None` when it could not be determined.
    configured: Option<PathBuf>,
    /// Whether the user has set it, so that there is no fallback.
    is_named: bool,
    /// The directory in use.
    directory: Arc<OnceLock<PathBuf>>,
    /// The lock of this process, once it uses blobs; `None` when it cannot be locked.
    lock: Arc<OnceLock<Option<File>>>,
    /// Hashes of large files of the workspace.
    files: Arc<OnceLock<StatCache>>,
    /// Whether hashes of earlier processes are ignored.
    rehashes: bool,
    /// Whether notes are written.
    keeps_notes: bool,
    /// The blobs that this process has written or verified.
    verified: Arc<Mutex<HashSet<Digest>>>,
}

/// The kind of notes about blobs that were verified.
const CHECKED: &str = "checked-1";

/// Identifies the file of a blob at the time it was verified.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct VerifiedBlob {
    size: u64,
    modified: Duration,
    inode: u64,
    /// The boot id: writes before a power loss may be missing after it.
    boot: String,
}

impl VerifiedBlob {
    /// `None` on systems without a boot id.
    fn of(path: &Path) -> Option<Self> {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let data = path.metadata().ok()?;
        let modified = data
            .modified()
            .ok()?
            .duration_since(SystemTime::UNIX_EPOCH)
            .ok()?;
        Some(Self {
            size: data.len(),
            modified,
            inode: inode(&data),
            boot: boot.trim().to_owned(),
        })
    }
}

impl Cache {
    /// A cache in a directory that the user has set. It is created on the first write.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            configured: Some(directory.into()),
            is_named: true,
            directory: Arc::default(),
            lock: Arc::default(),
            files: Arc::default(),
            rehashes: false,
            keeps_notes: true,
            verified: Arc::default(),
        }
    }

    /// Ignores the file hashes of earlier processes.
    #[must_use]
    pub fn rehashing(self) -> Self {
        Self {
            files: Arc::default(),
            rehashes: true,
            ..self
        }
    }

    /// Reads the notes of other runs, and writes none.
    #[must_use]
    pub fn without_new_notes(self) -> Self {
        Self {
            keeps_notes: false,
            ..self
        }
    }

    /// Size and hash of a file's content. A large file is read only when it may have changed since an earlier run.
    ///
    /// # Errors
    /// `FileUnreadable`.
    pub fn measure(&self, path: &Path) -> Result<FileDigest> {
        self.files().measure(path)
    }

    /// Writes the hashes of large files for the next run.
    pub fn keep_measured(&self) {
        self.files().save();
    }

    fn files(&self) -> &StatCache {
        self.files.get_or_init(|| {
            let files = StatCache::new(self.directory().join(FILES));
            if self.rehashes {
                files.without_stored_entries()
            } else {
                files
            }
        })
    }

    /// A cache in the default directory, if that could be determined; see [`settle`](Self::settle).
    pub fn usual(directory: Option<PathBuf>) -> Self {
        Self {
            configured: directory,
            is_named: false,
            directory: Arc::default(),
            lock: Arc::default(),
            files: Arc::default(),
            rehashes: false,
            keeps_notes: true,
            verified: Arc::default(),
        }
    }

    /// Switches to another directory when the default one is not known or not writable, and returns a message about it.
    /// A full disk is no reason to switch, since the other directory would need space as well.
    pub fn settle(&self, otherwise: &Path) -> Option<String> {
        if self.is_named || self.directory.get().is_some() {
            return None;
        }
        let reason = match &self.configured {
            None => "could not determine the cache directory: HOME is not set".to_owned(),
            Some(directory) => {
                let probe = std::fs::create_dir_all(directory)
                    .and_then(|()| tempfile::tempfile_in(directory));
                let cause = probe.err().filter(|cause| !fs::is_full(cause))?;
                format!(
                    "the cache `{}` cannot be written: {cause}",
                    directory.display()
                )
            }
        };
        let is_set = self.directory.set(otherwise.to_owned()).is_ok();
        is_set.then(|| {
            format!(
                "{reason}; using `{}`. Set UNION_CACHE_DIR to a persistent, writable directory.",
                otherwise.display()
            )
        })
    }

    /// The path of a blob, whether it exists or not.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.directory().join("blobs/sha256").join(digest.hex())
    }

    /// The path of a blob, if it exists. Marks it as used.
    pub fn blob(&self, digest: &Digest) -> Option<PathBuf> {
        self.acquire_lock();
        let path = self.blob_path(digest);
        let file = File::open(&path).ok()?;
        let used = file
            .metadata()
            .ok()
            .filter(|data| data.is_file())?
            .modified()
            .ok()?;
        if used.elapsed().is_ok_and(|age| age > RECENT) {
            // The modification time records the last use, since the content does not change.
            let _ = file.set_times(FileTimes::new().set_modified(SystemTime::now()));
        }
        Some(path)
    }

    /// The path of a blob, if it exists and matches its digest. A damaged blob, as after a power loss, is removed, so that
    /// it is built or fetched again. The bytes are read only once per boot, unless the file changes.
    pub fn verified_blob(&self, digest: &Digest) -> Option<PathBuf> {
        let path = self.blob(digest)?;
        if self
            .verified
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(digest)
        {
            return Some(path);
        }
        let file = VerifiedBlob::of(&path);
        if file.is_none() || self.note(CHECKED, &digest.hex()) != file {
            if fs::measure(&path).is_ok_and(|measured| Digest::from_hash(measured.hash) != *digest)
            {
                let _ = fs::remove(&path);
                return None;
            }
            if let Some(file) = &file {
                let _ = self.put_note(CHECKED, &digest.hex(), file);
            }
        }
        self.verified
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(*digest);
        Some(path)
    }

    /// A temporary file for a new blob; [`keep`](Self::keep) moves it to its path.
    ///
    /// # Errors
    /// `FileUnwritable`, `DiskFull`.
    pub fn draft(&self) -> Result<AtomicFile> {
        self.acquire_lock();
        AtomicFile::create_beside(&self.directory().join("blobs/sha256/draft"))
    }

    /// Moves a new blob to its path. The digest was computed while it was written.
    ///
    /// # Errors
    /// `FileUnwritable`, `DiskFull`.
    pub fn keep(&self, draft: AtomicFile, digest: &Digest) -> Result<PathBuf> {
        let path = self.blob_path(digest);
        draft.keep(&path)?;
        self.verified
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(*digest);
        Ok(path)
    }

    /// Reads a note; `None` when there is none or it is damaged.
    pub fn note<T: DeserializeOwned>(&self, kind: &str, name: &str) -> Option<T> {
        let note = std::fs::read(self.note_path(kind, name)).ok()?;
        let (hash, json) = note.split_at_checked(NOTE_HASH_LENGTH)?;
        if Digest::of(json).hex().as_bytes() != hash {
            return None;
        }
        serde_json::from_slice(json).ok()
    }

    /// Writes a note.
    ///
    /// # Errors
    /// `FileUnwritable`, `DiskFull`.
    pub fn put_note<T: Serialize>(&self, kind: &str, name: &str, note: &T) -> Result<()> {
        if !self.keeps_notes {
            return Ok(());
        }
        let json =
            serde_json::to_vec(note).expect("notes are plain values, which always serialize");
        fs::replace(
            &self.note_path(kind, name),
            &[Digest::of(&json).hex().as_bytes(), &json].concat(),
        )
    }

    /// The cache directory.
    pub fn directory(&self) -> &Path {
        self.directory.get_or_init(|| {
            self.configured
                .clone()
                .unwrap_or_else(|| PathBuf::from("target/union/cache"))
        })
    }

    /// Removes the least recently used blobs until the rest has at most `cap` bytes, and the temporary files of interrupted
    /// processes. Does nothing while another process uses the cache. Call it when no path of a blob is needed any more.
    /// Returns the number of bytes freed.
    ///
    /// # Errors
    /// `FileUnwritable`.
    pub fn sweep(&self, cap: u64) -> Result<u64> {
        let Some(lock) = self.acquire_lock() else {
            return Ok(0);
        };
        if lock.try_lock().is_err() {
            let _ = lock.try_lock_shared();
            return Ok(0);
        }
        let freed = self.sweep_locked(cap);
        let _ = lock.lock_shared();
        freed
    }

    fn sweep_locked(&self, cap: u64) -> Result<u64> {
        let mut freed = 0;
        let mut blobs = Vec::new();
        for entry in entries(&self.directory().join("blobs/sha256")) {
            if entry.is_draft {
                freed += remove(&entry)?;
            } else if !entry.is_linked {
                blobs.push(entry);
            }
        }
        blobs.sort_by_key(|blob| blob.used);
        let mut size: u64 = blobs.iter().map(|blob| blob.size).sum();
        for blob in &blobs {
            if size <= cap {
                break;
            }
            size -= blob.size;
            freed += remove(blob)?;
        }
        for kind in std::fs::read_dir(self.directory().join("notes"))
            .into_iter()
            .flatten()
            .flatten()
        {
            for note in entries(&kind.path())
                .filter(|note| note.is_draft || note.used.elapsed().is_ok_and(|age| age > OLD_NOTE))
            {
                freed += remove(&note)?;
            }
        }
        Ok(freed)
    }

    /// Takes the shared lock that prevents other processes from sweeping. `None` when the cache is not writable.
    fn acquire_lock(&self) -> Option<&File> {
        let open_locked = || {
            std::fs::create_dir_all(self.directory()).ok()?;
            let file = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(self.directory().join("used.lock"))
                .ok()?;
            file.lock_shared().ok()?;
            Some(file)
        };
        self.lock.get_or_init(open_locked).as_ref()
    }

    fn note_path(&self, kind: &str, name: &str) -> PathBuf {
        self.directory().join("notes").join(kind).join(name)
    }
}

/// A file of the cache.
struct CacheEntry {
    path: PathBuf,
    size: u64,
    used: SystemTime,
    is_draft: bool,
    /// Whether an image layout has a hard link to it: removing it would free nothing.
    is_linked: bool,
}

fn entries(directory: &Path) -> impl Iterator<Item = CacheEntry> + use<> {
    std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let data = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
            Some(CacheEntry {
                path: entry.path(),
                size: data.len(),
                used: data.modified().ok()?,
                is_draft: entry.file_name().as_encoded_bytes().starts_with(b".union-"),
                is_linked: links(&data) > 1,
            })
        })
}

fn remove(entry: &CacheEntry) -> Result<u64> {
    match std::fs::remove_file(&entry.path) {
        Ok(()) => Ok(entry.size),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(cause) => Err(fs::unwritable(&entry.path, cause)),
    }
}

#[cfg(unix)]
fn links(data: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(data)
}

#[cfg(unix)]
fn inode(data: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(data)
}

#[cfg(not(unix))]
fn inode(_: &std::fs::Metadata) -> u64 {
    0
}

#[cfg(not(unix))]
fn links(_: &std::fs::Metadata) -> u64 {
    1
}

#[cfg(test)]
mod tests;
