//! The distribution of an image, from its `os-release` file.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::index::FileIndex;

/// A release of a distribution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// `ID`: `debian`, `ubuntu`, `alpine`, …; lower case.
    pub id: String,
    /// `ID_LIKE`: the distributions that it is derived from, closest first.
    pub id_like: Vec<String>,
    /// `VERSION_ID`: `12`, `24.04`; `None` for an unreleased version.
    pub version: Option<String>,
    /// `VERSION_CODENAME`: `bookworm`, `noble`.
    pub codename: Option<String>,
    /// The name for display: `Debian 12 (bookworm)`.
    name: String,
}

impl Release {
    /// The release of an image with these files; `None` without `os-release`, as on scratch.
    pub fn of(files: &FileIndex) -> Option<Self> {
        files
            .text("etc/os-release")
            .or_else(|| files.text("usr/lib/os-release"))
            .and_then(Self::read)
    }

    fn read(text: &str) -> Option<Self> {
        let value = |key: &str| {
            let mut lines = text.lines().filter_map(|line| line.trim().split_once('='));
            let value = lines
                .find(|(name, _)| *name == key)?
                .1
                .trim_matches(['"', '\'']);
            (!value.is_empty()).then(|| value.to_owned())
        };
        // The PRETTY_NAME of distroless images is "Distroless"; their VERSION has the name of the distribution.
        let name = value("PRETTY_NAME")
            .filter(|name| name != "Distroless")
            .or_else(|| value("VERSION"))
            .or_else(|| value("NAME"))?;
        let in_parentheses = || Some(name.split_once('(')?.1.split_once(')')?.0.to_lowercase());
        Some(Self {
            id: value("ID")
                .unwrap_or_else(|| "linux".to_owned())
                .to_lowercase(),
            id_like: value("ID_LIKE")
                .unwrap_or_default()
                .split_whitespace()
                .map(str::to_lowercase)
                .collect(),
            version: value("VERSION_ID"),
            codename: value("VERSION_CODENAME").or_else(in_parentheses),
            name: name.replace(" GNU/Linux", ""),
        })
    }

    /// Whether it is Debian or derived from it, so that Debian's package names apply.
    pub fn is_like_debian(&self) -> bool {
        self.id == "debian" || self.id_like.iter().any(|id| id == "debian")
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::image::index::{FsEntry, IndexedFile};

    #[test]
    fn releases_have_display_names_and_codenames() {
        for (text, shown, codename, like_debian) in [
            (
                "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\nID=debian\n",
                "Debian 12 (bookworm)",
                Some("bookworm"),
                true,
            ),
            (
                "PRETTY_NAME=\"Distroless\"\nNAME=\"Debian GNU/Linux\"\nID=\"debian\"\nVERSION_ID=\"12\"\nVERSION=\"Debian GNU/Linux 12 (bookworm)\"\n",
                "Debian 12 (bookworm)",
                Some("bookworm"),
                true,
            ),
            (
                "PRETTY_NAME='Ubuntu 24.04.1 LTS'\nVERSION_CODENAME=noble\nID=ubuntu\nID_LIKE=debian\n",
                "Ubuntu 24.04.1 LTS",
                Some("noble"),
                true,
            ),
            (
                "NAME=\"Alpine Linux\"\nID=alpine\nPRETTY_NAME=\"Alpine Linux v3.20\"\n",
                "Alpine Linux v3.20",
                None,
                false,
            ),
        ] {
            let release = Release::read(text).unwrap();
            assert_eq!(
                (release.to_string().as_str(), release.codename.as_deref()),
                (shown, codename)
            );
            assert_eq!(release.is_like_debian(), like_debian, "{shown}");
        }
        assert_eq!(Release::read("ID=\n"), None);
    }

    #[test]
    fn os_release_is_found_through_a_link() {
        let mut files = FileIndex::default();
        assert_eq!(Release::of(&files), None);
        files.put(
            "usr/lib/os-release",
            FsEntry::File(Some(IndexedFile::Text("NAME=Arch\nID=arch".to_owned()))),
        );
        files.put(
            "etc/os-release",
            FsEntry::Link("../usr/lib/os-release".to_owned()),
        );
        assert_eq!(Release::of(&files).unwrap().id, "arch");
    }
}
