//! File access: atomic writes, locks, and errors that name the path.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

#[cfg(unix)]
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
        // A path below a file does not exist either, as with `HOME=/dev/null`.
        Err(cause)
            if matches!(
                cause.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(cause) => Err(unreadable(path, cause)),
    }
}

/// Size and sha256 of a file's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileDigest {
    /// Size in bytes.
    pub size: u64,
    /// sha256 of the bytes.
    pub hash: [u8; 32],
}

/// Computes the size and hash of a file, without loading all of it into memory.
///
/// # Errors
/// `FileUnreadable`.
pub fn measure(path: &Path) -> Result<FileDigest> {
    let read = || -> io::Result<FileDigest> {
        let mut file = File::open(path)?;
        let mut hash = Sha256::new();
        let mut size = 0;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match file.read(&mut buffer)? {
                0 => {
                    return Ok(FileDigest {
                        size,
                        hash: hash.finalize().into(),
                    });
                }
                count => {
                    hash.update(&buffer[..count]);
                    size += count as u64;
                }
            }
        }
    };
    read().map_err(|cause| unreadable(path, cause))
}

/// Creates a directory and its parents.
///
/// # Errors
/// `FileUnwritable`, `DiskFull`.
pub fn create_directory(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|cause| unwritable(path, cause))
}

/// Replaces a file atomically: a reader sees either the old or the new content.
///
/// # Errors
/// `FileUnwritable`, `DiskFull`; the old file is then untouched.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = AtomicFile::create_beside(path)?;
    file.write_all(bytes)
        .map_err(|cause| unwritable(path, cause))?;
    file.keep(path)
}

/// Like [`replace`], with read permission for the user only.
///
/// # Errors
/// `FileUnwritable`, `DiskFull`; the old file is then untouched.
pub fn replace_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = AtomicFile::create_beside(path)?;
    file.write_all(bytes)
        .map_err(|cause| unwritable(path, cause))?;
    // A temporary file is created with mode 0600.
    file.file
        .persist(path)
        .map(drop)
        .map_err(|failed| unwritable(path, failed.error))
}

/// Removes a file if it exists. Returns whether it existed.
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

/// Removes a directory with everything in it, if it exists.
///
/// # Errors
/// `FileUnwritable`.
pub fn remove_directory(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(unwritable(path, cause)),
        _ => Ok(()),
    }
}

/// Like [`replace`], but leaves a file with the same content untouched. Returns whether it wrote.
///
/// # Errors
/// `FileUnwritable`, `DiskFull`.
pub fn replace_if_different(path: &Path, bytes: &[u8]) -> Result<bool> {
    if fs::read(path).is_ok_and(|before| before == bytes) {
        return Ok(false);
    }
    replace(path, bytes).map(|()| true)
}

/// Copies a file with its permissions. `start` replaces its first bytes, `end` follows its last one.
///
/// # Errors
/// `FileUnreadable`, `FileUnwritable`.
pub fn copy_with(from: &Path, to: &Path, start: &[u8], end: &[u8]) -> Result<()> {
    let copy = AtomicFile::create_beside(to)?;
    // `std::fs::copy` copies in the kernel, which may share blocks between the files.
    std::fs::copy(from, copy.path()).map_err(|cause| unwritable(copy.path(), cause))?;
    let write = || {
        let mut file = copy.as_file();
        file.seek(SeekFrom::Start(0))?;
        file.write_all(start)?;
        file.seek(SeekFrom::End(0))?;
        file.write_all(end)
    };
    write().map_err(|cause| unwritable(copy.path(), cause))?;
    let metadata = fs::metadata(from).map_err(|cause| unreadable(from, cause))?;
    copy.keep_with(metadata.permissions(), to)
}

/// Copies a stream for random access: into memory when it is small, else into an unnamed temporary file in a directory,
/// since libraries may have hundreds of megabytes.
///
/// # Errors
/// When the stream cannot be read or the disk is full.
pub fn spool_to_tempfile(
    mut stream: impl io::Read,
    directory: &Path,
) -> io::Result<impl io::Read + io::Seek> {
    const IN_MEMORY: usize = 4 << 20;
    let mut spooled = tempfile::spooled_tempfile_in(IN_MEMORY, directory);
    io::copy(&mut stream, &mut spooled)?;
    Ok(spooled)
}

/// A temporary file that is moved to its path when it is complete, and removed otherwise.
#[derive(Debug)]
pub struct AtomicFile {
    file: tempfile::NamedTempFile,
}

