//! Writes the resolved image references to the file that the crate's `build.rs` reads.
//!
//! The file's modification time changes only with its content, since cargo compiles the crate again when it changes. A
//! build that fails restores the previous file.

use std::fs::{self as std_fs, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{Reporter, Workspace};
use crate::sys::error::Result;
use crate::sys::fs::{self, FileLock};

/// The files with references of a build. A lock is held until this is dropped, so that no other run replaces them before
/// the executables are copied. Without [`commit`](Self::commit), dropping it restores the files.
#[derive(Debug)]
pub struct ReferencesFile {
    written: Vec<WrittenFile>,
    _lock: FileLock,
}

#[derive(Debug)]
struct WrittenFile {
    path: PathBuf,
    before: Option<(Vec<u8>, SystemTime)>,
}

impl ReferencesFile {
    /// Takes the lock of the target directory, waiting for other runs; writes nothing yet.
    ///
    /// # Errors
    /// `FileUnwritable`.
    pub fn begin(workspace: &Workspace, reporter: &dyn Reporter) -> Result<Self> {
        let path = workspace.target_directory.join("union/lock");
        let lock = FileLock::exclusive(&path, || reporter.waiting_for_lock(&path))?;
        Ok(Self {
            written: Vec::new(),
            _lock: lock,
        })
    }

    /// Writes one package's references.
    ///
    /// # Errors
    /// `FileUnreadable`, `FileUnwritable`, `DiskFull`.
    pub fn write(&mut self, path: &Path, bytes: &[u8]) -> Result<()> {
        let before = match std_fs::metadata(path) {
            Ok(file) => Some((
                fs::read(path)?,
                file.modified()
                    .map_err(|cause| fs::unreadable(path, cause))?,
            )),
            Err(_) => None,
        };
        if fs::replace_if_different(path, bytes)? {
            self.written.push(WrittenFile {
                path: path.to_owned(),
                before,
            });
        }
        Ok(())
    }

    /// Disables the restoring of the written files, because the crate was compiled with them.
    pub fn commit(&mut self) {
        self.written.clear();
    }
}

impl Drop for ReferencesFile {
    fn drop(&mut self) {
        for WrittenFile { path, before } in self.written.drain(..).rev() {
            // A failure has no consequence: the next run writes the file again.
            let _ = match before {
                Some((bytes, modified)) => fs::replace(&path, &bytes).map(|()| {
                    File::options()
                        .write(true)
                        .open(&path)
                        .and_then(|file| file.set_modified(modified))
                }),
                None => Ok(std_fs::remove_file(&path)),
            };
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use tempfile::TempDir;
    use union_build::diag::SourceFile;

    use super::super::Silent;
    use super::*;

    fn workspace() -> (TempDir, Workspace, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().to_owned();
        let target = root.join("target");
        let file = target.join("union/references/app-1.json");
        let workspace = Workspace {
            root_manifest: SourceFile::new(root.join("Cargo.toml"), ""),
            build_directory: target.clone(),
            output_directories: Vec::new(),
            target_directory: target,
            root,
            packages: Vec::new(),
            default_members: Vec::new(),
        };
        (directory, workspace, file)
    }

    fn age(file: &Path) -> SystemTime {
        let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        File::options()
            .write(true)
            .open(file)
            .unwrap()
            .set_modified(old)
            .unwrap();
        old
    }

    fn modified(file: &Path) -> SystemTime {
        std_fs::metadata(file).unwrap().modified().unwrap()
    }

    #[test]
    fn failed_build_restores_content_and_time() {
        let (_directory, workspace, file) = workspace();
        fs::replace(&file, b"old").unwrap();
        let old = age(&file);
        let mut handover = ReferencesFile::begin(&workspace, &Silent).unwrap();
        handover.write(&file, b"new").unwrap();
        assert_eq!(std_fs::read(&file).unwrap(), b"new");
        drop(handover);
        assert_eq!(
            (std_fs::read(&file).unwrap(), modified(&file)),
            (b"old".to_vec(), old)
        );
    }

    #[test]
    fn failed_first_build_removes_the_file() {
        let (_directory, workspace, file) = workspace();
        let mut handover = ReferencesFile::begin(&workspace, &Silent).unwrap();
        handover.write(&file, b"new").unwrap();
        drop(handover);
        assert!(!file.exists());
    }

    #[test]
    fn committed_build_keeps_the_file() {
        let (_directory, workspace, file) = workspace();
        let mut handover = ReferencesFile::begin(&workspace, &Silent).unwrap();
        handover.write(&file, b"new").unwrap();
        handover.commit();
        drop(handover);
        assert_eq!(std_fs::read(&file).unwrap(), b"new");
    }

    #[test]
    fn equal_content_does_not_touch_the_file() {
        let (_directory, workspace, file) = workspace();
        fs::replace(&file, b"same").unwrap();
        let old = age(&file);
        let mut handover = ReferencesFile::begin(&workspace, &Silent).unwrap();
        handover.write(&file, b"same").unwrap();
        handover.commit();
        drop(handover);
        assert_eq!(modified(&file), old);
    }

    #[test]
    fn second_run_waits_for_the_lock_and_reports_it() {
        struct LockOwner(std::sync::mpsc::Sender<PathBuf>);
        impl Reporter for LockOwner {
            fn waiting_for_lock(&self, path: &Path) {
                self.0.send(path.to_owned()).unwrap();
            }
        }
        let (_directory, workspace, file) = workspace();
        let mut first = ReferencesFile::begin(&workspace, &Silent).unwrap();
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| {
                let mut handover = ReferencesFile::begin(&workspace, &LockOwner(send)).unwrap();
                let seen = std_fs::read(&file).unwrap();
                handover.write(&file, b"second").unwrap();
                handover.commit();
                seen
            });
            assert_eq!(
                receive.recv().unwrap(),
                workspace.target_directory.join("union/lock")
            );
            first.write(&file, b"first").unwrap();
            first.commit();
            drop(first);
            assert_eq!(second.join().unwrap(), b"first");
        });
        assert_eq!(std_fs::read(&file).unwrap(), b"second");
    }
}
