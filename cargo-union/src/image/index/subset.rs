//! The part of a file tree that a dynamic loader may read, small enough to be read for every start check.

use std::collections::BTreeSet;

use super::{FileIndex, FsEntry, IndexedFile};

/// Files without indexed content whose existence matters for suggestions.
const MARKERS: [&str; 2] = ["usr/bin/apt-get", "var/lib/dpkg/status"];

impl FileIndex {
    /// The entries that matter for starting a program: libraries, configuration of their location, and links that lead
    /// to any of them. Directories are omitted, because missing components of a path are not an error.
    #[must_use]
    pub fn reduced(&self) -> Self {
        let mut reduced: Self = Self(
            self.0
                .iter()
                .filter(|(path, node)| matters(path, node))
                .map(to_owned)
                .collect(),
        );
        let is_link = |(_, node): &(&String, &FsEntry)| matches!(node, FsEntry::Link(_));
        let mut links: Vec<_> = self
            .0
            .iter()
            .filter(is_link)
            .filter_map(|(path, node)| Some((path, node, self.follow(path).ok()?)))
            .collect();
        // Links to the directory of a relevant link are relevant, too.
        loop {
            let parents = reduced
                .0
                .keys()
                .flat_map(|path| path.match_indices('/').map(|(end, _)| &path[..end]));
            let directories: BTreeSet<&str> = parents.collect();
            let (relevant, others): (Vec<_>, Vec<_>) =
                links.into_iter().partition(|(.., target)| {
                    reduced.0.contains_key(target) || directories.contains(target.as_str())
                });
            if relevant.is_empty() {
                return reduced;
            }
            reduced.0.extend(
                relevant
                    .into_iter()
                    .map(|(path, node, _)| to_owned((path, node))),
            );
            links = others;
        }
    }
}

fn to_owned((path, node): (&String, &FsEntry)) -> (String, FsEntry) {
    let node = match node {
        FsEntry::File(Some(IndexedFile::Packages(_))) => FsEntry::File(None),
        node => node.clone(),
    };
    (path.clone(), node)
}

fn matters(path: &str, node: &FsEntry) -> bool {
    match node {
        FsEntry::File(Some(IndexedFile::Text(_))) => !matches!(path, "etc/passwd" | "etc/group"),
        FsEntry::File(None | Some(IndexedFile::Packages(_))) => MARKERS.contains(&path),
        FsEntry::File(Some(_)) => true,
        FsEntry::Directory | FsEntry::Link(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reduced_index_has_only_files_for_the_loader_and_resolves_links_alike() {
        let text = |text: &str| FsEntry::File(Some(IndexedFile::Text(text.to_owned())));
        let link = |target: &str| FsEntry::Link(target.to_owned());
        let packages = IndexedFile::of("var/lib/dpkg/status", &b"Package: a\nVersion: 1\n"[..]);
        let mut index = FileIndex::default();
        for (path, node) in [
            ("etc/passwd", text("users")),
            ("etc/ld.so.conf", text("include")),
            ("usr/lib/os-release", text("ID=debian")),
            ("usr/share/doc/readme", FsEntry::File(None)),
            ("var/lib/dpkg/status", FsEntry::File(packages.clone())),
            ("opt/a.egg-info", FsEntry::File(packages)),
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
        let paths: Vec<_> = reduced.0.keys().map(String::as_str).collect();
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
        assert_eq!(paths, expected);
        assert_eq!(
            reduced.get("var/lib/dpkg/status"),
            Some(&FsEntry::File(None))
        );
        for path in [
            "etc/os-release",
            "lib64/os-release",
            "etc/alternatives/os",
            "srv/os",
        ] {
            assert_eq!(
                (reduced.text(path), reduced.find(path)),
                (Some("ID=debian"), index.find(path)),
                "{path}"
            );
        }
    }
}
