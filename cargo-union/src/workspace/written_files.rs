//! Files and directories that commands have written into the workspace besides: archives, layouts, requests. They are
//! no sources, although they may lie in a package.

use std::path::PathBuf;

use super::repository::GitRepository;
use super::{Cargo, Workspace};
use crate::sys::fs;

/// Remembers what a run writes. What cannot be remembered counts as a source in the next run, and no more.
pub fn remember(cargo: &Cargo, workspace: &Workspace) {
    let mut all = listed(workspace);
    let before = all.len();
    let new: Vec<PathBuf> = cargo.written.iter().filter(|path| path.starts_with(&workspace.root) && !all.contains(path)).cloned().collect();
    all.extend(new);
    if all.len() > before
        && let Ok(bytes) = serde_json::to_vec(&all)
    {
        drop(fs::replace(&list(workspace), &bytes));
    }
}

/// What earlier runs have written, as far as git does not track it.
pub(super) fn known(workspace: &Workspace) -> Vec<PathBuf> {
    let mut all = listed(workspace);
    if !all.is_empty() {
        let repository = GitRepository::of(&workspace.root);
        all.retain(|path| !repository.tracks(path));
    }
    all
}

fn listed(workspace: &Workspace) -> Vec<PathBuf> {
    std::fs::read(list(workspace)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

fn list(workspace: &Workspace) -> PathBuf {
    workspace.target_directory.join("union/written.json")
}
