//! The files below a local directory, with their checksums.
//!
//! The list is stored in a temporary file, so that memory does not grow with the number of files.

use std::fs::{File, Metadata, ReadDir};
use std::io::{self, BufRead as _, BufReader, BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use union_build::diag::Code;

use super::checksum::Checksum;
use crate::sys::error::{Error, Result};
use crate::sys::fs;
use crate::sys::stat_cache::FileStat;

/// The most entries of a directory. Links to directories that contain links multiply them.
const MOST_ENTRIES: u64 = 10_000_000;

/// Properties that must stay the same while a file or directory is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ReadStamp {
    stat: Option<FileStat>,
    size: u64,
    modified: Option<SystemTime>,
}

impl ReadStamp {
    /// The stamp of a path, after links.
    pub(super) fn of(path: &Path) -> Result<Self> {
        std::fs::metadata(path)
            .map(|data| Self::of_metadata(&data))
            .map_err(|cause| fs::unreadable(path, cause))
    }

    fn of_metadata(data: &Metadata) -> Self {
        Self {
            stat: FileStat::of(data),
            size: data.len(),
            modified: data.modified().ok(),
        }
    }

    /// Checks that a path still has this stamp.
    ///
    /// # Errors
    /// U0780 (`UploadChanged`).
    pub(super) fn check(&self, path: &Path) -> Result<()> {
        let changed = |cause: String| {
            Error::new(
                Code::UploadChanged,
                format!("could not send `{}` to the backend's store", path.display()),
            )
            .because(cause)
        };
        match std::fs::metadata(path) {
            Ok(data) if Self::of_metadata(&data) == *self => Ok(()),
            Ok(_) => Err(changed("it changed while it was read".to_owned())),
            Err(cause) => Err(changed(format!("it was there, and now: {cause}"))),
        }
    }
}

/// A file or directory of a scan. Its path is relative to the scanned directory, with `/` between its parts; the directory itself
/// has an empty one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ScanEntry(String, ReadStamp, Option<Checksum>);

/// A file of a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ScannedFile {
    /// Its path below the directory, with `/` between its parts.
    pub(super) name: String,
    pub(super) stamp: ReadStamp,
    pub(super) checksum: Checksum,
}

/// The number and the size of files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileTotals {
    /// The number of files.
    pub files: u64,
    /// The sum of their sizes in bytes.
    pub bytes: u64,
}

/// A directory whose files were all read once.
#[derive(Debug)]
pub(super) struct DirectoryScan {
    directory: PathBuf,
    list: File,
    pub(super) totals: FileTotals,
    /// A text of digits and letters `a` to `f` that is the same for the same names and contents.
    pub(super) fingerprint: String,
}

impl DirectoryScan {
    /// Reads all files below a directory. Links are followed, except those to a directory that contains them. Blocks.
    ///
    /// # Errors
    /// U0004 (`FileUnreadable`), also for special files, links to nothing, and names that are not UTF-8; U0780
    /// (`UploadChanged`); U0006 (`DiskFull`) when the list cannot be written.
    pub(super) fn read(directory: &Path) -> Result<Self> {
        let list = tempfile::tempfile().map_err(unwritable_list)?;
        let mut list = BufWriter::new(list);
        let mut sum = FingerprintSum::default();
        let mut totals = FileTotals::default();
        let mut entries = 0;
        walk(directory, &mut |name, path, data| {
            entries += 1;
            if entries > MOST_ENTRIES {
                let why = format!("with the links in it, it has more than {MOST_ENTRIES} files");
                return Err(fs::unreadable(directory, io::Error::other(why)));
            }
            let stamp = ReadStamp::of_metadata(data);
            let checksum = if data.is_file() {
                let checksum = Checksum::of_file(path)?;
                stamp.check(path)?;
                sum.add(name, &checksum);
                totals.files += 1;
                totals.bytes += checksum.size;
                Some(checksum)
            } else {
                None
            };
            serde_json::to_writer(&mut list, &ScanEntry(name.to_owned(), stamp, checksum))
                .map_err(io::Error::from)
                .and_then(|()| list.write_all(b"\n"))
                .map_err(unwritable_list)
        })?;
        let list = list
            .into_inner()
            .map_err(|failed| unwritable_list(failed.into_error()))?;
        Ok(Self {
            directory: directory.to_owned(),
            list,
            totals,
            fingerprint: sum.text(),
        })
    }

