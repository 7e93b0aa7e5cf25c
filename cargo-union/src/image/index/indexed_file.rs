//! The content that a file index stores: files that are needed to resolve users, for the start check, and for the list of
//! packages.

use object::read::ReadRef;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::image::elf::Elf;
use crate::image::loader_cache::LoaderCache;
use crate::image::packages::{PackageFile, PackageKind};

/// The indexed content of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IndexedFile {
    /// The complete text.
    Text(String),
    /// The ELF headers of a shared library.
    Library(ElfFacts),
    /// The parsed `/etc/ld.so.cache`.
    LoaderCache(LoaderCache),
    /// The packages that the file lists.
    Packages(PackageFile),
}

/// Serialized [`Elf`] of a library. A program needs few of the hundreds of libraries of an image, and parsing all of
/// them would dominate the time of a start check.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ElfFacts(Box<RawValue>);

impl ElfFacts {
    /// Serializes the headers.
    pub fn of(elf: &Elf) -> Self {
        Self(
            serde_json::value::to_raw_value(elf)
                .expect("facts are plain values, which always serialize"),
        )
    }

    /// Deserializes the headers; `None` if another version of this tool wrote them in a different format.
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

/// The size limit of text files; enough for a million users.
const TEXT: u64 = 64 << 20;
/// The size limit of the loader cache; enough for a hundred thousand libraries.
const LOADER_CACHE: u64 = 16 << 20;

impl IndexedFile {
    /// The number of bytes at the start of a file that [`is_possible`](Self::is_possible) requires.
    pub const START: usize = 18;

    /// Whether a file may be indexed, by its path in the image and its first bytes.
    pub fn is_possible(path: &str, start: &[u8]) -> bool {
        is_text(path)
            || path == LOADER_CACHE_PATH
            || PackageKind::of_path(path).is_some()
            || Elf::may_be_a_library(start)
    }

    /// Indexes a file; `None` if its content is not needed.
    pub fn of<'data>(path: &str, data: impl ReadRef<'data>) -> Option<Self> {
        let content = |limit: u64| data.read_bytes_at(0, data.len().ok()?.min(limit)).ok();
        if is_text(path) {
            return Some(Self::Text(
                String::from_utf8_lossy(content(TEXT)?).into_owned(),
            ));
        }
        if path == LOADER_CACHE_PATH {
            return LoaderCache::read(content(LOADER_CACHE)?).map(Self::LoaderCache);
        }
        if let Some(kind) = PackageKind::of_path(path) {
            let read = content(kind.limit(data.len().ok()?)?)?;
            return Some(Self::Packages(kind.read(&String::from_utf8_lossy(read))));
        }
        let elf = Elf::read(data).ok()?;
        // Position-independent executables have the ELF type of libraries, but have an interpreter. The C library can
        // be executed and has one, too.
        let name = path.rsplit('/').next().unwrap_or(path);
        (elf.interpreter.is_none() || name.contains(".so"))
            .then(|| Self::Library(ElfFacts::of(&elf)))
    }
}

const LOADER_CACHE_PATH: &str = "etc/ld.so.cache";

fn is_text(path: &str) -> bool {
    match path {
        "etc/passwd" | "etc/group" | "etc/os-release" | "usr/lib/os-release" | "etc/ld.so.conf" => {
            true
        }
        _ => {
            let glibc = path
                .strip_prefix("etc/ld.so.conf.d/")
                .is_some_and(|name| name.ends_with(".conf"));
            glibc
                || path
                    .strip_prefix("etc/ld-musl-")
                    .is_some_and(|name| name.ends_with(".path"))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn text_files_are_indexed_by_path() {
        for path in [
            "etc/passwd",
            "usr/lib/os-release",
            "etc/ld.so.conf.d/x86_64-linux-gnu.conf",
            "etc/ld-musl-aarch64.path",
        ] {
            assert!(
                IndexedFile::is_possible(path, b"")
                    && IndexedFile::of(path, &b"text"[..])
                        == Some(IndexedFile::Text("text".to_owned())),
                "{path}"
            );
        }
        for path in [
            "etc/shadow",
            "etc/ld.so.conf.d/README",
            "home/etc/passwd",
            "usr/bin/tool.so",
        ] {
            assert!(
                !IndexedFile::is_possible(path, b"#!/bin/sh")
                    && IndexedFile::of(path, &b"#!/bin/sh"[..]).is_none(),
                "{path}"
            );
        }
    }

    #[test]
    fn libraries_are_indexed_and_programs_are_not_except_the_c_library() {
        let host = |path: &str| std::fs::read(path).unwrap();
        let program = host("/bin/sh");
        assert!(
            IndexedFile::is_possible("bin/sh", &program[..IndexedFile::START]),
            "a position-independent executable could be a library"
        );
        assert_eq!(IndexedFile::of("bin/sh", &program[..]), None);
        assert!(
            matches!(
                IndexedFile::of("lib/libc.so.6", &program[..]),
                Some(IndexedFile::Library(_))
            ),
            "an executable library"
        );
    }
}
