//! Walks through directories, and what they pass over.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use crate::sys::error::Result;
use crate::sys::fs;
use crate::workspace::repository::GitRepository;

/// Hidden entries that are no inputs: those of version control, of CI services, of editors and of tools that format
/// or lint. `docs/keys.md` lists them. All other hidden files count as files do.
const HIDDEN: &[&str] = &[
    // version control
    ".git",
    ".gitattributes",
    ".gitignore",
    ".gitmodules",
    ".git-blame-ignore-revs",
    ".gitkeep",
    ".mailmap",
    ".hg",
    ".hgignore",
    ".hgtags",
    ".svn",
    ".jj",
    ".bzr",
    ".pijul",
    // CI services and code hosts
    ".github",
    ".gitlab",
    ".gitlab-ci.yml",
    ".gitea",
    ".forgejo",
    ".circleci",
    ".travis.yml",
    ".appveyor.yml",
    ".buildkite",
    ".drone.yml",
    ".woodpecker",
    ".woodpecker.yml",
    ".azure-pipelines",
    ".azure-pipelines.yml",
    ".cirrus.yml",
    ".codecov.yml",
    ".pre-commit-config.yaml",
    ".renovaterc",
    ".renovaterc.json",
    ".releaserc",
    // editors and desktops
    ".vscode",
    ".idea",
    ".fleet",
    ".zed",
    ".vim",
    ".nvim",
    ".helix",
    ".editorconfig",
    ".DS_Store",
    ".directory",
    ".envrc",
    ".direnv",
    // what cargo reads is an input by its values, and what only formats or lints is none
    ".cargo",
    ".rustfmt.toml",
    ".clippy.toml",
    ".cargo-ok",
    ".cargo-checksum.json",
    ".cargo_vcs_info.json",
    ".dockerignore",
];

/// Entries of a package's top directory that never reach the code of its library or binaries, unless the compiler
/// says otherwise.
const NOT_CODE: &[&str] = &["tests", "benches", "examples"];

/// Files that have inputs of their own, wherever they are.
const OWN_INPUTS: &[&str] = &["Cargo.toml", "Cargo.lock", "Union.lock", "Cargo.toml.orig", "rust-toolchain", "rust-toolchain.toml"];

/// Which entries of a directory are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Rules {
    /// Everything but git's own files and what cargo makes.
    All,
    /// What git would track.
    Tracked,
    /// What git would track, without packages in it.
    Package {
        /// Also what usually never reaches code.
        whole: bool,
    },
}

/// One walk through a directory. Links are followed; a directory is never entered twice on the way down, nor through
/// a link that leaves the repository.
pub(super) struct SourceWalk<'a> {
    pub(super) repository: &'a GitRepository,
    pub(super) rules: Rules,
    /// Files and directories that are no sources, wherever they are.
    pub(super) skipped: &'a [PathBuf],
    /// The directories on the way down, without links.
    above: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

/// How the entries of a directory are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IgnoreVerdict {
    /// By the ignore rules.
    ByRules,
    /// The directory is ignored: only files that git tracks all the same count.
    ByIndex,
    /// All of them count.
    Kept,
}

impl<'a> SourceWalk<'a> {
    pub(super) fn new(repository: &'a GitRepository, rules: Rules, skipped: &'a [PathBuf]) -> Self {
        Self { repository, rules, skipped, above: Vec::new(), files: Vec::new() }
    }

    /// All files below a directory, in order.
    ///
    /// # Errors
    /// `FileUnreadable`.
    pub(super) fn files(mut self, directory: &Path) -> Result<Vec<PathBuf>> {
        // A directory that is named although it is ignored, such as a package that another tool wrote, counts.
        let is_ignored = self.rules != Rules::All && self.repository.ignores(directory, true) && !self.repository.tracks(directory);
        self.enter(directory, true, if is_ignored { IgnoreVerdict::Kept } else { IgnoreVerdict::ByRules })?;
        self.files.sort();
        Ok(self.files)
    }

