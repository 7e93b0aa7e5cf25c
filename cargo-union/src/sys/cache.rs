//! The user's cache of blobs and of packed layers, shared by all workspaces and processes.
//!
//! `$UNION_CACHE_DIR`, else `$XDG_CACHE_HOME/cargo-union`, else `~/.cache/cargo-union`; where none of the last
//! two is known or can be written, a folder below the workspace's target folder:
//! `blobs/sha256/<hex>` holds blobs by digest, `notes/<kind>/<name>` what was learned about
//! them, with a hash before it. Every entry is put in place whole by one rename, so several processes may share it; a
//! missing or removed entry only costs time.
//!
//! Whoever takes a path of a blob may open it until the process ends: a process that uses blobs holds
//! a shared lock, and [`Cache::sweep`] removes nothing while another process holds one.

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

/// The size that the cache is swept down to when the user names no other.
pub const DEFAULT_CAP: u64 = 10_000_000_000;

/// The length of the hash before each note, by which a note that was damaged is known.
const HASH: usize = 64;
/// A blob that was used so recently is not marked again.
const RECENT: Duration = Duration::from_secs(3600);
/// Where the hashes of files are. Raise the number when what is kept of a file changes.
const FILES: &str = "notes/files-1";
/// Notes that are older are forgotten: what they tell can be learned again.
const OLD_NOTE: Duration = Duration::from_secs(90 * 24 * 3600);

/// The cache's folder.
#[derive(Clone, Debug)]
pub struct Cache {
    /// Where it is to be; `None` when nothing says so.
    wanted: Option<PathBuf>,
    /// Whether the user named it, so that no other folder stands in for it.
    is_named: bool,
    /// Where it is.
    folder: Arc<OnceLock<PathBuf>>,
    /// The lock of this process, once it uses blobs; `None` where no lock can be had.
    used: Arc<OnceLock<Option<File>>>,
    /// What large files of the user's hold.
    files: Arc<OnceLock<StatCache>>,
    /// Whether nothing is taken from an earlier process.
    rehashes: bool,
    /// The blobs that this process has written or read to their ends.
    checked: Arc<Mutex<HashSet<Digest>>>,
}

/// The kind of notes on blobs whose bytes were read.
const CHECKED: &str = "checked-1";

/// By what a file is known to be the one that was read.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct RememberedFiles {
    size: u64,
    modified: Duration,
    inode: u64,
    /// The run of the machine: what it had not yet written when power was lost is not there in the next one.
    boot: String,
}

impl RememberedFiles {
    /// `None` where the runs of the machine cannot be told apart.
    fn of(path: &Path) -> Option<Self> {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let data = path.metadata().ok()?;
        let modified = data.modified().ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(Self { size: data.len(), modified, inode: inode(&data), boot: boot.trim().to_owned() })
    }
}

