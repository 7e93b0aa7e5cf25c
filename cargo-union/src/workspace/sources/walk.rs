//! Walks a directory tree and skips entries that are not sources.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use crate::sys::error::Result;
use crate::sys::fs;
use crate::workspace::repository::GitRepository;

/// Hidden entries that are not inputs: those of version control, CI services, editors, formatters and linters.
/// `docs/keys.md` lists them. All other hidden files count like any file.
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
    // cargo's configuration is an input by its values; formatters and linters do not matter
    ".cargo",
    ".rustfmt.toml",
    ".clippy.toml",
    ".cargo-ok",
    ".cargo-checksum.json",
    ".cargo_vcs_info.json",
    ".dockerignore",
];

/// Entries of a package's top directory that are not part of its library or binaries, unless dep-info lists them.
const NOT_CODE: &[&str] = &["tests", "benches", "examples"];

/// Files that other inputs cover, in any directory.
const OWN_INPUTS: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "Union.lock",
    "Cargo.toml.orig",
    "rust-toolchain",
    "rust-toolchain.toml",
];

/// Which entries of a directory are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Rules {
    /// Everything except files of version control and cargo's output.
    All,
    /// What git would track.
    Tracked,
    /// What git would track, without nested packages.
    Package {
        /// Includes tests, benchmarks, examples and documents.
        whole: bool,
    },
}

/// A walk of a directory tree. Symbolic links are followed, except into a parent directory or, unless all files are
/// listed, out of the repository.
pub(super) struct SourceWalk<'a> {
    pub(super) repository: &'a GitRepository,
    pub(super) rules: Rules,
    /// Files and directories to skip.
    pub(super) skipped: &'a [PathBuf],
    /// The canonical paths of the parent directories.
    ancestors: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

/// How it is decided whether the entries of a directory are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IgnoreVerdict {
    /// By the ignore rules.
    ByRules,
    /// The directory is ignored: only tracked files count.
    ByIndex,
    /// All entries count.
    All,
}

impl<'a> SourceWalk<'a> {
    pub(super) fn new(repository: &'a GitRepository, rules: Rules, skipped: &'a [PathBuf]) -> Self {
        Self {
            repository,
            rules,
            skipped,
            ancestors: Vec::new(),
            files: Vec::new(),
        }
    }

    /// All files below a directory, sorted.
    ///
    /// # Errors
    /// `FileUnreadable`.
    pub(super) fn files(mut self, directory: &Path) -> Result<Vec<PathBuf>> {
        // The top directory is listed even if git ignores it: it may be a package that another tool has generated.
        let is_ignored = self.rules != Rules::All
            && self.repository.ignores(directory, true)
            && !self.repository.tracks(directory);
        let verdict = if is_ignored {
            IgnoreVerdict::All
        } else {
            IgnoreVerdict::ByRules
        };
        self.follow(directory, true, verdict)?;
        self.files.sort();
        Ok(self.files)
    }

    /// Enters a directory whose path may contain symbolic links.
    fn follow(&mut self, directory: &Path, is_top: bool, verdict: IgnoreVerdict) -> Result<()> {
        match directory.canonicalize() {
            Ok(real) => self.enter(directory, real, is_top, verdict),
            Err(cause) if is_not_readable(&cause) => Ok(()),
            Err(cause) => Err(fs::unreadable(directory, cause)),
        }
    }

