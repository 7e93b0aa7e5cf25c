//! The door to files: whole or not at all, and errors that name the path.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use sha2::{Digest as _, Sha256};
use union_build::diag::Code;

use super::error::{Error, Result};

/// Reads a whole file.
///
/// # Errors
/// `FileUnreadable`.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|cause| unreadable(path, cause))
}

/// Reads a whole file as UTF-8.
///
/// # Errors
/// `FileUnreadable`.
pub fn read_to_string(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|cause| unreadable(path, cause))
}

/// Reads a whole file as UTF-8; `None` when it does not exist.
///
/// # Errors
/// `FileUnreadable`.
pub fn read_if_exists(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        // Below a file nothing exists: `HOME=/dev/null` is a home without files.
        Err(cause) if matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(cause) => Err(unreadable(path, cause)),
    }
}

/// Size and sha256 of a file's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileDigest {
    /// Number of bytes.
    pub size: u64,
    /// sha256 of the bytes.
    pub hash: [u8; 32],
}

/// Reads a file to its end for its size and hash; it is never in memory as a whole.
///
/// # Errors
/// `FileUnreadable`.
pub fn measure(path: &Path) -> Result<FileDigest> {
    let measured = || -> io::Result<FileDigest> {
        let mut file = File::open(path)?;
        let (mut hash, mut size, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 16]);
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(FileDigest { size, hash: hash.finalize().into() }),
                count => {
                    hash.update(&buffer[..count]);
                    size += count as u64;
                }
            }
        }
    };
    measured().map_err(|cause| unreadable(path, cause))
}

/// Makes a folder and its parents.
///
/// # Errors
/// `FileUnwritable`, `DiskFull`.
pub fn create_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|cause| unwritable(path, cause))
}

/// Puts a whole file in place of another in one step: a reader sees the old bytes or the new ones.
///
/// # Errors
/// `FileUnwritable`, `DiskFull`; the old file is then untouched.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = AtomicFile::beside(path)?;
    file.write_all(bytes).map_err(|cause| unwritable(path, cause))?;
    file.keep(path)
}

/// Like [`replace`], for what only the user may read.
///
/// # Errors
/// `FileUnwritable`, `DiskFull`; the old file is then untouched.
pub fn replace_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = AtomicFile::beside(path)?;
    file.write_all(bytes).map_err(|cause| unwritable(path, cause))?;
    // A draft is made for its owner alone.
    file.file.persist(path).map(drop).map_err(|failed| unwritable(path, failed.error))
}

/// Removes a file. One that is not there is what is wanted. Says whether there was one.
///
/// # Errors
/// `FileUnwritable`.
pub fn remove(path: &Path) -> Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(cause) => Err(unwritable(path, cause)),
    }
}

/// Like [`replace`], but a file that has these bytes keeps its modification time. Says whether it wrote.
///
/// # Errors
/// `FileUnwritable`, `DiskFull`.
pub fn replace_if_different(path: &Path, bytes: &[u8]) -> Result<bool> {
    if fs::read(path).is_ok_and(|before| before == bytes) {
        return Ok(false);
    }
    replace(path, bytes).map(|()| true)
}

/// Holds all of a stream for as long as it is looked at, in any order: in memory when it is small, else
/// in a nameless file of a folder. Libraries have hundreds of megabytes.
///
/// # Errors
/// When the stream cannot be read, or the folder's disk is full.
pub fn spool_to_tempfile(mut stream: impl io::Read, folder: &Path) -> io::Result<impl io::Read + io::Seek> {
    const IN_MEMORY: usize = 4 << 20;
    let mut held = tempfile::spooled_tempfile_in(IN_MEMORY, folder);
    io::copy(&mut stream, &mut held)?;
    Ok(held)
}

/// A file without a name that is given one when it is whole, and vanishes otherwise.
#[derive(Debug)]
pub struct AtomicFile {
    file: tempfile::NamedTempFile,
}

impl AtomicFile {
    /// Opens a draft in a path's folder, which is made when it is absent.
    ///
    /// # Errors
    /// `FileUnwritable`, `DiskFull`.
    pub fn beside(path: &Path) -> Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        create_folder(folder)?;
        let file = tempfile::Builder::new().prefix(".union-").tempfile_in(folder).map_err(|cause| unwritable(folder, cause))?;
        Ok(Self { file })
    }

    /// The draft's own path while it is written.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// The open file.
    pub fn as_file(&self) -> &File {
        self.file.as_file()
    }

    /// Gives it its name, with the permissions of an ordinary file.
    ///
    /// # Errors
    /// `FileUnwritable`, `DiskFull`.
    pub fn keep(self, path: &Path) -> Result<()> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let permissions = fs::Permissions::from_mode(0o644);
            self.file.as_file().set_permissions(permissions).map_err(|cause| unwritable(path, cause))?;
        }
        self.file.persist(path).map(drop).map_err(|failed| unwritable(path, failed.error))
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A folder without a name that is given one when all is in it, and vanishes otherwise.
#[derive(Debug)]
pub struct AtomicDir {
    folder: tempfile::TempDir,
}

