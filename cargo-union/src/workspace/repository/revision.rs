//! Resolves `HEAD` to a commit.

use std::fs;
use std::path::{Path, PathBuf};

/// How many symbolic references are followed, as many as git does.
const DEPTH: usize = 5;

/// The commit of a git directory's `HEAD`, in hexadecimal digits.
pub(super) fn resolve_head(git: &Path) -> Option<String> {
    let shared = common_directory(git);
    let mut name = "HEAD".to_owned();
    for _ in 0..=DEPTH {
        let loose = [git, &shared]
            .into_iter()
            .find_map(|directory| fs::read_to_string(directory.join(&name)).ok());
        let Some(text) = loose else {
            return packed_reference(&shared, &name);
        };
        match text.trim().strip_prefix("ref:") {
            Some(target) => name = target.trim().to_owned(),
            None => return Some(text.trim().to_owned()).filter(|commit| is_commit(commit)),
        }
    }
    None
}

/// The directory of the branches: for a linked work tree, that of the main work tree.
pub(super) fn common_directory(git: &Path) -> PathBuf {
    match fs::read_to_string(git.join("commondir")) {
        Ok(text) => crate::sys::fs::absolute(git, Path::new(text.trim())),
        Err(_) => git.to_owned(),
    }
}

fn packed_reference(shared: &Path, name: &str) -> Option<String> {
    let text = fs::read_to_string(shared.join("packed-refs")).ok()?;
    let (commit, _) = text.lines().find_map(|line| {
        line.split_once(' ')
            .filter(|(_, reference)| *reference == name)
    })?;
    Some(commit.to_owned()).filter(|commit| is_commit(commit))
}

fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