    /// Lists a directory, given with its canonical path.
    fn enter(
        &mut self,
        directory: &Path,
        real: PathBuf,
        is_top: bool,
        verdict: IgnoreVerdict,
    ) -> Result<()> {
        if self.ancestors.contains(&real) || self.is_skipped(directory, &real) {
            return Ok(());
        }
        let entries = match directory.read_dir() {
            Ok(entries) => entries
                .collect::<io::Result<Vec<_>>>()
                .map_err(|cause| fs::unreadable(directory, cause))?,
            // The compiler cannot read such a directory either.
            Err(cause) if is_not_readable(&cause) => return Ok(()),
            Err(cause) => return Err(fs::unreadable(directory, cause)),
        };
        if !is_top && self.is_foreign(&entries) {
            return Ok(());
        }
        self.ancestors.push(real.clone());
        for entry in entries {
            let path = entry.path();
            let name = entry.file_name();
            let kind = entry
                .file_type()
                .map_err(|cause| fs::unreadable(&path, cause))?;
            // A dangling link is neither a directory nor a file.
            let (is_directory, is_file) = if kind.is_symlink() {
                (path.is_dir(), path.is_file())
            } else {
                (kind.is_dir(), kind.is_file())
            };
            if !(is_directory || is_file) || self.is_left_out(&name, is_directory, is_top) {
                continue;
            }
            let Some(entry_verdict) = self.classify_entry(&path, is_directory, verdict) else {
                continue;
            };
            if is_file {
                if !self.is_skipped(&path, &path) {
                    self.files.push(path);
                }
            } else if !kind.is_symlink() {
                self.enter(&path, real.join(&name), false, entry_verdict)?;
            } else if self.stays_inside(&path) {
                self.follow(&path, false, entry_verdict)?;
            }
        }
        self.ancestors.pop();
        Ok(())
    }

    fn is_skipped(&self, directory: &Path, real: &Path) -> bool {
        self.skipped
            .iter()
            .any(|skipped| skipped == real || skipped == directory)
    }

    /// Whether a directory belongs to another package, is a cache by its CACHEDIR.TAG, as every target directory is, or is
    /// an OCI image layout.
    fn is_foreign(&self, entries: &[std::fs::DirEntry]) -> bool {
        let has = |name: &str| entries.iter().any(|entry| entry.file_name() == name);
        let is_output = || has("CACHEDIR.TAG") || (has("oci-layout") && has("index.json"));
        (matches!(self.rules, Rules::Package { .. }) && has("Cargo.toml"))
            || (self.rules != Rules::All && is_output())
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
            && ((is_top && is_directory && NOT_CODE.contains(&&*text))
                || (!is_directory && is_document(&text)))
    }

    /// Decides whether an entry is listed, and returns how the entries below it are decided.
    fn classify_entry(
        &self,
        path: &Path,
        is_directory: bool,
        verdict: IgnoreVerdict,
    ) -> Option<IgnoreVerdict> {
        match verdict {
            _ if self.rules == Rules::All => Some(verdict),
            IgnoreVerdict::All => Some(verdict),
            IgnoreVerdict::ByRules if !self.repository.ignores_entry(path, is_directory) => {
                Some(verdict)
            }
            IgnoreVerdict::ByRules | IgnoreVerdict::ByIndex => self
                .repository
                .tracks(path)
                .then_some(IgnoreVerdict::ByIndex),
        }
    }

    fn stays_inside(&self, link: &Path) -> bool {
        let top = self
            .repository
            .root
            .canonicalize()
            .unwrap_or_else(|_| self.repository.root.clone());
        self.rules == Rules::All || link.canonicalize().is_ok_and(|real| real.starts_with(top))
    }
}

fn is_not_readable(cause: &io::Error) -> bool {
    matches!(
        cause.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
    )
}

/// Temporary files of editors, desktops and network file systems.
fn is_leftover(name: &str) -> bool {
    let is_swap = || {
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        name.starts_with('.')
            && extension.len() == 3
            && (extension.starts_with("sw") || extension.starts_with("sv"))
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

/// Markdown and license files.
fn is_document(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let stem = upper.split(['.', '-']).next().unwrap_or_default();
    upper.ends_with(".MD")
        || matches!(
            stem,
            "LICENSE" | "LICENCE" | "COPYING" | "COPYRIGHT" | "NOTICE" | "UNLICENSE" | "AUTHORS"
        )
}
