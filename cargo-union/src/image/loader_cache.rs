//! `/etc/ld.so.cache`, which glibc's loader reads instead of `ld.so.conf`.
//!
//! `ldconfig` writes it when packages are installed. A library that was added later, for example by a copy, is not in
//! it, and the loader does not find it, even if its directory is in `ld.so.conf`.

use serde::{Deserialize, Serialize};

/// Alternating lines of names and paths of libraries, in the order of the file; a single string is fast to deserialize.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoaderCache(String);

const OLD: &[u8] = b"ld.so-1.7.0";
const NEW: &[u8] = b"glibc-ld.so.cache1.1";
/// Sizes of the headers and entries of both formats.
const OLD_HEADER: usize = 16;
const OLD_ENTRY: usize = 12;
const NEW_HEADER: usize = 48;
const NEW_ENTRY: usize = 24;

impl LoaderCache {
    /// Parses the file; `None` if the loader would ignore it, too.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let new = match bytes.strip_prefix(OLD) {
            None => bytes,
            // Before glibc 2.32, the file starts with a table in the old format.
            Some(_) => {
                let header = bytes.get(..OLD_HEADER)?;
                let end = |count: u32| {
                    Some(
                        usize::try_from(count)
                            .ok()?
                            .checked_mul(OLD_ENTRY)?
                            .checked_add(OLD_HEADER)?
                            .next_multiple_of(8),
                    )
                };
                let ends = [u32::from_le_bytes, u32::from_be_bytes]
                    .map(|order| end(order(word(header, 12)?)));
                ends.into_iter()
                    .flatten()
                    .find_map(|end| bytes.get(end..).filter(|rest| rest.starts_with(NEW)))?
            }
        };
        let order = byte_order(new)?;
        let count = usize::try_from(order(word(new, 20)?)).ok()?;
        let mut text = String::new();
        for entry in new[NEW_HEADER..].chunks_exact(NEW_ENTRY).take(count) {
            // Skips variants for newer processors.
            if entry[16..24] != [0; 8] {
                continue;
            }
            let name = |at| string(new, usize::try_from(order(word(entry, at)?)).ok()?);
            text.push_str(&format!("{}\n{}\n", name(4)?, name(8)?));
        }
        Some(Self(text))
    }

    #[cfg(test)]
    pub(crate) fn of(libraries: &[(&str, &str)]) -> Self {
        Self(
            libraries
                .iter()
                .map(|(name, path)| format!("{name}\n{path}\n"))
                .collect(),
        )
    }

    /// The paths of a name, in the order in which the loader tries them.
    pub fn paths<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let mut lines = self.0.lines();
        std::iter::from_fn(move || Some((lines.next()?, lines.next()?)))
            .filter(move |(key, _)| *key == name)
            .map(|(_, path)| path)
    }
}

/// The byte order with which the declared number of entries fits into the file.
fn byte_order(new: &[u8]) -> Option<fn([u8; 4]) -> u32> {
    let count = word(new.strip_prefix(NEW).map(|_| new)?, 20)?;
    let fits = |order: &fn([u8; 4]) -> u32| {
        let entries = usize::try_from(order(count))
            .ok()
            .and_then(|count| count.checked_mul(NEW_ENTRY));
        entries
            .and_then(|size| size.checked_add(NEW_HEADER))
            .is_some_and(|size| size <= new.len())
    };
    [u32::from_le_bytes as fn([u8; 4]) -> u32, u32::from_be_bytes]
        .into_iter()
        .find(fits)
}

fn word(bytes: &[u8], at: usize) -> Option<[u8; 4]> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok()
}

fn string(bytes: &[u8], at: usize) -> Option<&str> {
    let rest = bytes.get(at..)?;
    std::str::from_utf8(&rest[..rest.iter().position(|byte| *byte == 0)?]).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A file in the new format, with entries of name, path and hwcap.
    fn file(little: bool, entries: &[(&str, &str, u64)]) -> Vec<u8> {
        let word = |value: u32| {
            if little {
                value.to_le_bytes()
            } else {
                value.to_be_bytes()
            }
        };
        let mut bytes = [NEW, &word(entries.len() as u32), &[0; 24]].concat();
        let mut strings = Vec::new();
        let start = NEW_HEADER + entries.len() * NEW_ENTRY;
        for (name, path, hwcap) in entries {
            bytes.extend(word(0x303));
            for text in [name, path] {
                bytes.extend(word((start + strings.len()) as u32));
                strings.extend(text.bytes().chain([0]));
            }
            bytes.extend(word(0));
            bytes.extend(hwcap.to_le_bytes());
        }
        [bytes, strings].concat()
    }

    const ENTRIES: [(&str, &str, u64); 4] = [
        (
            "libz.so.1",
            "/lib/glibc-hwcaps/x86-64-v3/libz.so.1",
            1 << 62,
        ),
        ("libz.so.1", "/lib/x86_64-linux-gnu/libz.so.1", 0),
        ("libz.so.1", "/lib32/libz.so.1", 0),
        ("liba.so", "/opt/liba.so", 0),
    ];

    #[test]
    fn baseline_libraries_are_found_in_order() {
        for little in [true, false] {
            let cache = LoaderCache::read(&file(little, &ENTRIES)).unwrap();
            assert!(
                cache
                    .paths("libz.so.1")
                    .eq(["/lib/x86_64-linux-gnu/libz.so.1", "/lib32/libz.so.1"])
            );
            assert_eq!(cache.paths("libz.so").next(), None);
        }
    }

    #[test]
    fn old_format_table_is_skipped() {
        let old = [OLD, &[0], &1_u32.to_le_bytes(), &[0; OLD_ENTRY], &[0; 4]].concat();
        let cache = LoaderCache::read(&[old, file(true, &ENTRIES)].concat()).unwrap();
        assert!(cache.paths("liba.so").eq(["/opt/liba.so"]));
    }

    #[test]
    fn caches_of_ldconfig_are_read_in_both_formats() {
        let directory = tempfile::tempdir().unwrap();
        for format in ["new", "compat"] {
            let path = directory.path().join(format);
            // It may not be on the PATH of users. Without `-X` it would also create links.
            let ldconfig = ["/sbin/ldconfig", "/usr/sbin/ldconfig"]
                .into_iter()
                .find(|path| std::fs::exists(path).unwrap())
                .unwrap();
            let status = std::process::Command::new(ldconfig)
                .args(["-X", "-c", format, "-C"])
                .arg(&path)
                .status()
                .unwrap();
            assert!(status.success());
            let cache = LoaderCache::read(&std::fs::read(&path).unwrap()).unwrap();
            assert!(
                cache
                    .paths("libc.so.6")
                    .next()
                    .is_some_and(|path| path.ends_with("/libc.so.6")),
                "{format}"
            );
        }
    }

    proptest! {
        #[test]
        fn parsing_random_bytes_never_panics(
            noise in proptest::collection::vec(any::<u8>(), 0..200), at in 0..300_usize, byte: u8, old: bool,
        ) {
            let _ = LoaderCache::read(&[if old { OLD } else { NEW }, &noise].concat());
            let mut changed = file(true, &ENTRIES);
            let at = at % changed.len();
            changed[at] = byte;
            let _ = LoaderCache::read(&changed);
        }
    }
}