impl AtomicFile {
    /// Creates a temporary file in the directory of a path, which is created if needed.
    ///
    /// # Errors
    /// `FileUnwritable`, `DiskFull`.
    pub fn create_beside(path: &Path) -> Result<Self> {
        let directory = path
            .parent()
            .filter(|directory| !directory.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        create_directory(directory)?;
        let file = tempfile::Builder::new()
            .prefix(".union-")
            .tempfile_in(directory)
            .map_err(|cause| unwritable(directory, cause))?;
        Ok(Self { file })
    }

    /// The path of the temporary file.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// The open temporary file.
    pub fn as_file(&self) -> &File {
        self.file.as_file()
    }

    /// Moves the file to its path, with mode 0644.
    ///
    /// # Errors
    /// `FileUnwritable`, `DiskFull`.
    pub fn keep(self, path: &Path) -> Result<()> {
        self.make_readable(path)?;
        self.persist(path)
    }

    /// Moves the file to its path, with these permissions.
    fn keep_with(self, permissions: fs::Permissions, path: &Path) -> Result<()> {
        self.file
            .as_file()
            .set_permissions(permissions)
            .map_err(|cause| unwritable(path, cause))?;
        self.persist(path)
    }

    fn persist(self, path: &Path) -> Result<()> {
        self.file
            .persist(path)
            .map(drop)
            .map_err(|failed| unwritable(path, failed.error))
    }

    /// Like [`Self::keep`], but fails if the path exists.
    ///
    /// # Errors
    /// `FileUnwritable`, also when the path exists; `DiskFull`.
    pub fn keep_new(self, path: &Path) -> Result<()> {
        self.make_readable(path)?;
        self.file
            .persist_noclobber(path)
            .map(drop)
            .map_err(|failed| unwritable(path, failed.error))
    }

    fn make_readable(&self, path: &Path) -> Result<()> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let permissions = fs::Permissions::from_mode(0o644);
            self.file
                .as_file()
                .set_permissions(permissions)
                .map_err(|cause| unwritable(path, cause))?;
        }
        #[cfg(not(unix))]
        let _ = path;
        Ok(())
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

/// A temporary directory that is moved to its path when it is complete, and removed otherwise.
#[derive(Debug)]
pub struct AtomicDir {
    directory: tempfile::TempDir,
}

impl AtomicDir {
    /// Creates an empty temporary directory beside a path.
    ///
    /// # Errors
    /// `FileUnwritable`, `DiskFull`.
    pub fn create_beside(path: &Path) -> Result<Self> {
        let directory = path.parent().unwrap_or(Path::new("."));
        create_directory(directory)?;
        let directory = tempfile::Builder::new()
            .prefix(".union-")
            .tempdir_in(directory)
            .map_err(|cause| unwritable(directory, cause))?;
        Ok(Self { directory })
    }

    /// The path of the temporary directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Moves the directory to its path and removes a directory that is there, which stays if the new one cannot be moved.
    /// An empty directory is removed instead of moved.
    ///
    /// # Errors
    /// `FileUnwritable`.
    pub fn keep(self, path: &Path) -> Result<()> {
        let is_empty = fs::read_dir(self.path())
            .map_err(|cause| unreadable(self.path(), cause))?
            .next()
            .is_none();
        if is_empty {
            return remove_directory(path);
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(self.path(), fs::Permissions::from_mode(0o755))
                .map_err(|cause| unwritable(path, cause))?;
        }
        // The old directory is in a temporary one, which is removed at the end, until the new one is in its place.
        let aside = Self::create_beside(path)?;
        let old = aside.path().join("old");
        let has_old = match fs::rename(path, &old) {
            Ok(()) => true,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => false,
            Err(cause) => return Err(unwritable(path, cause)),
        };
        if let Err(cause) = fs::rename(self.path(), path) {
            if has_old {
                let _ = fs::rename(&old, path);
            }
            return Err(unwritable(path, cause));
        }
        // It has been moved, so there is nothing to remove.
        let _ = self.directory.keep();
        Ok(())
    }
}

/// The error for a file that cannot be read: `FileUnreadable`.
pub fn unreadable(path: &Path, cause: io::Error) -> Error {
    Error::new(
        Code::FileUnreadable,
        format!("could not read `{}`", path.display()),
    )
    .because(cause)
}

/// The error for a file or directory that cannot be written: `DiskFull` or `FileUnwritable`.
pub fn unwritable(path: &Path, cause: io::Error) -> Error {
    let code = if is_full(&cause) {
        Code::DiskFull
    } else {
        Code::FileUnwritable
    };
    Error::new(code, format!("could not write `{}`", path.display())).because(cause)
}

/// Whether the disk is full or the user's quota is exceeded.
pub fn is_full(cause: &io::Error) -> bool {
    matches!(
        cause.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// An exclusive lock on a file, released when it is dropped or the process ends.
#[derive(Debug)]
pub struct FileLock(#[allow(dead_code, reason = "held, not read")] File);

impl FileLock {
    /// Waits for the lock; `waiting` is called once when another process holds it. On file systems without locks it
    /// succeeds without a lock, as cargo does.
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
            Err(cause) if !is_lock_unsupported(&cause) => Err(unwritable(path, cause)),
            _ => Ok(Self(file)),
        }
    }
}

impl FileLock {
    /// Takes the lock, if no other process holds it.
    ///
    /// # Errors
    /// `FileUnwritable`, also on file systems without locks.
    pub fn available(path: &Path) -> Result<Option<Self>> {
        let file = open_lock(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(cause)) => Err(unwritable(path, cause)),
        }
    }
}

/// Whether a file system does not support locks, as some network and FUSE file systems, and NFS without a lock server.
#[cfg(unix)]
fn is_lock_unsupported(cause: &io::Error) -> bool {
    let unsupported = [Errno::NOSYS, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOLCK];
    cause.kind() == io::ErrorKind::Unsupported
        || Errno::from_io_error(cause).is_some_and(|errno| unsupported.contains(&errno))
}

#[cfg(windows)]
fn is_lock_unsupported(cause: &io::Error) -> bool {
    cause.kind() == io::ErrorKind::Unsupported
}

fn open_lock(path: &Path) -> Result<File> {
    create_directory(path.parent().unwrap_or(Path::new(".")))?;
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|cause| unwritable(path, cause))
}

/// Makes a path absolute and removes `.` and `..` without following symbolic links. A relative path is resolved from
/// `directory`.
pub fn absolute(directory: &Path, path: &Path) -> PathBuf {
    let mut result = PathBuf::new();
    for part in directory.join(path).components() {
        match part {
            std::path::Component::ParentDir => drop(result.pop()),
            std::path::Component::CurDir => {}
            other => result.push(other),
        }
    }
    result
}

#[cfg(test)]
mod tests;
