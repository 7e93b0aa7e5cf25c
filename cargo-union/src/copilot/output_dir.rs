//! The output directory of a program.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use tar::EntryType;
use union_build::diag::Code;

use crate::sys::copy::{CopyError, copy};
use crate::sys::error::{Error, Result};
use crate::sys::fs;

/// A local directory with the files that a program has written.
#[derive(Clone, Debug)]
pub struct OutputDir {
    /// The local directory.
    pub(super) directory: PathBuf,
    /// Entries other than files and directories, by their path below it. They are never followed, because a link could
    /// point anywhere.
    pub(super) others: BTreeMap<PathBuf, &'static str>,
}

impl OutputDir {
    /// Scans the output directory of a local program.
    ///
    /// # Errors
    /// U0004 (`FileUnreadable`).
    pub fn existing(directory: &Path) -> Result<Self> {
        let mut others = BTreeMap::new();
        let mut pending = vec![PathBuf::new()];
        while let Some(below) = pending.pop() {
            let path = directory.join(&below);
            for entry in std::fs::read_dir(&path).map_err(|cause| fs::unreadable(&path, cause))? {
                let entry = entry.map_err(|cause| fs::unreadable(&path, cause))?;
                let kind = entry
                    .file_type()
                    .map_err(|cause| fs::unreadable(&entry.path(), cause))?;
                let below = below.join(entry.file_name());
                if kind.is_dir() {
                    pending.push(below);
                } else if !kind.is_file() {
                    others.insert(below, if kind.is_symlink() { LINK } else { OTHER });
                }
            }
        }
        Ok(Self {
            directory: directory.to_owned(),
            others,
        })
    }

    /// Unpacks an engine's archive of an output directory into an empty local directory. The first component of every path
    /// is the name of the output directory.
    ///
    /// # Errors
    /// U0415 (`EngineFailed`) for an invalid archive, U0005 (`FileUnwritable`), U0006 (`DiskFull`).
    pub fn unpack(archive: impl Read, directory: &Path) -> Result<Self> {
        let failed = |cause: io::Error| {
            Error::new(
                Code::EngineFailed,
                "could not copy the outputs from the container",
            )
            .because(cause)
        };
        let mut others = BTreeMap::new();
        for entry in tar::Archive::new(archive).entries().map_err(failed)? {
            let mut entry = entry.map_err(failed)?;
            let below = below_the_top(&entry.path().map_err(failed)?).map_err(failed)?;
            let path = directory.join(&below);
            match entry.header().entry_type() {
                EntryType::Directory => fs::create_directory(&path)?,
                EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                    fs::create_directory(path.parent().unwrap_or(directory))?;
                    let mut file =
                        File::create(&path).map_err(|cause| fs::unwritable(&path, cause))?;
                    copy(&mut entry, &mut file, |_| ()).map_err(|error| match error {
                        CopyError::Read(cause) => failed(cause),
                        CopyError::Write(cause) => fs::unwritable(&path, cause),
                    })?;
                }
                EntryType::Symlink => drop(others.insert(below, LINK)),
                EntryType::Link => drop(others.insert(below, "a hard link")),
                _ => drop(others.insert(below, OTHER)),
            }
        }
        Ok(Self {
            directory: directory.to_owned(),
            others,
        })
    }
}

const LINK: &str = "a symbolic link";
const OTHER: &str = "neither a file nor a directory";

/// A path without its first component; an error when it would leave the directory.
fn below_the_top(path: &Path) -> io::Result<PathBuf> {
    let mut components = path
        .components()
        .filter(|part| !matches!(part, Component::CurDir | Component::RootDir));
    components.next();
    let plain_name = |part: Component<'_>| match part {
        Component::Normal(name) => Ok(PathBuf::from(name)),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("`{}` is outside of the directory", path.display()),
        )),
    };
    components.map(plain_name).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::copilot::{InputFile, InputFileKind, pack};

    /// An archive as an engine returns it, with one handmade entry.
    fn archive(kind: EntryType, name: &str, link: &str) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(EntryType::Directory);
        header.set_size(0);
        archive
            .append_data(&mut header, "outputs/", io::empty())
            .unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(0);
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        if !link.is_empty() {
            header.set_link_name(link).unwrap();
        }
        header.set_cksum();
        archive.append(&header, io::empty()).unwrap();
        archive.into_inner().unwrap()
    }

    #[test]
    fn unpack_restores_packed_files_and_directories() {
        let entry = |path: &str, what| InputFile {
            path: path.to_owned(),
            mode: 0o700,
            what,
        };
        let entries = [
            entry("/outputs", InputFileKind::Directory),
            entry("/outputs/a/b", InputFileKind::Bytes(b"text".to_vec())),
        ];
        let mut packed = Vec::new();
        pack(&entries, &mut packed).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let written = OutputDir::unpack(&packed[..], directory.path()).unwrap();
        assert_eq!(
            std::fs::read(written.path(Path::new("a/b"))).unwrap(),
            b"text"
        );
        assert!(written.others.is_empty());
    }

    #[test]
    fn unpack_records_links_and_devices_without_creating_them() {
        for (kind, link, what) in [
            (EntryType::Symlink, "/etc/passwd", LINK),
            (EntryType::Link, "outputs/a", "a hard link"),
            (EntryType::Fifo, "", OTHER),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let written =
                OutputDir::unpack(&archive(kind, "outputs/n", link)[..], directory.path()).unwrap();
            assert_eq!(written.others, BTreeMap::from([("n".into(), what)]));
            assert!(directory.path().join("n").symlink_metadata().is_err());
        }
    }

    #[test]
    fn unpack_refuses_paths_outside_of_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let inside = directory.path().join("in");
        let error = OutputDir::unpack(
            &archive(EntryType::Regular, "outputs/../../n", "")[..],
            &inside,
        )
        .unwrap_err();
        assert_eq!(error.code(), Code::EngineFailed);
        assert!(
            error.chain()[1].contains("is outside of the directory"),
            "{:?}",
            error.chain()
        );
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_archives_are_unpacked_or_refused(bytes in union_tests::arbitrary::bytes(1500), at in 0..1024_usize, with in union_tests::arbitrary::bytes(20)) {
            let directory = tempfile::tempdir().unwrap();
            drop(OutputDir::unpack(&bytes[..], &directory.path().join("a")));
            let mut valid = archive(EntryType::Regular, "outputs/n", "");
            let end = (at + with.len()).min(valid.len());
            valid[at..end].copy_from_slice(&with[..end - at]);
            drop(OutputDir::unpack(&valid[..], &directory.path().join("b")));
            proptest::prop_assert!(std::fs::read_dir(directory.path()).unwrap().all(|entry| ["a", "b"].contains(&entry.unwrap().file_name().to_str().unwrap())));
        }
    }
}
