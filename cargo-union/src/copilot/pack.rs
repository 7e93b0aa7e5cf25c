//! Writes input files into an archive for a container, or into local directories.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::Path;

use tar::{Builder, EntryType, Header};

use super::{InputFile, InputFileKind};
use crate::sys::error::Result;
use crate::sys::fs;

/// Writes entries as a tar archive to be unpacked at the root of a container. All entries belong to root with
/// modification time 0: apart from names and contents, nothing of this machine is in it.
///
/// # Errors
/// When a file cannot be read, or becomes shorter while it is read, or the archive cannot be written.
pub fn pack(entries: &[InputFile], to: impl Write) -> io::Result<()> {
    let mut archive = Builder::new(to);
    for InputFile { path, mode, what } in entries {
        let path = path.trim_start_matches('/');
        let header = |kind, size| {
            let mut header = Header::new_gnu();
            header.set_entry_type(kind);
            header.set_mode(*mode);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            header.set_size(size);
            header
        };
        match what {
            InputFileKind::Directory => archive.append_data(
                &mut header(EntryType::Directory, 0),
                format!("{path}/"),
                io::empty(),
            )?,
            InputFileKind::Bytes(bytes) => archive.append_data(
                &mut header(EntryType::Regular, bytes.len() as u64),
                path,
                &bytes[..],
            )?,
            InputFileKind::File(from) => {
                let with_path = |cause: io::Error| {
                    io::Error::new(cause.kind(), format!("`{}`: {cause}", from.display()))
                };
                let file = File::open(from).map_err(with_path)?;
                let size = file.metadata().map_err(with_path)?.len();
                // The next entry starts after the size in the header. A file that grows meanwhile must not exceed it, and
                // one that shrinks would make the archive unreadable.
                let mut content = file.take(size);
                archive.append_data(
                    &mut header(EntryType::Regular, size),
                    path,
                    io::BufReader::with_capacity(1 << 18, &mut content),
                )?;
                if content.limit() > 0 {
                    return Err(with_path(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "it became shorter while it was read",
                    )));
                }
            }
        }
    }
    archive.finish()
}

/// Writes entries to their paths on this machine.
///
/// # Errors
/// U0004 (`FileUnreadable`), U0005 (`FileUnwritable`), U0006 (`DiskFull`).
pub fn put(entries: &[InputFile]) -> Result<()> {
    for InputFile { path, what, .. } in entries {
        let path = Path::new(path);
        match what {
            InputFileKind::Directory => fs::create_directory(path)?,
            InputFileKind::Bytes(bytes) => {
                std::fs::write(path, bytes).map_err(|cause| fs::unwritable(path, cause))?
            }
            InputFileKind::File(from) => copy(from, path)?,
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut source = File::open(from).map_err(|cause| fs::unreadable(from, cause))?;
    let copied = File::create(to).and_then(|mut file| io::copy(&mut source, &mut file));
    copied.map(drop).map_err(|cause| fs::unwritable(to, cause))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Files in sysfs contain less than their size, like a file that shrinks while it is read.
    #[test]
    #[cfg(target_os = "linux")]
    fn pack_fails_when_a_file_becomes_shorter() {
        let from = Path::new("/sys/devices/system/cpu/online").to_owned();
        let entry = InputFile {
            path: "/input".to_owned(),
            mode: 0o644,
            what: InputFileKind::File(from),
        };
        let error = pack(&[entry], io::sink()).unwrap_err();
        assert!(
            error.to_string().contains("/sys/devices/system/cpu/online"),
            "{error}"
        );
    }
}
