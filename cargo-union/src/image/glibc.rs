//! Versions of the GNU C library: of an image, and as required by a binary.

use std::fmt;
use std::str::FromStr;

use super::index::{FileIndex, FsEntry, IndexedFile};

/// A glibc version such as `2.36`: major and minor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Glibc(u32, u32);

impl Glibc {
    /// The version in an image; `None` if it has a different C library or none.
    pub fn of(files: &FileIndex) -> Option<Self> {
        let is_glibc = |path: &&str| path.rsplit('/').next() == Some("libc.so.6");
        let mut libraries =
            files
                .paths()
                .filter(is_glibc)
                .filter_map(|path| match files.find(path)?.1 {
                    FsEntry::File(Some(IndexedFile::Library(facts))) => facts.read(),
                    _ => None,
                });
        let versions = libraries.next()?.versions;
        versions
            .iter()
            .filter_map(|version| version.strip_prefix("GLIBC_")?.parse().ok())
            .max()
    }
}

impl fmt::Display for Glibc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl FromStr for Glibc {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut numbers = text
            .trim()
            .split('.')
            .map(|number| number.parse().map_err(drop));
        match (numbers.next(), numbers.next()) {
            (Some(major), Some(minor)) => Ok(Self(major?, minor?)),
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_numerically() {
        let version = |text: &str| text.parse::<Glibc>();
        assert!(version("2.9") < version("2.31") && version("2.31") < version("2.36"));
        assert_eq!(
            version("2.2.5").map(|version| version.to_string()),
            Ok("2.2".to_owned())
        );
        assert_eq!((version("PRIVATE"), version("2")), (Err(()), Err(())));
    }
}
