//! Fixed names for the folders of this machine, so that two checkouts compile to the same bytes.

use std::path::PathBuf;

use super::{Linkage, Snapshot};

/// The flag that keeps paths in messages as they are, for compilers that have it.
pub const SCOPE: &str = "--remap-path-scope=object";

impl Snapshot<'_> {
    /// Our own flags for the compiler: the folders' fixed names, and how to link.
    pub(super) fn own_rustflags(&self, triple: &str, linkage: Linkage) -> Vec<String> {
        let mut folders: Vec<(PathBuf, String)> = vec![(self.workspace.root.clone(), "/workspace".to_owned())];
        folders.extend(self.made().into_iter().map(|folder| (folder, "/target".to_owned())));
        folders
            .extend(self.outside.iter().map(|package| (package.folder.clone(), format!("/outside/{}-{}", package.name, package.version))));
        folders.extend(self.cargo.home().map(|home| (home, "/cargo".to_owned())));
        // With the sources of the standard library installed, rustc turns its fixed names back into paths.
        let library = self.toolchain.sysroot.join("lib/rustlib/src/rust");
        folders.push((library, format!("/rustc/{}", self.toolchain.commit)));
        // rustc takes the last that fits, so a folder comes after those that it lies in.
        folders.sort_by_key(|(folder, _)| folder.components().count());
        let mut flags: Vec<String> =
            folders.iter().map(|(folder, name)| format!("--remap-path-prefix={}={name}", folder.display())).collect();
        if self.toolchain.remaps_by_scope {
            // What is made names no folder; errors and warnings name the files that the user can open.
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
