//! What is kept of a file's content: what decides who a user is, and whether a program can start.

use object::read::ReadRef;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::image::elf::Elf;
use crate::image::loader::cache::LoaderCache;

/// What is known of a file's content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IndexedFile {
    /// Its whole text.
    Text(String),
    /// A shared library.
    Library(ElfFacts),
    /// What `ldconfig` wrote for the loader.
    LoaderCache(LoaderCache),
}

/// The facts of a library, still as they are written: of the hundreds in an image a program needs a few,
/// and reading all of them would take longer than all the rest of a check.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ElfFacts(Box<RawValue>);

impl ElfFacts {
    /// Writes facts down.
    pub fn of(elf: &Elf) -> Self {
        Self(serde_json::value::to_raw_value(elf).expect("facts are plain values, which always serialize"))
    }

    /// Reads them; `None` when they were written by another release.
    pub fn read(&self) -> Option<Elf> {
        serde_json::from_str(self.0.get()).ok()
    }
}

impl PartialEq for ElfFacts {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

impl Eq for ElfFacts {}

/// A million users would fit; what is larger is no list of users.
const TEXT: u64 = 64 << 20;
/// A hundred thousand libraries would fit.
const LOADER_CACHE: u64 = 16 << 20;

impl IndexedFile {
    /// How many bytes of a file must be seen to know whether it is worth being read.
    pub const START: usize = 18;

    /// Whether anything of a file may be kept, by its path in the image and its first bytes.
    pub fn is_possible(path: &str, start: &[u8]) -> bool {
        is_text(path) || path == LOADER_CACHE_PATH || Elf::may_be_a_library(start)
    }

    /// What is to be kept of a file.
    pub fn of<'data>(path: &str, data: impl ReadRef<'data>) -> Option<Self> {
        let all = |most: u64| data.read_bytes_at(0, data.len().ok()?.min(most)).ok();
        if is_text(path) {
            return Some(Self::Text(String::from_utf8_lossy(all(TEXT)?).into_owned()));
        }
        if path == LOADER_CACHE_PATH {
            return LoaderCache::read(all(LOADER_CACHE)?).map(Self::LoaderCache);
        }
        let elf = Elf::read(data).ok()?;
        // Most programs are of the kind of a library, so that they can be loaded anywhere. The C library
        // in turn can be run, and says so.
        let name = path.rsplit('/').next().unwrap_or(path);
        (elf.interpreter.is_none() || name.contains(".so")).then(|| Self::Library(ElfFacts::of(&elf)))
    }
}

const LOADER_CACHE_PATH: &str = "etc/ld.so.cache";

fn is_text(path: &str) -> bool {
    match path {
        "etc/passwd" | "etc/group" | "etc/os-release" | "usr/lib/os-release" | "etc/ld.so.conf" => true,
        _ => {
            let glibc = path.strip_prefix("etc/ld.so.conf.d/").is_some_and(|name| name.ends_with(".conf"));
            glibc || path.strip_prefix("etc/ld-musl-").is_some_and(|name| name.ends_with(".path"))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_kept_by_their_paths_alone() {
        for path in ["etc/passwd", "usr/lib/os-release", "etc/ld.so.conf.d/x86_64-linux-gnu.conf", "etc/ld-musl-aarch64.path"] {
            assert!(
                IndexedFile::is_possible(path, b"") && IndexedFile::of(path, &b"text"[..]) == Some(IndexedFile::Text("text".to_owned())),
                "{path}"
            );
        }
        for path in ["etc/shadow", "etc/ld.so.conf.d/README", "home/etc/passwd", "usr/bin/tool.so"] {
            assert!(!IndexedFile::is_possible(path, b"#!/bin/sh") && IndexedFile::of(path, &b"#!/bin/sh"[..]).is_none(), "{path}");
        }
    }

    #[test]
    fn a_library_is_kept_and_a_program_is_not_save_the_c_library() {
        let host = |path: &str| std::fs::read(path).unwrap();
        let program = host("/bin/sh");
        assert!(IndexedFile::is_possible("bin/sh", &program[..IndexedFile::START]), "it may move, so it could be a library");
        assert_eq!(IndexedFile::of("bin/sh", &program[..]), None);
        assert!(matches!(IndexedFile::of("lib/libc.so.6", &program[..]), Some(IndexedFile::Library(_))), "one that can be run");
    }
}
