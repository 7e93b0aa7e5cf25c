//! Hashes of large files, remembered by what the file system says of them, as git's index does.
//!
//! A file that has the device, inode, size, modification time and change time that it had when it was hashed holds what
//! it held then. The change time cannot be set by a user, so a modification time that was set back hides nothing. A file
//! that had been changed just before it was hashed is not remembered: it could be changed once more within the same tick
//! of the file system's clock, and look the same.
//!
//! There is one file of entries per directory of hashed files. A missing, damaged or foreign one costs only time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::error::Result;
use super::fs::{self, FileDigest};
use crate::sys::digest::Digest;

/// Smaller files are hashed about as fast as they are looked up.
const WORTHWHILE: u64 = 1 << 15;

/// How many files of one directory are remembered. Those of the latest run come first.
const MOST: usize = 10_000;

/// The hashes of large files.
#[derive(Debug)]
pub struct StatCache {
    folder: PathBuf,
    /// Whether what earlier processes have remembered counts.
    trusts: bool,
    now: fn() -> SystemTime,
    directories: Mutex<BTreeMap<PathBuf, Directory>>,
}

/// What is known of the files of one directory.
#[derive(Debug, Default)]
struct Directory {
    entries: BTreeMap<String, Entry>,
    /// The names of the files that were asked for.
    used: BTreeSet<String>,
    has_news: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    stat: Stat,
    hash: [u8; 32],
}

/// What the file system says of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stat {
    device: u64,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds since 1970.
    modified: (i64, i64),
    changed: (i64, i64),
}

