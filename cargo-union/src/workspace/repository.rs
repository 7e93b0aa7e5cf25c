//! The repository that a workspace lies in, read from its files: ignore rules, what is tracked although it is
//! ignored, and the revision.
//!
//! git itself is never run: a checkout without git, or without a `.git` directory, has the same inputs. Only the
//! `.gitignore` files of the repository count. `.git/info/exclude` and a user's own excludes differ from one
//! checkout to the next, and so are not read.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

mod index;
mod revision;

use index::GitIndex;

/// A repository, or a directory that is taken for one.
#[derive(Debug)]
pub(super) struct GitRepository {
    /// Its top directory.
    pub(super) root: PathBuf,
    /// The directory of git's own files, where there is one.
    git: Option<PathBuf>,
    /// The rules of each directory that was looked at; `None` where it has no `.gitignore`.
    rules: Mutex<HashMap<PathBuf, Option<Arc<Gitignore>>>>,
    tracked: OnceLock<GitIndex>,
}

impl GitRepository {
    /// The repository of a directory: the nearest one above that has a `.git`, else the directory itself.
    pub(super) fn of(directory: &Path) -> Self {
        let found = directory.ancestors().find_map(|above| Some((above, git_directory(above)?)));
        let (root, git) = match found {
            Some((root, git)) => (root, Some(git)),
            None => (directory, None),
        };
        Self { root: root.to_owned(), git, rules: Mutex::default(), tracked: OnceLock::new() }
    }

    /// Whether the ignore rules leave out a path, by itself or with a directory above it.
    pub(super) fn ignores(&self, path: &Path, is_directory: bool) -> bool {
        let above = path.ancestors().skip(1).take_while(|above| above.starts_with(&self.root) && *above != self.root);
        let mut directories: Vec<&Path> = above.collect();
        directories.reverse();
        directories.into_iter().any(|directory| self.ignores_entry(directory, true)) || self.ignores_entry(path, is_directory)
    }

    /// Whether the ignore rules leave out an entry of a directory that they do not leave out.
    pub(super) fn ignores_entry(&self, path: &Path, is_directory: bool) -> bool {
        let above = path.ancestors().skip(1).take_while(|above| above.starts_with(&self.root));
        for directory in above {
            let Some(rules) = self.rules(directory) else { continue };
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
        let Ok(relative) = path.strip_prefix(&self.root) else { return false };
        self.tracked().has(relative)
    }

    /// Whether a path is one of git's own files.
    pub(super) fn is_git_file(&self, path: &Path) -> bool {
        let shared = || self.git.as_deref().map(revision::common_directory);
        path.starts_with(self.root.join(".git"))
            || self.git.as_ref().is_some_and(|git| path.starts_with(git))
            || shared().is_some_and(|git| path.starts_with(git))
    }

    /// The commit that is checked out, whether `HEAD` names it or a branch, which may be packed. `None` without git
    /// and before the first commit.
    pub(super) fn revision(&self) -> Option<String> {
        revision::of(self.git.as_deref()?)
    }

    fn tracked(&self) -> &GitIndex {
        self.tracked.get_or_init(|| self.git.as_deref().map(GitIndex::read).unwrap_or_default())
    }

    fn rules(&self, directory: &Path) -> Option<Arc<Gitignore>> {
        let mut known = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rules) = known.get(directory) {
            return rules.clone();
        }
        let file = directory.join(".gitignore");
        let rules = file.is_file().then(|| {
            let mut builder = GitignoreBuilder::new(directory);
            // A line that is not valid is left out, as git does.
            drop(builder.add(&file));
            builder.build().ok().map(Arc::new)
        });
        let rules = rules.flatten();
        known.insert(directory.to_owned(), rules.clone());
        rules
    }
}

/// git's directory of a work tree: `.git` itself, or what a file of that name points at.
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
