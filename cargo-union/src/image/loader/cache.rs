//! `/etc/ld.so.cache`: where glibc's loader looks instead of reading `ld.so.conf`.
//!
//! `ldconfig` writes it when packages are installed. A library that came later, by a copied file say,
//! is not in it, and then the loader does not find it, whatever `ld.so.conf` names.

use serde::{Deserialize, Serialize};

/// Names of libraries and their paths, in the order of the file, as one text: it is read for every check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoaderCache(String);

const OLD: &[u8] = b"ld.so-1.7.0";
const NEW: &[u8] = b"glibc-ld.so.cache1.1";
/// Sizes of the headers and of the entries of both formats.
const OLD_HEADER: usize = 16;
const OLD_ENTRY: usize = 12;
const NEW_HEADER: usize = 48;
const NEW_ENTRY: usize = 24;

impl LoaderCache {
    /// Reads the file; `None` when the loader would not take it either.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let new = match bytes.strip_prefix(OLD) {
            None => bytes,
            // Before glibc 2.32 a table for still older loaders came first.
            Some(_) => {
                let header = bytes.get(..OLD_HEADER)?;
                let end =
                    |count: u32| Some(usize::try_from(count).ok()?.checked_mul(OLD_ENTRY)?.checked_add(OLD_HEADER)?.next_multiple_of(8));
                let ends = [u32::from_le_bytes, u32::from_be_bytes].map(|order| end(order(word(header, 12)?)));
                ends.into_iter().flatten().find_map(|end| bytes.get(end..).filter(|rest| rest.starts_with(NEW)))?
            }
        };
        let order = order(new)?;
        let count = usize::try_from(order(word(new, 20)?)).ok()?;
        let mut text = String::new();
        for entry in new[NEW_HEADER..].chunks_exact(NEW_ENTRY).take(count) {
            // Variants for newer processors are beside the library that serves every one.
            if entry[16..24] != [0; 8] {
                continue;
            }
            let name = |at| string(new, usize::try_from(order(word(entry, at)?)).ok()?);
            text.push_str(&format!("{}\n{}\n", name(4)?, name(8)?));
        }
        Some(Self(text))
    }

    /// A cache of names and their paths.
    #[cfg(test)]
    pub(crate) fn of(libraries: &[(&str, &str)]) -> Self {
        Self(libraries.iter().map(|(name, path)| format!("{name}\n{path}\n")).collect())
    }

    /// The paths under a name, in the order in which the loader tries them.
    pub fn paths<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let mut lines = self.0.lines();
        std::iter::from_fn(move || Some((lines.next()?, lines.next()?))).filter(move |(key, _)| *key == name).map(|(_, path)| path)
    }
}

/// The byte order in which the promised entries fit into the file.
fn order(new: &[u8]) -> Option<fn([u8; 4]) -> u32> {
    let count = word(new.strip_prefix(NEW).map(|_| new)?, 20)?;
    let fits = |order: &fn([u8; 4]) -> u32| {
        let entries = usize::try_from(order(count)).ok().and_then(|count| count.checked_mul(NEW_ENTRY));
        entries.and_then(|size| size.checked_add(NEW_HEADER)).is_some_and(|size| size <= new.len())
    };
    [u32::from_le_bytes as fn([u8; 4]) -> u32, u32::from_be_bytes].into_iter().find(fits)
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

    /// The new format, with entries of a name, a path and the processors that may have it.
    fn file(little: bool, entries: &[(&str, &str, u64)]) -> Vec<u8> {
        let word = |value: u32| if little { value.to_le_bytes() } else { value.to_be_bytes() };
        let mut bytes = [NEW, &word(entries.len() as u32), &[0; 24]].concat();
        let mut strings = Vec::new();
        let start = NEW_HEADER + entries.len() * NEW_ENTRY;
        for (name, path, processors) in entries {
            bytes.extend(word(0x303));
            for text in [name, path] {
                bytes.extend(word((start + strings.len()) as u32));
                strings.extend(text.bytes().chain([0]));
            }
            bytes.extend(word(0));
            bytes.extend(processors.to_le_bytes());
        }
        [bytes, strings].concat()
    }

    const ENTRIES: [(&str, &str, u64); 4] = [
        ("libz.so.1", "/lib/glibc-hwcaps/x86-64-v3/libz.so.1", 1 << 62),
        ("libz.so.1", "/lib/x86_64-linux-gnu/libz.so.1", 0),
        ("libz.so.1", "/lib32/libz.so.1", 0),
        ("liba.so", "/opt/liba.so", 0),
    ];

    #[test]
    fn libraries_for_every_processor_are_found_in_their_order() {
        for little in [true, false] {
            let cache = LoaderCache::read(&file(little, &ENTRIES)).unwrap();
            assert!(cache.paths("libz.so.1").eq(["/lib/x86_64-linux-gnu/libz.so.1", "/lib32/libz.so.1"]));
            assert_eq!(cache.paths("libz.so").next(), None);
        }
    }

    #[test]
    fn a_table_for_older_loaders_is_stepped_over() {
        let old = [OLD, &[0], &1_u32.to_le_bytes(), &[0; OLD_ENTRY], &[0; 4]].concat();
        let cache = LoaderCache::read(&[old, file(true, &ENTRIES)].concat()).unwrap();
        assert!(cache.paths("liba.so").eq(["/opt/liba.so"]));
    }

    #[test]
    fn what_ldconfig_writes_is_read_in_both_formats() {
        let folder = tempfile::tempdir().unwrap();
        for format in ["new", "compat"] {
            let path = folder.path().join(format);
            // It may be in a folder that users do not search. Without `-X` it would write links as well.
            let ldconfig = ["/sbin/ldconfig", "/usr/sbin/ldconfig"].into_iter().find(|path| std::fs::exists(path).unwrap()).unwrap();
            let run = std::process::Command::new(ldconfig).args(["-X", "-c", format, "-C"]).arg(&path).status().unwrap();
            assert!(run.success());
            let cache = LoaderCache::read(&std::fs::read(&path).unwrap()).unwrap();
            assert!(cache.paths("libc.so.6").next().is_some_and(|path| path.ends_with("/libc.so.6")), "{format}");
        }
    }

    proptest! {
        #[test]
        fn noise_is_no_cache_and_no_panic(
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
