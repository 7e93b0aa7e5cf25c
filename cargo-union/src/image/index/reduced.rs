//! The part of an image's files that a loader may look at: small enough to be read for every check.

use std::collections::BTreeSet;

use super::{FileIndex, FsEntry, IndexedFile};

/// Files of which nothing is kept, and which say by being there what an image can do.
const MARKS: [&str; 2] = ["usr/bin/apt-get", "var/lib/dpkg/status"];

impl FileIndex {
    /// What matters to a program that starts: libraries, what tells where they are, and the links that
    /// lead to any of them. Folders are left out: an absent one is taken as it is written.
    #[must_use]
    pub fn reduced(&self) -> Self {
        let mut reduced: Self = Self(self.0.iter().filter(|(path, node)| matters(path, node)).map(own).collect());
        let is_link = |(_, node): &(&String, &FsEntry)| matches!(node, FsEntry::Link(_));
        let mut links: Vec<_> =
            self.0.iter().filter(is_link).filter_map(|(path, node)| Some((path, node, self.follow(path).ok()?))).collect();
        // A link that matters makes a link to its folder matter.
        loop {
            let folders: BTreeSet<&str> = reduced.0.keys().flat_map(|path| path.match_indices('/').map(|(end, _)| &path[..end])).collect();
            let (found, left): (Vec<_>, Vec<_>) =
                links.into_iter().partition(|(.., place)| reduced.0.contains_key(place) || folders.contains(place.as_str()));
            if found.is_empty() {
                return reduced;
            }
            reduced.0.extend(found.into_iter().map(|(path, node, _)| own((path, node))));
            links = left;
        }
    }
}

fn own((path, node): (&String, &FsEntry)) -> (String, FsEntry) {
    (path.clone(), node.clone())
}

fn matters(path: &str, node: &FsEntry) -> bool {
    match node {
        FsEntry::File(Some(IndexedFile::Text(_))) => !matches!(path, "etc/passwd" | "etc/group"),
        FsEntry::File(Some(_)) => true,
        FsEntry::File(None) => MARKS.contains(&path),
        FsEntry::Folder | FsEntry::Link(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_loader_may_look_at_is_left_and_found_as_before() {
        let text = |text: &str| FsEntry::File(Some(IndexedFile::Text(text.to_owned())));
        let link = |target: &str| FsEntry::Link(target.to_owned());
        let mut index = FileIndex::default();
        for (path, node) in [
            ("etc/passwd", text("users")),
            ("etc/ld.so.conf", text("include")),
            ("usr/lib/os-release", text("ID=debian")),
            ("usr/share/doc/readme", FsEntry::File(None)),
            ("var/lib/dpkg/status", FsEntry::File(None)),
            ("usr/bin/sh", FsEntry::File(None)),
            ("bin", link("usr/bin")),
            ("lib", link("/usr/lib")),
            ("lib64", link("lib")),
            ("etc/os-release", link("../usr/lib/os-release")),
            ("etc/alternatives/os", link("/lib/os-release")),
            ("usr/lib/gone", link("nowhere")),
            ("circle", link("circle")),
            ("opt/links/os", link("/usr/lib/os-release")),
            ("srv", link("opt/links")),
        ] {
            index.put(path, node);
        }
        let reduced = index.reduced();
        let left: Vec<_> = reduced.0.keys().map(String::as_str).collect();
        let expected = [
            "etc/alternatives/os",
            "etc/ld.so.conf",
            "etc/os-release",
            "lib",
            "lib64",
            "opt/links/os",
            "srv",
            "usr/lib/os-release",
            "var/lib/dpkg/status",
        ];
        assert_eq!(left, expected);
        for path in ["etc/os-release", "lib64/os-release", "etc/alternatives/os", "srv/os"] {
            assert_eq!((reduced.text(path), reduced.find(path)), (Some("ID=debian"), index.find(path)), "{path}");
        }
    }
}
