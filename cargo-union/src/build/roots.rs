//! Where copies and build contexts may come from, and what there is never copied.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The directories that files of an image may come from: nothing outside of them is read, not even through
/// a symbolic link.
#[derive(Clone, Debug, Default)]
pub struct SourceRoots {
    /// Root of the workspace.
    pub workspace: PathBuf,
    /// Directory of the package, which may stand beside the workspace's root.
    pub package: PathBuf,
    /// Where cargo puts what it makes: its target and build directories.
    pub outputs: Vec<PathBuf>,
}

/// The roots without symbolic links.
#[derive(Clone, Debug)]
pub(super) struct RealRoots {
    pub(super) workspace: PathBuf,
    pub(super) package: PathBuf,
    outputs: Vec<PathBuf>,
}

impl SourceRoots {
    /// The roots without symbolic links.
    pub(super) fn real(&self) -> RealRoots {
        RealRoots {
            workspace: real(&self.workspace),
            package: real(&self.package),
            outputs: self.outputs.iter().map(|path| real(path)).collect(),
        }
    }

    /// Both roots, as messages name them.
    pub(super) fn shown(&self) -> String {
        if self.package.as_os_str().is_empty() || self.package.starts_with(&self.workspace) {
            return format!("the workspace is `{}`", self.workspace.display());
        }
        format!("the workspace is `{}`, and the package `{}`", self.workspace.display(), self.package.display())
    }
}

impl RealRoots {
    /// Whether a real path is below one of the roots.
    pub(super) fn contain(&self, path: &Path) -> bool {
        path.starts_with(&self.workspace) || self.is_package(&self.package) && path.starts_with(&self.package)
    }

    /// Whether a real path is the root of the package or of the workspace.
    pub(super) fn is_root(&self, path: &Path) -> bool {
        path == self.workspace || self.is_package(path)
    }

    fn is_package(&self, path: &Path) -> bool {
        !self.package.as_os_str().is_empty() && path == self.package
    }

    /// Why something is never copied, by its real path: version control, what cargo makes, and the lock file
    /// that this tool writes.
    pub(super) fn never(&self, path: &Path) -> Option<&'static str> {
        if path.file_name() == Some(OsStr::new(".git")) {
            return Some("it belongs to version control");
        }
        if self.outputs.iter().any(|output| output == path) {
            return Some("cargo puts there what it makes");
        }
        (path.file_name() == Some(OsStr::new("Union.lock")) && path.parent() == Some(&self.workspace)).then_some("cargo union writes it")
    }
}

/// The name of the file by which cargo marks a directory as its own.
pub(super) const CACHE_TAG: &str = "CACHEDIR.TAG";

/// Whether cargo has marked a directory as one of what it makes.
pub(super) fn is_tagged_by_cargo(directory: &Path) -> bool {
    std::fs::read_to_string(directory.join(CACHE_TAG))
        .is_ok_and(|tag| tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55") && tag.contains("created by cargo"))
}

/// A path without symbolic links, as far as there is something at it.
fn real(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) if !parent.as_os_str().is_empty() => real(parent).join(name),
        _ => path.to_owned(),
    }
}