impl StatCache {
    /// A cache with its files in a folder, which is made when something is kept.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, trusts: true, now: SystemTime::now, directories: Mutex::default() }
    }

    /// One that takes nothing from earlier processes.
    #[must_use]
    pub fn distrusting(self) -> Self {
        Self { trusts: false, ..self }
    }

    /// Size and hash of a file's content, which is read only when it may have changed.
    ///
    /// # Errors
    /// `FileUnreadable`.
    pub fn measure(&self, path: &Path) -> Result<FileDigest> {
        let look = || std::fs::metadata(path).map(|data| Stat::of(&data)).map_err(|cause| fs::unreadable(path, cause));
        let Some(stat) = look()?.filter(|stat| stat.size >= WORTHWHILE) else { return fs::measure(path) };
        let (directory, name) = place(path);
        if let Some(hash) = self.directory(&directory).find(&name, &stat) {
            return Ok(FileDigest { size: stat.size, hash });
        }
        let now = (self.now)();
        let measured = fs::measure(path)?;
        if stat.is_settled(now) && look()? == Some(stat) && measured.size == stat.size {
            self.directory(&directory).put(name, Entry { stat, hash: measured.hash });
        }
        Ok(measured)
    }

    /// Keeps what was learned. When that fails, the files are read again next time.
    pub fn save(&self) {
        for (path, directory) in &mut *self.lock() {
            if std::mem::take(&mut directory.has_news) {
                // Another process may have learned of other files meanwhile.
                let others = self.load(path).into_iter().filter(|(name, _)| !directory.used.contains(name));
                let used = directory.entries.iter().filter(|(name, _)| directory.used.contains(*name));
                let kept: BTreeMap<String, Entry> =
                    used.map(|(name, entry)| (name.clone(), entry.clone())).chain(others).take(MOST).collect();
                let bytes = serde_json::to_vec(&kept).unwrap_or_default();
                let _ = fs::replace(&self.file(path), &bytes);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Directory>> {
        self.directories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn directory(&self, path: &Path) -> Locked<'_> {
        let mut directories = self.lock();
        if !directories.contains_key(path) {
            let entries = if self.trusts { self.load(path) } else { BTreeMap::new() };
            directories.insert(path.to_owned(), Directory { entries, ..Directory::default() });
        }
        Locked { directories, path: path.to_owned() }
    }

    fn load(&self, directory: &Path) -> BTreeMap<String, Entry> {
        std::fs::read(self.file(directory)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    fn file(&self, directory: &Path) -> PathBuf {
        self.folder.join(format!("{}.json", Digest::of(directory.as_os_str().as_encoded_bytes()).hex()))
    }
}

/// One directory, while nobody else looks.
struct Locked<'a> {
    directories: MutexGuard<'a, BTreeMap<PathBuf, Directory>>,
    path: PathBuf,
}

impl Locked<'_> {
    /// The hash of a file that looks as it did.
    fn find(&mut self, name: &str, stat: &Stat) -> Option<[u8; 32]> {
        let directory = self.directories.get_mut(&self.path)?;
        directory.used.insert(name.to_owned());
        directory.entries.get(name).filter(|entry| entry.stat == *stat).map(|entry| entry.hash)
    }

    fn put(&mut self, name: String, entry: Entry) {
        let directory = self.directories.entry(self.path.clone()).or_default();
        directory.entries.insert(name, entry);
        directory.has_news = true;
    }
}

/// A file's directory, and its name there. Two names that look the same are told apart by what the file system says.
fn place(path: &Path) -> (PathBuf, String) {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    (path.parent().unwrap_or(Path::new("")).to_owned(), name)
}

impl Stat {
    #[cfg(unix)]
    fn of(data: &std::fs::Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        Some(Self {
            device: data.dev(),
            inode: data.ino(),
            size: data.size(),
            modified: (data.mtime(), data.mtime_nsec()),
            changed: (data.ctime(), data.ctime_nsec()),
        })
    }

    /// Without inodes and times of change nothing is remembered.
    #[cfg(not(unix))]
    fn of(_: &std::fs::Metadata) -> Option<Self> {
        None
    }

    /// Whether the file's times were past already, so that a further change gives it other ones.
    fn is_settled(&self, now: SystemTime) -> bool {
        // File systems with whole seconds have times without nanoseconds; the coarsest counts in twos.
        let is_coarse = self.modified.1 == 0 && self.changed.1 == 0;
        let tick = if is_coarse { Duration::from_secs(2) } else { Duration::from_millis(100) };
        let Some(past) = now.duration_since(UNIX_EPOCH).ok().and_then(|now| now.checked_sub(tick)) else { return false };
        let past = (i64::try_from(past.as_secs()).unwrap_or(0), i64::from(past.subsec_nanos()));
        self.modified.max(self.changed) < past
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs::File;

    use super::*;

    struct Scene {
        folder: tempfile::TempDir,
    }

    impl Scene {
        fn new() -> Self {
            let scene = Self { folder: tempfile::tempdir().unwrap() };
            scene.write(b'a');
            scene
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("weights")
        }

        /// Other bytes of the same size, at another tick of the file system's clock.
        fn write(&self, byte: u8) {
            let stat = || std::fs::metadata(self.path()).ok().and_then(|data| Stat::of(&data));
            let before = stat();
            while stat() == before {
                std::fs::write(self.path(), vec![byte; 1 << 16]).unwrap();
            }
        }

        fn cache(&self) -> StatCache {
            StatCache { now: in_a_minute, ..StatCache::new(self.folder.path().join("cache")) }
        }

        /// The file of entries, with its hash replaced: what comes from it can be told.
        fn forge(&self) {
            let file = self.cache().file(self.folder.path());
            let mut entries = self.cache().load(self.folder.path());
            entries.get_mut("weights").unwrap().hash = FORGED;
            std::fs::write(file, serde_json::to_vec(&entries).unwrap()).unwrap();
        }
    }

    const FORGED: [u8; 32] = [7; 32];

    fn in_a_minute() -> SystemTime {
        SystemTime::now() + Duration::from_secs(60)
    }

    /// Measures with a cache of its own, as each run does.
    fn measured(scene: &Scene) -> FileDigest {
        let cache = scene.cache();
        let measured = cache.measure(&scene.path()).unwrap();
        cache.save();
        measured
    }

    #[test]
    fn a_file_that_nobody_changed_is_not_read_again() {
        let scene = Scene::new();
        assert_eq!(measured(&scene), fs::measure(&scene.path()).unwrap());
        scene.forge();
        assert_eq!(measured(&scene), FileDigest { size: 1 << 16, hash: FORGED });
    }

    #[test]
    fn a_modification_time_that_was_set_back_hides_no_change() {
        let scene = Scene::new();
        let modified = std::fs::metadata(scene.path()).unwrap().modified().unwrap();
        measured(&scene);
        scene.forge();
        scene.write(b'b');
        File::options().write(true).open(scene.path()).unwrap().set_modified(modified).unwrap();
        assert_eq!(measured(&scene), fs::measure(&scene.path()).unwrap());
    }

    #[test]
    fn another_file_of_the_same_name_size_and_modification_time_is_read() {
        let scene = Scene::new();
        let modified = std::fs::metadata(scene.path()).unwrap().modified().unwrap();
        measured(&scene);
        scene.forge();
        let other = scene.folder.path().join("other");
        std::fs::write(&other, vec![b'c'; 1 << 16]).unwrap();
        File::options().write(true).open(&other).unwrap().set_modified(modified).unwrap();
        std::fs::rename(other, scene.path()).unwrap();
        assert_eq!(measured(&scene), fs::measure(&scene.path()).unwrap());
    }

    #[test]
    fn a_file_that_was_changed_just_now_is_not_remembered() {
        let scene = Scene::new();
        let stat = Stat::of(&std::fs::metadata(scene.path()).unwrap()).unwrap();
        let at = |stat: &Stat, millis: u64| {
            let changed = Duration::new(stat.changed.0.try_into().unwrap(), stat.changed.1.try_into().unwrap());
            stat.is_settled(UNIX_EPOCH + changed + Duration::from_millis(millis))
        };
        let fine = Stat { modified: (stat.changed.0, 5), changed: (stat.changed.0, 5), ..stat };
        assert_eq!([at(&fine, 0), at(&fine, 99), at(&fine, 101)], [false, false, true]);
        let coarse = Stat { modified: (stat.changed.0, 0), changed: (stat.changed.0, 0), ..stat };
        assert_eq!([at(&coarse, 1000), at(&coarse, 1999), at(&coarse, 2001)], [false, false, true]);
        let of_tomorrow = Stat { modified: (stat.changed.0 + 86_400, 5), ..fine };
        assert!(!at(&of_tomorrow, 5000));
        let cache = StatCache { now: || UNIX_EPOCH, ..scene.cache() };
        cache.measure(&scene.path()).unwrap();
        cache.save();
        assert!(!cache.file(scene.folder.path()).exists());
    }

    #[test]
    fn a_damaged_file_of_entries_is_ignored_and_written_anew() {
        let scene = Scene::new();
        measured(&scene);
        let file = scene.cache().file(scene.folder.path());
        for damage in ["", "{", "[1, 2]", "{\"weights\": {\"stat\": 1}}"] {
            std::fs::write(&file, damage).unwrap();
            assert_eq!(measured(&scene), fs::measure(&scene.path()).unwrap(), "{damage}");
        }
        scene.forge();
        assert_eq!(measured(&scene).hash, FORGED);
    }

    #[test]
    fn whoever_distrusts_reads_everything_and_mends_what_was_wrong() {
        let scene = Scene::new();
        measured(&scene);
        scene.forge();
        let cache = scene.cache().distrusting();
        assert_eq!(cache.measure(&scene.path()).unwrap(), fs::measure(&scene.path()).unwrap());
        cache.save();
        assert_eq!(measured(&scene), fs::measure(&scene.path()).unwrap());
    }

    #[test]
    fn what_two_processes_learn_is_kept_of_both() {
        let scene = Scene::new();
        let other = scene.folder.path().join("other");
        std::fs::write(&other, vec![b'o'; 1 << 16]).unwrap();
        let (one, two) = (scene.cache(), scene.cache());
        one.measure(&scene.path()).unwrap();
        two.measure(&other).unwrap();
        one.save();
        two.save();
        assert_eq!(scene.cache().load(scene.folder.path()).len(), 2);
    }

    #[test]
    fn small_files_are_not_remembered() {
        let scene = Scene::new();
        std::fs::write(scene.path(), "small").unwrap();
        measured(&scene);
        assert!(!scene.folder.path().join("cache").exists());
    }
}