impl Cache {
    /// A cache in a folder, which is made when something is put into it.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            wanted: Some(folder.into()),
            is_named: true,
            folder: Arc::default(),
            used: Arc::default(),
            files: Arc::default(),
            rehashes: false,
            checked: Arc::default(),
        }
    }

    /// The same cache, which takes no file's hash from an earlier process.
    #[must_use]
    pub fn rehashing(self) -> Self {
        Self { files: Arc::default(), rehashes: true, ..self }
    }

    /// Size and hash of a file's content. A large one is read only when it may have changed since an earlier run.
    ///
    /// # Errors
    /// `FileUnreadable`.
    pub fn measure(&self, path: &Path) -> Result<FileDigest> {
        self.files().measure(path)
    }

    /// Keeps what was learned of files for the next run.
    pub fn keep_measured(&self) {
        self.files().save();
    }

    fn files(&self) -> &StatCache {
        self.files.get_or_init(|| {
            let files = StatCache::new(self.folder().join(FILES));
            if self.rehashes { files.distrusting() } else { files }
        })
    }

    /// A cache at its usual place, when there is one; [`settle`](Self::settle) finds out whether it can be used.
    pub fn usual(folder: Option<PathBuf>) -> Self {
        Self {
            wanted: folder,
            is_named: false,
            folder: Arc::default(),
            used: Arc::default(),
            files: Arc::default(),
            rehashes: false,
            checked: Arc::default(),
        }
    }

    /// Lets another folder stand in for a usual one that is not known or cannot be written, and says why.
    /// A full disk is no reason: another folder would fill it as well.
    pub fn settle(&self, otherwise: &Path) -> Option<String> {
        if self.is_named || self.folder.get().is_some() {
            return None;
        }
        let why = match &self.wanted {
            None => "could not determine the cache directory: HOME is not set".to_owned(),
            Some(folder) => {
                let written = std::fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder));
                let cause = written.err().filter(|cause| !fs::is_full(cause))?;
                format!("the cache `{}` cannot be written: {cause}", folder.display())
            }
        };
        let settled = self.folder.set(otherwise.to_owned()).is_ok();
        settled
            .then(|| format!("{why}; using `{}`. Set UNION_CACHE_DIR to a folder that can be written and that stays.", otherwise.display()))
    }

    /// Where a blob is or would be.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.folder().join("blobs/sha256").join(digest.hex())
    }

    /// A blob's path, when it is there.
    pub fn blob(&self, digest: &Digest) -> Option<PathBuf> {
        self.hold();
        let path = self.blob_path(digest);
        let file = File::open(&path).ok()?;
        let used = file.metadata().ok().filter(|data| data.is_file())?.modified().ok()?;
        if used.elapsed().is_ok_and(|age| age > RECENT) {
            // The time of change is the time of use: content by digest never changes.
            let _ = file.set_times(FileTimes::new().set_modified(SystemTime::now()));
        }
        Some(path)
    }

    /// A blob's path, when it is there and has its digest. One that was truncated or changed, as after a loss of power, is
    /// removed, so that it is made or fetched again. Its bytes are read once: as long as the file and the run of the
    /// machine are the same, they stay as they were.
    pub fn verified_blob(&self, digest: &Digest) -> Option<PathBuf> {
        let path = self.blob(digest)?;
        if self.checked.lock().unwrap_or_else(PoisonError::into_inner).contains(digest) {
            return Some(path);
        }
        let seen = RememberedFiles::of(&path);
        if seen.is_none() || self.note(CHECKED, &digest.hex()) != seen {
            if fs::measure(&path).is_ok_and(|measured| Digest::from_hash(measured.hash) != *digest) {
                let _ = fs::remove(&path);
                return None;
            }
            if let Some(seen) = &seen {
                let _ = self.put_note(CHECKED, &digest.hex(), seen);
            }
        }
        self.checked.lock().unwrap_or_else(PoisonError::into_inner).insert(*digest);
        Some(path)
    }

    /// A file to write a new blob into; [`keep`](Self::keep) gives it its name.
    ///
    /// # Errors
    /// `FileUnwritable`, `DiskFull`.
    pub fn draft(&self) -> Result<AtomicFile> {
        self.hold();
        AtomicFile::beside(&self.folder().join("blobs/sha256/draft"))
    }

    /// Puts a blob whose digest was computed while it was written into its place.
    ///
    /// # Errors
    /// `FileUnwritable`, `DiskFull`.
    pub fn keep(&self, draft: AtomicFile, digest: &Digest) -> Result<PathBuf> {
        let path = self.blob_path(digest);
        draft.keep(&path)?;
        self.checked.lock().unwrap_or_else(PoisonError::into_inner).insert(*digest);
        Ok(path)
    }

    /// What was learned about something; `None` when nothing was, or it cannot be read.
    pub fn note<T: DeserializeOwned>(&self, kind: &str, name: &str) -> Option<T> {
        let note = std::fs::read(self.note_path(kind, name)).ok()?;
        let (hash, json) = note.split_at_checked(HASH)?;
        if Digest::of(json).hex().as_bytes() != hash {
            return None;
        }
        serde_json::from_slice(json).ok()
    }

    /// Keeps what was learned about something.
    ///
    /// # Errors
    /// `FileUnwritable`, `DiskFull`.
    pub fn put_note<T: Serialize>(&self, kind: &str, name: &str, note: &T) -> Result<()> {
        let json = serde_json::to_vec(note).expect("notes are plain values, which always serialize");
        fs::replace(&self.note_path(kind, name), &[Digest::of(&json).hex().as_bytes(), &json].concat())
    }

    /// The cache's folder.
    pub fn folder(&self) -> &Path {
        self.folder.get_or_init(|| self.wanted.clone().unwrap_or_else(|| PathBuf::from("target/union/cache")))
    }

    /// Removes the blobs that were not used for the longest time until the rest has at most `cap` bytes,
    /// and what interrupted processes have left behind. Does nothing while another process uses the
    /// cache. Call it at the end, when no path of a blob is needed any more. Returns the bytes that became free.
    ///
    /// # Errors
    /// `FileUnwritable`.
    pub fn sweep(&self, cap: u64) -> Result<u64> {
        let Some(lock) = self.hold() else { return Ok(0) };
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
        for entry in entries(&self.folder().join("blobs/sha256")) {
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
        for kind in std::fs::read_dir(self.folder().join("notes")).into_iter().flatten().flatten() {
            for note in entries(&kind.path()).filter(|note| note.is_draft || note.used.elapsed().is_ok_and(|age| age > OLD_NOTE)) {
                freed += remove(&note)?;
            }
        }
        Ok(freed)
    }

    /// Keeps other processes from sweeping as long as this one runs. A cache that cannot be written is not swept either.
    fn hold(&self) -> Option<&File> {
        let locked = || {
            std::fs::create_dir_all(self.folder()).ok()?;
            let file = File::options().create(true).truncate(false).write(true).open(self.folder().join("used.lock")).ok()?;
            file.lock_shared().ok()?;
            Some(file)
        };
        self.used.get_or_init(locked).as_ref()
    }

    fn note_path(&self, kind: &str, name: &str) -> PathBuf {
        self.folder().join("notes").join(kind).join(name)
    }
}

