//! Reads the paths that git tracks from the index file.
//!
//! Source of the format: git's `gitformat-index`, versions 2 to 4, with sha1 and sha256. A split index names a second
//! file that holds most entries. An index that cannot be parsed is empty: then only the ignore rules are used.

use std::collections::BTreeSet;
use std::path::Path;

/// The tracked paths, relative to the work tree, separated by `/`.
#[derive(Debug, Default)]
pub(super) struct GitIndex(BTreeSet<Vec<u8>>);

impl GitIndex {
    /// Reads the index of a git directory.
    pub(super) fn read(git: &Path) -> Self {
        let is_sha256 =
            std::fs::read_to_string(super::revision::common_directory(git).join("config"))
                .is_ok_and(|config| {
                    config.lines().any(|line| {
                        line.to_ascii_lowercase().replace([' ', '\t'], "") == "objectformat=sha256"
                    })
                });
        let hash = if is_sha256 { 32 } else { 20 };
        let mut paths = BTreeSet::new();
        if let Some(shared) = read_file(&git.join("index"), hash, &mut paths) {
            read_file(&git.join(format!("sharedindex.{shared}")), hash, &mut paths);
        }
        Self(paths)
    }

    /// Whether a path, or a file below it, is tracked.
    pub(super) fn has(&self, path: &Path) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let Some(path) = path.to_str() else {
            return false;
        };
        let path = path.replace('\\', "/").into_bytes();
        let mut below = path.clone();
        below.push(b'/');
        self.0.contains(&path)
            || self
                .0
                .range(below.clone()..)
                .next()
                .is_some_and(|next| next.starts_with(&below))
    }
}

/// Adds the paths of an index file. Returns the name of the shared index that a split index is based on.
fn read_file(file: &Path, hash: usize, paths: &mut BTreeSet<Vec<u8>>) -> Option<String> {
    let bytes = std::fs::read(file).ok()?;
    parse(&bytes, hash, paths)
}

fn parse(bytes: &[u8], hash: usize, paths: &mut BTreeSet<Vec<u8>>) -> Option<String> {
    let mut reader = IndexReader { bytes, at: 0 };
    if reader.take(4)? != b"DIRC" {
        return None;
    }
    let version = reader.number()?;
    let count = reader.number()?;
    if !(2..=4).contains(&version) {
        return None;
    }
    let mut previous = Vec::new();
    for _ in 0..count {
        let start = reader.at;
        // Ten 32-bit fields of file metadata and the object name.
        reader.take(40 + hash)?;
        let flags = u16::from_be_bytes(reader.take(2)?.try_into().ok()?);
        const EXTENDED: u16 = 0x4000;
        if version >= 3 && flags & EXTENDED != 0 {
            reader.take(2)?;
        }
        let path = if version == 4 {
            let shared = previous.len().checked_sub(reader.variable()?)?;
            let mut path = previous.get(..shared)?.to_vec();
            path.extend_from_slice(reader.until_zero()?);
            path
        } else {
            let path = reader.until_zero()?.to_vec();
            // Entries are padded with 1 to 8 zero bytes to a multiple of eight bytes.
            let length = reader.at - 1 - start;
            reader.take(length / 8 * 8 + 8 - length - 1)?;
            path
        };
        // Entries of a split index that replace one of the shared index have an empty path.
        if !path.is_empty() {
            paths.insert(path.clone());
        }
        previous = path;
    }
    shared_index(reader, hash)
}

/// The name of the shared index in the `link` extension. The file ends with a checksum.
fn shared_index(mut reader: IndexReader<'_>, hash: usize) -> Option<String> {
    while reader.bytes.len() - reader.at > hash {
        let name = reader.take(4)?;
        let length = reader.number()?;
        let content = reader.take(usize::try_from(length).ok()?)?;
        if name == b"link" {
            return content
                .get(..hash)
                .filter(|id| id.iter().any(|byte| *byte != 0))
                .map(union_build::key::hex);
        }
    }
    None
}

struct IndexReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> IndexReader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn number(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn until_zero(&mut self) -> Option<&'a [u8]> {
        let length = self
            .bytes
            .get(self.at..)?
            .iter()
            .position(|byte| *byte == 0)?;
        let taken = self.take(length)?;
        self.at += 1;
        Some(taken)
    }

    /// A variable-width offset as in pack files: seven bits a byte, most significant first, plus one per continuation.
    fn variable(&mut self) -> Option<usize> {
        let mut byte = *self.take(1)?.first()?;
        let mut value = usize::from(byte & 0x7f);
        while byte & 0x80 != 0 {
            byte = *self.take(1)?.first()?;
            value = value
                .checked_add(1)?
                .checked_mul(128)?
                .checked_add(usize::from(byte & 0x7f))?;
        }
        Some(value)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parser_does_not_panic_on_any_bytes(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), version in 2u8..5) {
            for (place, value) in [b'D', b'I', b'R', b'C', 0, 0, 0, version, 0, 0].into_iter().enumerate() {
                if let Some(byte) = bytes.get_mut(place) {
                    *byte = value;
                }
            }
            parse(&bytes, 20, &mut BTreeSet::new());
        }
    }
}
