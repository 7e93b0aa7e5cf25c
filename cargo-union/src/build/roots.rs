//! The directories that files of copies and build contexts may come from, and what is never copied from them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The directories that files of an image may come from. Nothing outside them is read, not even through a
/// symbolic link.
#[derive(Clone, Debug, Default)]
pub struct SourceRoots {
    /// Root of the workspace.
    pub workspace: PathBuf,
    /// Directory of the package, which may be outside the workspace's root.
    pub package: PathBuf,
    /// Cargo's target and build directories.
    pub outputs: Vec<PathBuf>,
}

/// [`SourceRoots`] with symbolic links resolved.
#[derive(Clone, Debug)]
pub(super) struct RealRoots {
    pub(super) workspace: PathBuf,
    pub(super) package: PathBuf,
    outputs: Vec<PathBuf>,
}

impl SourceRoots {
    pub(super) fn real(&self) -> RealRoots {
        RealRoots {
            workspace: resolve_links(&self.workspace),
            package: resolve_links(&self.package),
            outputs: self
                .outputs
                .iter()
                .map(|path| resolve_links(path))
                .collect(),
        }
    }

    /// Both roots, for error messages.
    pub(super) fn shown(&self) -> String {
        if self.package.as_os_str().is_empty() || self.package.starts_with(&self.workspace) {
            return format!("the workspace is `{}`", self.workspace.display());
        }
        format!(
            "the workspace is `{}`, and the package `{}`",
            self.workspace.display(),
            self.package.display()
        )
    }
}

impl RealRoots {
    /// Whether a real path is below one of the roots.
    pub(super) fn contain(&self, path: &Path) -> bool {
        path.starts_with(&self.workspace)
            || self.is_package(&self.package) && path.starts_with(&self.package)
    }

    /// Whether a real path is the root of the package or of the workspace.
    pub(super) fn is_root(&self, path: &Path) -> bool {
        path == self.workspace || self.is_package(path)
    }

    fn is_package(&self, path: &Path) -> bool {
        !self.package.as_os_str().is_empty() && path == self.package
    }

    /// Why the file or directory at a real path is never copied, if so: version control, output of cargo, or the
    /// lock file of this tool.
    pub(super) fn exclusion_reason(&self, path: &Path) -> Option<&'static str> {
        if path.file_name() == Some(OsStr::new(".git")) {
            return Some("it is a file of version control");
        }
        if self.outputs.iter().any(|output| output == path) {
            return Some("it is an output directory of cargo");
        }
        (path.file_name() == Some(OsStr::new("Union.lock"))
            && path.parent() == Some(&self.workspace))
        .then_some("cargo union writes it")
    }
}

/// The file that marks a directory as a cache (<https://bford.info/cachedir/>).
pub(super) const CACHE_TAG: &str = "CACHEDIR.TAG";

/// Whether a directory has a cache tag that cargo wrote.
pub(super) fn is_tagged_by_cargo(directory: &Path) -> bool {
    std::fs::read_to_string(directory.join(CACHE_TAG)).is_ok_and(|tag| {
        tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55")
            && tag.contains("created by cargo")
    })
}

/// Resolves the symbolic links of a path, as far as the path exists.
fn resolve_links(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) if !parent.as_os_str().is_empty() => {
            resolve_links(parent).join(name)
        }
        _ => path.to_owned(),
    }
}
