//! Flags for rustc that replace the paths of this machine by fixed names, so that two checkouts compile to the same bytes.

use std::path::PathBuf;

use super::{Linkage, Snapshot};

/// Limits path remapping to object files, which leaves diagnostics alone (rustc 1.95).
pub const SCOPE: &str = "--remap-path-scope=object";

impl Snapshot<'_> {
    /// The flags that this tool adds to the user's: path remapping and static or dynamic linking.
    pub(super) fn own_rustflags(&self, triple: &str, linkage: Linkage) -> Vec<String> {
        let mut directories: Vec<(PathBuf, String)> =
            vec![(self.workspace.root.clone(), "/workspace".to_owned())];
        directories.extend(
            self.output_directories()
                .into_iter()
                .map(|directory| (directory, "/target".to_owned())),
        );
        directories.extend(self.outside.iter().map(|package| {
            (
                package.directory.clone(),
                format!("/outside/{}-{}", package.name, package.version),
            )
        }));
        directories.extend(self.cargo.home().map(|home| (home, "/cargo".to_owned())));
        // With the component rust-src installed, rustc maps `/rustc/COMMIT` back to the local path.
        let library = self.toolchain.sysroot.join("lib/rustlib/src/rust");
        directories.push((library, format!("/rustc/{}", self.toolchain.commit)));
        // The last match wins in rustc, so a directory comes after its parents.
        directories.sort_by_key(|(directory, _)| directory.components().count());
        let mut flags: Vec<String> = directories
            .iter()
            .map(|(directory, name)| format!("--remap-path-prefix={}={name}", directory.display()))
            .collect();
        if self.toolchain.remaps_by_scope {
            // The paths in diagnostics must be those that the user can open.
            flags.push(SCOPE.to_owned());
        }
        let is_musl = triple.contains("-musl");
        match linkage {
            Linkage::Static => flags.push("-Ctarget-feature=+crt-static".to_owned()),
            Linkage::Dynamic if is_musl => flags.push("-Ctarget-feature=-crt-static".to_owned()),
            Linkage::Dynamic => {}
        }
        flags
    }
}
