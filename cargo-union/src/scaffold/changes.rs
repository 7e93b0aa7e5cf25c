//! Files that are created or changed together: all of them, or none.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use union_build::diag::Code;

use crate::sys::error::{Error, Result};
use crate::sys::fs::{self, AtomicFile};

/// A file that is created or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChange {
    /// The file, absolute.
    pub path: PathBuf,
    /// Its text before; `None` for a new file.
    pub before: Option<String>,
    /// Its text afterwards.
    pub after: String,
}

impl FileChange {
    /// The change as a unified diff, with paths relative to `directory`.
    pub fn diff(&self, directory: &Path) -> String {
        let path = self.path.strip_prefix(directory).unwrap_or(&self.path);
        let new = format!("b/{}", path.display());
        let old = match self.before {
            Some(_) => format!("a/{}", path.display()),
            None => "/dev/null".to_owned(),
        };
        let before = self.before.as_deref().unwrap_or_default();
        similar::TextDiff::from_lines(before, &self.after)
            .unified_diff()
            .header(&old, &new)
            .to_string()
    }

    /// Writes the file. [`Self::undo`] removes a created file and restores a changed one.
    fn write(&self, staged: AtomicFile) -> Result<()> {
        match self.before {
            Some(_) => staged.keep(&self.path),
            None => staged.keep_new(&self.path),
        }
    }

    fn undo(&self) {
        // The error that caused the undo is the one that is reported.
        let _ = match &self.before {
            Some(before) => fs::replace(&self.path, before.as_bytes()),
            None => fs::remove(&self.path).map(drop),
        };
    }
}

/// Writes all files, each by rename.
///
/// # Errors
/// `FileUnwritable`, also for a file that is read-only, and `DiskFull`. All files are then restored.
pub(super) fn write_all(changes: &[FileChange]) -> Result<()> {
    for change in changes {
        check_writable(change)?;
    }
    let staged = changes.iter().map(stage).collect::<Result<Vec<_>>>()?;
    for (position, (change, staged)) in changes.iter().zip(staged).enumerate() {
        if let Err(error) = change.write(staged) {
            changes[..position].iter().rev().for_each(FileChange::undo);
            return Err(error);
        }
    }
    Ok(())
}

/// A rename would replace a file that its owner has protected.
fn check_writable(change: &FileChange) -> Result<()> {
    let is_protected = change
        .path
        .metadata()
        .is_ok_and(|metadata| metadata.permissions().readonly());
    match is_protected {
        true => Err(Error::new(
            Code::FileUnwritable,
            format!("could not change `{}`", change.path.display()),
        )
        .because("the file is read-only")
        .help("Make it writable; nothing was changed.")),
        false => Ok(()),
    }
}

fn stage(change: &FileChange) -> Result<AtomicFile> {
    let mut file = AtomicFile::create_beside(&change.path)?;
    file.write_all(change.after.as_bytes())
        .map_err(|cause| fs::unwritable(&change.path, cause))?;
    Ok(file)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn change(path: PathBuf, before: Option<&str>, after: &str) -> FileChange {
        FileChange {
            path,
            before: before.map(str::to_owned),
            after: after.to_owned(),
        }
    }

    #[test]
    fn failed_write_restores_changed_files_and_removes_created_ones() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("a"), "old").unwrap();
        std::fs::write(path("taken"), "mine").unwrap();
        let changes = [
            change(path("a"), Some("old"), "new"),
            change(path("b"), None, "new"),
            change(path("taken"), None, "new"),
        ];
        assert_eq!(
            write_all(&changes).unwrap_err().code(),
            Code::FileUnwritable
        );
        assert_eq!(std::fs::read_to_string(path("a")).unwrap(), "old");
        assert_eq!(std::fs::read_to_string(path("taken")).unwrap(), "mine");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn diff_has_the_headers_of_git() {
        let directory = Path::new("/project");
        let changed = change(directory.join("a"), Some("x\n"), "x\ny\n");
        assert_eq!(
            changed.diff(directory),
            "--- a/a\n+++ b/a\n@@ -1 +1,2 @@\n x\n+y\n"
        );
        let created = change(directory.join("src/b"), None, "x\n");
        assert_eq!(
            created.diff(directory),
            "--- /dev/null\n+++ b/src/b\n@@ -0,0 +1 @@\n+x\n"
        );
    }
}
