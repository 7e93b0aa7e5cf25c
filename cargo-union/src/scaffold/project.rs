//! Creates a package with cargo and adds to it. If anything fails, all created files are removed.

use std::path::{Path, PathBuf};

use super::{NewProject, ScaffoldOutcome, conflict, package};
use crate::pipeline::problems::Result;
use crate::sys::error::Result as FileResult;
use crate::sys::fs;
use crate::workspace::Cargo;

/// Creates a package with `cargo new`, and adds what the project names.
///
/// # Errors
/// `ScaffoldConflict` when the directory exists; `PackageRefused` with cargo's message; `ToolMissing`; those of
/// [`package::init`].
pub(crate) async fn create(cargo: &Cargo, new: &NewProject) -> Result<ScaffoldOutcome> {
    let path = fs::absolute(&cargo.directory, &new.path);
    if path.symlink_metadata().is_ok() {
        let help = "Choose another directory, or run `cargo union init` in a package that exists.";
        return Err(conflict(format!("`{}` exists already", path.display()), help).into());
    }
    let undo = UndoProject::record(&path)?;
    cargo
        .create_package(&new.path, new.name.as_deref(), new.vcs.as_deref())
        .await?;
    let outcome = package::complete(cargo, &path.join("Cargo.toml"), &new.added).await?;
    undo.disarm();
    Ok(outcome)
}

/// Removes the directory and restores the manifests above it, to whose `members` cargo adds a new package. This is done
/// on drop, which is also how Ctrl-C ends a command.
struct UndoProject {
    /// The topmost directory that did not exist; `None` when the project is complete.
    directory: Option<PathBuf>,
    manifests: Vec<(PathBuf, String)>,
}

impl UndoProject {
    fn record(path: &Path) -> FileResult<Self> {
        let created = path
            .ancestors()
            .take_while(|directory| directory.symlink_metadata().is_err())
            .last()
            .unwrap_or(path);
        let mut manifests = Vec::new();
        for directory in path.ancestors().skip(1) {
            let manifest = directory.join("Cargo.toml");
            if let Some(text) = fs::read_if_exists(&manifest)? {
                manifests.push((manifest, text));
            }
        }
        Ok(Self {
            directory: Some(created.to_owned()),
            manifests,
        })
    }

    fn disarm(mut self) {
        self.directory = None;
    }
}

impl Drop for UndoProject {
    fn drop(&mut self) {
        let Some(directory) = &self.directory else {
            return;
        };
        // The error that ended the command is reported instead.
        let _ = fs::remove_directory(directory);
        for (path, text) in &self.manifests {
            let _ = fs::replace_if_different(path, text.as_bytes());
        }
    }
}