    /// The files, in the order in which they were found.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub(super) fn files(
        &self,
    ) -> Result<impl Iterator<Item = Result<ScannedFile>> + Send + 'static> {
        let file = |entry: Result<ScanEntry>| match entry {
            Ok(ScanEntry(name, stamp, Some(checksum))) => Some(Ok(ScannedFile {
                name,
                stamp,
                checksum,
            })),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        };
        Ok(self.entries()?.filter_map(file))
    }

    /// The path of a file or directory by its name in the scan.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() {
            self.directory.clone()
        } else {
            self.directory.join(name)
        }
    }

    /// Checks that every file and directory is unchanged. A new file changes the stamp of its directory. Blocks.
    ///
    /// # Errors
    /// U0780 (`UploadChanged`).
    pub(super) fn check_unchanged(&self) -> Result<()> {
        for entry in self.entries()? {
            let ScanEntry(name, stamp, _) = entry?;
            stamp.check(&self.path(&name))?;
        }
        Ok(())
    }

    fn entries(&self) -> Result<impl Iterator<Item = Result<ScanEntry>> + Send + 'static> {
        let mut list = self.list.try_clone().map_err(unreadable_list)?;
        list.seek(SeekFrom::Start(0)).map_err(unreadable_list)?;
        Ok(BufReader::new(list).lines().map(|line| {
            let line = line.map_err(unreadable_list)?;
            serde_json::from_str(&line).map_err(|cause| unreadable_list(cause.into()))
        }))
    }
}

/// Whether there is a file below a directory, and not only directories. Blocks.
///
/// Those of a scan, as far as the directory is read.
pub(crate) fn has_files(directory: &Path) -> Result<bool> {
    let mut found = false;
    let stop = || Error::new(Code::Interrupted, "a file was found");
    let walked = walk(directory, &mut |_, _, data| {
        found = data.is_file();
        if found { Err(stop()) } else { Ok(()) }
    });
    if found {
        Ok(true)
    } else {
        walked.map(|()| false)
    }
}

/// The sum of the hashes of all files, which does not depend on their order: directories are read in any order.
#[derive(Default)]
struct FingerprintSum([u64; 4]);

impl FingerprintSum {
    fn add(&mut self, name: &str, checksum: &Checksum) {
        let mut hash = Sha256::new();
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        hash.update(checksum.size.to_le_bytes());
        hash.update(checksum.md5);
        let hash = hash.finalize();
        for (lane, part) in self.0.iter_mut().zip(hash.chunks_exact(8)) {
            let part = part.try_into().map_or(0, u64::from_le_bytes);
            *lane = lane.wrapping_add(part);
        }
    }

    fn text(&self) -> String {
        let bytes: Vec<u8> = self.0.iter().flat_map(|lane| lane.to_le_bytes()).collect();
        union_build::key::hex(&Sha256::digest(bytes)[..16])
    }
}

/// A directory that is being walked.
struct OpenDirectory {
    name: String,
    entries: ReadDir,
    /// Its path without links.
    real: PathBuf,
}

type Visit<'a> = dyn FnMut(&str, &Path, &Metadata) -> Result<()> + 'a;

/// Calls `visit` with the name, the path and the metadata of the directory and of everything below it.
fn walk(directory: &Path, visit: &mut Visit<'_>) -> Result<()> {
    let mut open = Vec::new();
    open.extend(enter(String::new(), directory, &open, visit)?);
    while let Some(current) = open.last_mut() {
        let Some(entry) = current.entries.next() else {
            open.pop();
            continue;
        };
        let parent = directory.join(&current.name);
        let entry = entry.map_err(|cause| fs::unreadable(&parent, cause))?;
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_str().ok_or_else(|| {
            let why = "its name is not UTF-8, and the backend's store accepts no other names";
            fs::unreadable(&path, io::Error::other(why))
        })?;
        let name = match &*current.name {
            "" => name.to_owned(),
            above => format!("{above}/{name}"),
        };
        let data = std::fs::metadata(&path).map_err(|cause| fs::unreadable(&path, cause))?;
        if data.is_dir() {
            let entered = enter(name, &path, &open, visit)?;
            open.extend(entered);
        } else if data.is_file() {
            visit(&name, &path, &data)?;
        } else {
            let why = "it is neither a file nor a directory";
            return Err(fs::unreadable(&path, io::Error::other(why)));
        }
    }
    Ok(())
}

/// Opens a directory; `None` when it is one of those that contain the link to it.
fn enter(
    name: String,
    path: &Path,
    above: &[OpenDirectory],
    visit: &mut Visit<'_>,
) -> Result<Option<OpenDirectory>> {
    let unreadable = |cause| fs::unreadable(path, cause);
    let real = path.canonicalize().map_err(unreadable)?;
    if above.iter().any(|open| open.real == real) {
        return Ok(None);
    }
    visit(&name, path, &std::fs::metadata(path).map_err(unreadable)?)?;
    let entries = std::fs::read_dir(path).map_err(unreadable)?;
    Ok(Some(OpenDirectory {
        name,
        entries,
        real,
    }))
}

fn unwritable_list(cause: io::Error) -> Error {
    fs::unwritable(&std::env::temp_dir(), cause)
}

fn unreadable_list(cause: io::Error) -> Error {
    fs::unreadable(&std::env::temp_dir(), cause)
}

#[cfg(test)]
mod tests;