impl AtomicDir {
    /// An empty folder beside a path.
    ///
    /// # Errors
    /// `FileUnwritable`, `DiskFull`.
    pub fn beside(path: &Path) -> Result<Self> {
        let folder = path.parent().unwrap_or(Path::new("."));
        create_folder(folder)?;
        let folder = tempfile::Builder::new().prefix(".union-").tempdir_in(folder).map_err(|cause| unwritable(folder, cause))?;
        Ok(Self { folder })
    }

    /// The folder's own path while it is filled.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Gives it its name, in place of a folder that has it now. One with nothing in it vanishes, and
    /// so does the other.
    ///
    /// # Errors
    /// `FileUnwritable`.
    pub fn keep(self, path: &Path) -> Result<()> {
        match fs::remove_dir_all(path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(unwritable(path, cause)),
            _ => {}
        }
        let is_empty = fs::read_dir(self.path()).map_err(|cause| unreadable(self.path(), cause))?.next().is_none();
        if is_empty {
            return Ok(());
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(self.path(), fs::Permissions::from_mode(0o755)).map_err(|cause| unwritable(path, cause))?;
        }
        fs::rename(self.path(), path).map_err(|cause| unwritable(path, cause))?;
        // What it was called before is gone.
        let _ = self.folder.keep();
        Ok(())
    }
}

/// The error of a file that cannot be read.
pub fn unreadable(path: &Path, cause: io::Error) -> Error {
    Error::new(Code::FileUnreadable, format!("could not read `{}`", path.display())).because(cause)
}

/// The error of a file or folder that cannot be written; a full disk has a code of its own.
pub fn unwritable(path: &Path, cause: io::Error) -> Error {
    let code = if is_full(&cause) { Code::DiskFull } else { Code::FileUnwritable };
    Error::new(code, format!("could not write `{}`", path.display())).because(cause)
}

/// Whether a disk is full, or what a user may have of it.
pub fn is_full(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// An exclusive lock on a file, released when it is dropped or the process ends.
#[derive(Debug)]
pub struct FileLock(#[allow(dead_code, reason = "held, not read")] File);

impl FileLock {
    /// Waits for the lock; `waiting` is called once when somebody else holds it. Where the file system has
    /// no locks it goes on without one, as cargo does.
    ///
    /// # Errors
    /// `FileUnwritable`.
    pub fn exclusive(path: &Path, waiting: impl FnOnce()) -> Result<Self> {
        let file = open_lock(path)?;
        let locked = match file.try_lock() {
            Ok(()) => Ok(()),
            Err(TryLockError::Error(cause)) => Err(cause),
            Err(TryLockError::WouldBlock) => {
                waiting();
                file.lock()
            }
        };
        match locked {
            Err(cause) if !has_no_locks(&cause) => Err(unwritable(path, cause)),
            _ => Ok(Self(file)),
        }
    }
}

impl FileLock {
    /// The lock, if nobody else holds it.
    ///
    /// # Errors
    /// `FileUnwritable`, also where the file system has no locks.
    pub fn available(path: &Path) -> Result<Option<Self>> {
        let file = open_lock(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(cause)) => Err(unwritable(path, cause)),
        }
    }
}

/// Whether a file system has no locks: some network and user space file systems do not, nor does NFS without
/// its lock server.
fn has_no_locks(cause: &io::Error) -> bool {
    let without = [Errno::NOSYS, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOLCK];
    cause.kind() == io::ErrorKind::Unsupported || Errno::from_io_error(cause).is_some_and(|errno| without.contains(&errno))
}

fn open_lock(path: &Path) -> Result<File> {
    create_folder(path.parent().unwrap_or(Path::new(".")))?;
    File::options().create(true).truncate(false).write(true).open(path).map_err(|cause| unwritable(path, cause))
}

/// An absolute path without `.` and `..`, not following links; relative ones start from `folder`.
pub fn absolute(folder: &Path, path: &Path) -> PathBuf {
    let mut result = PathBuf::new();
    for part in folder.join(path).components() {
        match part {
            std::path::Component::ParentDir => drop(result.pop()),
            std::path::Component::CurDir => {}
            other => result.push(other),
        }
    }
    result
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_without_locks_is_told_from_a_failure() {
        for errno in [Errno::NOSYS, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOLCK] {
            assert!(has_no_locks(&errno.into()), "{errno:?}");
        }
        for errno in [Errno::INTR, Errno::BADF, Errno::ACCESS, Errno::IO] {
            assert!(!has_no_locks(&errno.into()), "{errno:?}");
        }
    }

    #[test]
    fn a_lock_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/lock");
        let held = FileLock::exclusive(&path, || panic!("nobody holds it")).unwrap();
        let (told, waiting) = std::sync::mpsc::channel();
        let other = std::thread::spawn(move || FileLock::exclusive(&path, || told.send(()).unwrap()).unwrap());
        waiting.recv().unwrap();
        drop(held);
        other.join().unwrap();
    }
}