    fn enter(&mut self, directory: &Path, is_top: bool, judged: IgnoreVerdict) -> Result<()> {
        let real = match directory.canonicalize() {
            Ok(real) if !self.above.contains(&real) && !self.is_skipped(directory, &real) => real,
            Ok(_) => return Ok(()),
            Err(cause) if is_nothing(&cause) => return Ok(()),
            Err(cause) => return Err(fs::unreadable(directory, cause)),
        };
        let entries = match directory.read_dir() {
            Ok(entries) => entries.collect::<io::Result<Vec<_>>>().map_err(|cause| fs::unreadable(directory, cause))?,
            // What may not be read can be read by no compiler either.
            Err(cause) if is_nothing(&cause) => return Ok(()),
            Err(cause) => return Err(fs::unreadable(directory, cause)),
        };
        if !is_top && self.is_somebody_else_s(&entries) {
            return Ok(());
        }
        self.above.push(real);
        for entry in entries {
            let (path, name) = (entry.path(), entry.file_name());
            let kind = entry.file_type().map_err(|cause| fs::unreadable(&path, cause))?;
            // A link that leads nowhere is something that the compiler cannot read either.
            let (is_directory, is_file) = if kind.is_symlink() { (path.is_dir(), path.is_file()) } else { (kind.is_dir(), kind.is_file()) };
            if !(is_directory || is_file) || self.is_left_out(&name, is_directory, is_top) {
                continue;
            }
            let Some(below) = self.judge(&path, is_directory, judged) else { continue };
            if is_file {
                if !self.is_skipped(&path, &path) {
                    self.files.push(path);
                }
            } else if !kind.is_symlink() || self.stays_inside(&path) {
                self.enter(&path, false, below)?;
            }
        }
        self.above.pop();
        Ok(())
    }

    fn is_skipped(&self, directory: &Path, real: &Path) -> bool {
        self.skipped.iter().any(|skipped| skipped == real || skipped == directory)
    }

    /// Whether a directory belongs to another package, is a cache by its tag, as every target directory is, or an
    /// image layout.
    fn is_somebody_else_s(&self, entries: &[std::fs::DirEntry]) -> bool {
        let has = |name: &str| entries.iter().any(|entry| entry.file_name() == name);
        let is_made = || has("CACHEDIR.TAG") || (has("oci-layout") && has("index.json"));
        (matches!(self.rules, Rules::Package { .. }) && has("Cargo.toml")) || (self.rules != Rules::All && is_made())
    }

    fn is_left_out(&self, name: &OsStr, is_directory: bool, is_top: bool) -> bool {
        let text = name.to_string_lossy();
        if self.rules == Rules::All {
            return matches!(&*text, ".git" | ".hg" | ".svn" | ".jj");
        }
        if HIDDEN.contains(&&*text) || is_leftover(&text) || OWN_INPUTS.contains(&&*text) {
            return true;
        }
        self.rules == (Rules::Package { whole: false })
            && ((is_top && is_directory && NOT_CODE.contains(&&*text)) || (!is_directory && is_document(&text)))
    }

    /// Whether an entry counts, and how those below it are judged.
    fn judge(&self, path: &Path, is_directory: bool, judged: IgnoreVerdict) -> Option<IgnoreVerdict> {
        match judged {
            _ if self.rules == Rules::All => Some(judged),
            IgnoreVerdict::Kept => Some(judged),
            IgnoreVerdict::ByRules if !self.repository.ignores_entry(path, is_directory) => Some(judged),
            IgnoreVerdict::ByRules | IgnoreVerdict::ByIndex => self.repository.tracks(path).then_some(IgnoreVerdict::ByIndex),
        }
    }

    fn stays_inside(&self, link: &Path) -> bool {
        let top = self.repository.root.canonicalize().unwrap_or_else(|_| self.repository.root.clone());
        self.rules == Rules::All || link.canonicalize().is_ok_and(|real| real.starts_with(top))
    }
}

fn is_nothing(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
}

/// What editors, desktops and network file systems leave beside files.
fn is_leftover(name: &str) -> bool {
    let is_swap = || {
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        name.starts_with('.') && extension.len() == 3 && (extension.starts_with("sw") || extension.starts_with("sv"))
    };
    name.ends_with('~')
        || name.starts_with(".#")
        || name.starts_with("._")
        || name.starts_with(".nfs")
        || name.starts_with(".fuse_hidden")
        || (name.len() > 1 && name.starts_with('#') && name.ends_with('#'))
        || matches!(name, "4913" | "Thumbs.db" | "desktop.ini")
        || name.ends_with(".orig")
        || name.ends_with(".rej")
        || is_swap()
}

/// What is for people: Markdown and licences.
fn is_document(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let stem = upper.split(['.', '-']).next().unwrap_or_default();
    upper.ends_with(".MD") || matches!(stem, "LICENSE" | "LICENCE" | "COPYING" | "COPYRIGHT" | "NOTICE" | "UNLICENSE" | "AUTHORS")
}
