//! Records the files and directories that commands have written into the workspace: archives, layouts, requests. They
//! are not sources, even inside a package's directory.

use std::path::PathBuf;

use super::repository::GitRepository;
use super::{Cargo, Workspace};
use crate::sys::fs;

/// Records what a run writes. If that fails, the next run treats the files as sources, which is harmless.
pub fn remember(cargo: &Cargo, workspace: &Workspace) {
    let mut all = read_list(workspace);
    let before = all.len();
    let new: Vec<PathBuf> = cargo
        .written
        .iter()
        .filter(|path| path.starts_with(&workspace.root) && !all.contains(path))
        .cloned()
        .collect();
    all.extend(new);
    if all.len() > before
        && let Ok(bytes) = serde_json::to_vec(&all)
    {
        drop(fs::replace(&list_path(workspace), &bytes));
    }
}

/// The files that earlier runs have written and git does not track.
pub(super) fn list_untracked(workspace: &Workspace) -> Vec<PathBuf> {
    let mut all = read_list(workspace);
    if !all.is_empty() {
        let repository = GitRepository::discover(&workspace.root);
        all.retain(|path| !repository.tracks(path));
    }
    all
}

fn read_list(workspace: &Workspace) -> Vec<PathBuf> {
    std::fs::read(list_path(workspace))
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default()
}

fn list_path(workspace: &Workspace) -> PathBuf {
    workspace.target_directory.join("union/written.json")
}
