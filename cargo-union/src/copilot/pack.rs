//! Entries on their way: into an archive for a container, or into a folder of this machine.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::Path;

use tar::{Builder, EntryType, Header};

use super::{InputFile, InputFileKind};
use crate::sys::error::Result;
use crate::sys::fs;

/// Writes entries as an archive that is unpacked at the root of a container. Everything belongs to
/// root, and nothing of this machine but names and contents is in it.
///
/// # Errors
/// When a file cannot be read or the archive cannot be written.
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
            InputFileKind::Folder => archive.append_data(&mut header(EntryType::Directory, 0), format!("{path}/"), io::empty())?,
            InputFileKind::Bytes(bytes) => archive.append_data(&mut header(EntryType::Regular, bytes.len() as u64), path, &bytes[..])?,
            InputFileKind::File(from) => {
                let named = |cause: io::Error| io::Error::new(cause.kind(), format!("`{}`: {cause}", from.display()));
                let file = File::open(from).map_err(named)?;
                let size = file.metadata().map_err(named)?.len();
                // The header promises a size, at which the next entry begins: a file that grows meanwhile must not run into
                // that, and one that becomes shorter would make it unreadable.
                let mut content = file.take(size);
                archive.append_data(&mut header(EntryType::Regular, size), path, io::BufReader::with_capacity(1 << 18, &mut content))?;
                if content.limit() > 0 {
                    return Err(named(io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter while it was read")));
                }
            }
        }
    }
    archive.finish()
}

/// Puts entries where their paths say, on this machine.
///
/// # Errors
/// `FileUnreadable`, `FileUnwritable`, `DiskFull`.
pub fn put(entries: &[InputFile]) -> Result<()> {
    for InputFile { path, what, .. } in entries {
        let path = Path::new(path);
        match what {
            InputFileKind::Folder => fs::create_folder(path)?,
            InputFileKind::Bytes(bytes) => std::fs::write(path, bytes).map_err(|cause| fs::unwritable(path, cause))?,
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

    /// Files of the kernel hold less than their size says, as one does that becomes shorter while it is read.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_file_that_is_shorter_than_it_was_ends_an_archive() {
        let from = Path::new("/sys/devices/system/cpu/online").to_owned();
        let entry = InputFile { path: "/input".to_owned(), mode: 0o644, what: InputFileKind::File(from) };
        let error = pack(&[entry], io::sink()).unwrap_err();
        assert!(error.to_string().contains("/sys/devices/system/cpu/online"), "{error}");
    }
}
