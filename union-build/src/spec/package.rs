//! The properties of a package that come from cargo.

use std::path::PathBuf;

/// Properties of a package that come from `cargo metadata` rather than from its `union` table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackageInfo {
    /// The package's name.
    pub package: String,
    /// Directory of its manifest.
    pub directory: PathBuf,
    /// Root of its workspace.
    pub workspace_root: PathBuf,
    /// Names of its binaries.
    pub binaries: Vec<String>,
    /// `default-run` of the manifest.
    pub default_run: Option<String>,
    /// Whether it depends on the upstream `flyte` crate.
    pub depends_on_flyte: bool,
}

impl PackageInfo {
    /// The only binary, or else `default-run`: the binary of a task that names none.
    pub(super) fn sole_binary(&self) -> Option<&str> {
        match &self.binaries[..] {
            [only] => Some(only),
            _ => self.default_run.as_deref(),
        }
    }
}
