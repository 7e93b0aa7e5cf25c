//! The git repository of a workspace, read from its files: ignore rules, tracked files and the revision.
//!
//! git itself is never run: a checkout without git, or without a `.git` directory, has the same inputs. Of the ignore
//! rules only the `.gitignore` files of the repository are read; `.git/info/exclude` and a user's global excludes differ
//! between checkouts.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

mod index;
mod revision;

use index::GitIndex;

/// A git repository, or a directory without git.
#[derive(Debug)]
pub(super) struct GitRepository {
    /// The top of the work tree.
    pub(super) root: PathBuf,
    /// The git directory; `None` without git.
    git: Option<PathBuf>,
    /// The rules of each directory that was visited; `None` where it has no `.gitignore`.
    rules: Mutex<HashMap<PathBuf, Option<Arc<Gitignore>>>>,
    tracked: OnceLock<GitIndex>,
}

impl GitRepository {
    /// The repository of a directory: the nearest one above that has a `.git`, else the directory itself.
    pub(super) fn discover(directory: &Path) -> Self {
        let with_git = directory
            .ancestors()
            .find_map(|ancestor| Some((ancestor, git_directory(ancestor)?)));
        let (root, git) = match with_git {
            Some((root, git)) => (root, Some(git)),
            None => (directory, None),
        };
        Self {
            root: root.to_owned(),
            git,
            rules: Mutex::default(),
            tracked: OnceLock::new(),
        }
    }

    /// Whether the ignore rules match a path or one of its parents.
    pub(super) fn ignores(&self, path: &Path, is_directory: bool) -> bool {
        let above = path
            .ancestors()
            .skip(1)
            .take_while(|above| above.starts_with(&self.root) && *above != self.root);
        let mut directories: Vec<&Path> = above.collect();
        directories.reverse();
        directories
            .into_iter()
            .any(|directory| self.ignores_entry(directory, true))
            || self.ignores_entry(path, is_directory)
    }

    /// Whether the ignore rules match a path whose parents they do not match.
    pub(super) fn ignores_entry(&self, path: &Path, is_directory: bool) -> bool {
        let above = path
            .ancestors()
            .skip(1)
            .take_while(|above| above.starts_with(&self.root));
        for directory in above {
            let Some(rules) = self.rules(directory) else {
                continue;
            };
            match rules.matched(path, is_directory) {
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
                Match::None => {}
            }
        }
        false
    }

    /// Whether git tracks a file, or any file below a directory. Without git, nothing is tracked.
    pub(super) fn tracks(&self, path: &Path) -> bool {
        let Ok(relative) = path.strip_prefix(&self.root) else {
            return false;
        };
        self.tracked().has(relative)
    }

    /// Whether a path is one of git's own files.
    pub(super) fn is_git_file(&self, path: &Path) -> bool {
        let shared = || self.git.as_deref().map(revision::common_directory);
        path.starts_with(self.root.join(".git"))
            || self.git.as_ref().is_some_and(|git| path.starts_with(git))
            || shared().is_some_and(|git| path.starts_with(git))
    }

    /// The commit that `HEAD` resolves to, through loose and packed references. `None` without git
    /// and before the first commit.
    pub(super) fn revision(&self) -> Option<String> {
        revision::resolve_head(self.git.as_deref()?)
    }

    fn tracked(&self) -> &GitIndex {
        self.tracked
            .get_or_init(|| self.git.as_deref().map(GitIndex::read).unwrap_or_default())
    }

    fn rules(&self, directory: &Path) -> Option<Arc<Gitignore>> {
        let mut known = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rules) = known.get(directory) {
            return rules.clone();
        }
        let file = directory.join(".gitignore");
        let rules = file.is_file().then(|| {
            let mut builder = GitignoreBuilder::new(directory);
            // Invalid lines are ignored, as git does.
            drop(builder.add(&file));
            builder.build().ok().map(Arc::new)
        });
        let rules = rules.flatten();
        known.insert(directory.to_owned(), rules.clone());
        rules
    }
}

/// The git directory of a work tree: `.git` itself, or the directory that the file `.git` points to.
fn git_directory(work_tree: &Path) -> Option<PathBuf> {
    let git = work_tree.join(".git");
    if git.is_dir() {
        return git.join("HEAD").is_file().then_some(git);
    }
    let text = std::fs::read_to_string(&git).ok()?;
    let directory = work_tree.join(text.trim().strip_prefix("gitdir:")?.trim());
    directory.join("HEAD").is_file().then_some(directory)
}

#[cfg(test)]
mod tests;
