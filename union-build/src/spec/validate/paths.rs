//! Paths as they are declared, without reading a directory.

use std::path::{Component, Path, PathBuf};

/// Normalizes a path lexically: no `.` and no `..`.
pub(super) fn normalize_path(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(normal.pop()),
            other => normal.push(other),
        }
    }
    normal
}