/// A file of the cache.
struct CacheEntry {
    path: PathBuf,
    size: u64,
    used: SystemTime,
    is_draft: bool,
    /// A layout holds the same bytes by a hard link: removing this name would free nothing.
    is_linked: bool,
}

fn entries(folder: &Path) -> impl Iterator<Item = CacheEntry> + use<> {
    std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| {
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
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// Puts a blob of ten bytes in, last used so many hours ago.
    fn put(cache: &Cache, text: &str, hours: u64) -> Digest {
        let mut draft = cache.draft().unwrap();
        let bytes = format!("{text:10}");
        draft.write_all(bytes.as_bytes()).unwrap();
        let digest = Digest::of(&bytes);
        let path = cache.keep(draft, &digest).unwrap();
        let used = SystemTime::now() - Duration::from_secs(hours * 3600);
        File::options().write(true).open(path).unwrap().set_modified(used).unwrap();
        digest
    }

    fn is_there(cache: &Cache, digest: &Digest) -> bool {
        cache.blob_path(digest).exists()
    }

    #[test]
    fn a_usual_folder_that_cannot_be_used_is_replaced_once_and_a_named_one_never() {
        let folder = tempfile::tempdir().unwrap();
        let (file, otherwise) = (folder.path().join("file"), folder.path().join("target/union/cache"));
        std::fs::write(&file, "").unwrap();
        for (usual, word) in [(None, "HOME"), (Some(file.join("cargo-union")), "cannot be written")] {
            let cache = Cache::usual(usual);
            let told = cache.settle(&otherwise).unwrap();
            assert!(told.contains(word) && told.contains("target/union/cache"), "{told}");
            assert_eq!((cache.folder(), cache.clone().settle(&otherwise)), (&*otherwise, None));
            let digest = put(&cache, "blob", 0);
            assert!(cache.blob(&digest).unwrap().starts_with(&otherwise));
        }
        let good = Cache::usual(Some(folder.path().join("good")));
        assert_eq!((good.settle(&otherwise), good.folder()), (None, &*folder.path().join("good")));
        let named = Cache::new(file.join("cargo-union"));
        assert_eq!((named.settle(&otherwise), named.draft().is_err()), (None, true));
    }

    #[test]
    fn the_blobs_unused_for_longest_go_first() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        let (old, older, oldest) = (put(&cache, "old", 2), put(&cache, "older", 3), put(&cache, "oldest", 4));
        assert_eq!(cache.sweep(30).unwrap(), 0);
        assert!(cache.blob(&oldest).is_some(), "and that was a use");
        assert_eq!(cache.sweep(25).unwrap(), 10);
        assert!(is_there(&cache, &oldest) && is_there(&cache, &old) && !is_there(&cache, &older));
        assert_eq!(cache.sweep(0).unwrap(), 20);
    }

    #[test]
    fn nothing_goes_while_another_process_uses_the_cache() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, other) = (Cache::new(folder.path()), Cache::new(folder.path()));
        let digest = put(&cache, "blob", 9);
        assert!(other.blob(&digest).is_some());
        assert_eq!(cache.sweep(0).unwrap(), 0);
        drop(other);
        assert_eq!(cache.sweep(0).unwrap(), 10);
    }

    #[test]
    fn a_blob_that_a_layout_holds_stays_and_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        let (linked, alone) = (put(&cache, "linked", 9), put(&cache, "alone", 1));
        std::fs::hard_link(cache.blob_path(&linked), folder.path().join("layout")).unwrap();
        assert_eq!(cache.sweep(10).unwrap(), 0);
        assert!(is_there(&cache, &linked) && is_there(&cache, &alone));
    }

    #[test]
    fn what_an_interrupted_process_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        let digest = put(&cache, "blob", 0);
        let left = folder.path().join("blobs/sha256/.union-left");
        std::fs::write(&left, "half").unwrap();
        assert_eq!(cache.sweep(DEFAULT_CAP).unwrap(), 4);
        assert!(!left.exists() && is_there(&cache, &digest));
    }

    #[test]
    fn a_damaged_blob_is_removed_and_a_whole_one_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let digest = put(&Cache::new(folder.path()), "blob", 0);
        let path = Cache::new(folder.path()).blob_path(&digest);
        for _ in 0..2 {
            assert_eq!(Cache::new(folder.path()).verified_blob(&digest).as_ref(), Some(&path));
        }
        for bytes in [&b"blo"[..], b"", b"BLOB      ", b"blob       and more"] {
            std::fs::write(&path, bytes).unwrap();
            let cache = Cache::new(folder.path());
            assert_eq!(cache.verified_blob(&digest), None);
            assert!(!path.exists());
            put(&cache, "blob", 0);
            assert_eq!(cache.verified_blob(&digest).as_ref(), Some(&path), "it was put there again");
        }
    }

    #[test]
    fn a_damaged_note_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        cache.put_note("layers", "one", &1234).unwrap();
        let path = folder.path().join("notes/layers/one");
        let whole = std::fs::read(&path).unwrap();
        for damaged in [&whole[..whole.len() - 1], &whole[..10], b"", b"1234", &[&whole[..whole.len() - 1], b"5"].concat()] {
            std::fs::write(&path, damaged).unwrap();
            assert_eq!(cache.note::<u32>("layers", "one"), None);
        }
        std::fs::write(&path, whole).unwrap();
        assert_eq!(cache.note::<u32>("layers", "one"), Some(1234));
    }

    #[test]
    fn old_notes_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        cache.put_note("layers", "new", &1).unwrap();
        cache.put_note("layers", "old", &2).unwrap();
        let old = File::options().write(true).open(folder.path().join("notes/layers/old")).unwrap();
        old.set_modified(SystemTime::now() - OLD_NOTE * 2).unwrap();
        cache.sweep(DEFAULT_CAP).unwrap();
        assert_eq!((cache.note::<u32>("layers", "new"), cache.note::<u32>("layers", "old")), (Some(1), None));
    }
}
