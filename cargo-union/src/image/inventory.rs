//! The packages that are installed in an image, from the merged file tree of its layers.

use serde::{Deserialize, Serialize};

use super::index::{FileIndex, FsEntry, IndexedFile};
use super::packages::{InstalledPackage, PackageKind};
use super::release::Release;

/// The installed packages of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// The distribution, which is part of the identity of its packages.
    pub release: Option<Release>,
    /// Sorted, each once.
    pub packages: Vec<InstalledPackage>,
    /// Whether all files with packages could be read, and no other package manager has installed any.
    pub is_complete: bool,
}

/// Directories of package managers whose files are not read: rpm, pacman, and chisel (Ubuntu).
const OTHERS: [&str; 4] = [
    "usr/lib/sysimage/rpm/",
    "var/lib/chisel/",
    "var/lib/pacman/local/",
    "var/lib/rpm/",
];

impl Inventory {
    /// The packages of a file tree.
    pub fn of(files: &FileIndex) -> Self {
        let mut inventory = Self {
            release: Release::of(files),
            packages: Vec::new(),
            is_complete: true,
        };
        for path in files.paths() {
            if PackageKind::of_path(path).is_some() {
                inventory.add(files, path);
            } else if is_of_other(path) {
                inventory.is_complete = false;
            }
        }
        let packages = &mut inventory.packages;
        packages.sort();
        packages.dedup_by(|next, one| {
            let is_same = next.identity() == one.identity();
            if is_same && one.license.is_none() {
                one.license = next.license.take();
            }
            is_same
        });
        inventory
    }

    fn add(&mut self, files: &FileIndex, path: &str) {
        match files.find(path) {
            Some((_, FsEntry::File(Some(IndexedFile::Packages(file))))) => {
                self.packages.extend_from_slice(&file.packages);
                self.is_complete &= file.is_complete;
            }
            // Too large, a device, or a link to a file that is not indexed.
            Some((_, FsEntry::File(_))) => self.is_complete = false,
            // A directory `*.egg-info`, or a link to nothing.
            _ => {}
        }
    }
}

/// Whether a path belongs to a package manager whose files are not read. conda has a file for each package.
fn is_of_other(path: &str) -> bool {
    let is_conda = path.ends_with(".json")
        && path
            .rsplit('/')
            .nth(1)
            .is_some_and(|directory| directory == "conda-meta");
    is_conda || OTHERS.iter().any(|directory| path.starts_with(directory))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::index::LayerChange;

    fn file(path: &str, text: &str) -> LayerChange {
        let indexed = IndexedFile::of(path, text.as_bytes());
        LayerChange::of(path, FsEntry::File(indexed))
    }

    fn inventory(layers: &[&[LayerChange]]) -> Inventory {
        let mut files = FileIndex::default();
        layers.iter().for_each(|layer| files.apply(layer));
        Inventory::of(&files)
    }

    fn names(inventory: &Inventory) -> Vec<String> {
        let name = |one: &InstalledPackage| format!("{} {}", one.name, one.version);
        inventory.packages.iter().map(name).collect()
    }

    const SIX: &str = "usr/lib/python3/six-1.dist-info/METADATA";

    #[test]
    fn topmost_layer_wins_and_whiteouts_remove_packages() {
        let base = [
            file("var/lib/dpkg/status", "Package: a\nVersion: 1\n"),
            file(SIX, "Name: six\nVersion: 1\n"),
            file("opt/old.egg-info/PKG-INFO", "Name: old\nVersion: 1\n"),
            file("etc/os-release", "ID=debian\nNAME=Debian\n"),
        ];
        let lower = inventory(&[&base]);
        assert_eq!(names(&lower), ["a 1", "old 1", "six 1"]);
        assert_eq!(
            lower.release.as_ref().map(|one| one.id.as_str()),
            Some("debian")
        );
        let upper = [
            file("var/lib/dpkg/status", "Package: a\nVersion: 2\n"),
            file("usr/lib/python3/.wh.six-1.dist-info", ""),
            file(
                "usr/lib/python3/six-2.dist-info/METADATA",
                "Name: six\nVersion: 2\n",
            ),
            file("opt/.wh..wh..opq", ""),
        ];
        let both = inventory(&[&base, &upper]);
        assert_eq!(names(&both), ["a 2", "six 2"]);
        assert!(lower.is_complete && both.is_complete);
    }

    #[test]
    fn package_that_two_files_list_is_listed_once_with_its_license() {
        let metadata = "Name: six\nVersion: 1\n";
        let licensed = format!("{metadata}License-Expression: MIT\n");
        let layer = [
            file(SIX, metadata),
            file("opt/venv/six-1.dist-info/METADATA", &licensed),
            LayerChange::Put(
                "opt/six.egg-info".to_owned(),
                FsEntry::Link(format!("/{SIX}")),
            ),
        ];
        let inventory = inventory(&[&layer]);
        assert_eq!(names(&inventory), ["six 1"]);
        assert_eq!(inventory.packages[0].license.as_deref(), Some("MIT"));
        assert!(inventory.is_complete);
    }

    #[test]
    fn unread_files_and_other_package_managers_make_the_list_incomplete() {
        for change in [
            LayerChange::Put(SIX.to_owned(), FsEntry::File(None)),
            LayerChange::Put(SIX.to_owned(), FsEntry::Link("/etc/passwd".to_owned())),
            file(SIX, "no header"),
            file("var/lib/rpm/rpmdb.sqlite", ""),
            file("opt/conda/conda-meta/zlib-1.json", "{}"),
        ] {
            let layer = [file("etc/passwd", "root"), change];
            let inventory = inventory(&[&layer]);
            assert_eq!(names(&inventory), [""; 0]);
            assert!(!inventory.is_complete, "{layer:?}");
        }
        let nothing = [
            LayerChange::Put(SIX.to_owned(), FsEntry::Link("nowhere".to_owned())),
            LayerChange::Put("a.egg-info".to_owned(), FsEntry::Directory),
            file("opt/conda/conda-meta/history", ""),
        ];
        assert!(inventory(&[&nothing]).is_complete);
        assert!(Inventory::of(&FileIndex::default()).is_complete);
    }
}
