//! Reads files into an image, an archive or a build context, and verifies that they match an earlier measurement.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest as _, Sha256};
use union_build::diag::Code;

use crate::sys::error::{Error, Result};
use crate::sys::fs::{self, FileDigest};

/// A file that must be unchanged since it was measured: a key contains its hash, and the header of an archive entry
/// contains its size, which is written before the content is read.
pub(super) struct VerifiedFile<'a> {
    path: &'a Path,
    file: File,
    remaining: u64,
    measured: FileDigest,
    hash: Sha256,
    fault: Option<io::Error>,
}

impl<'a> VerifiedFile<'a> {
    /// Opens a file that was measured before.
    ///
    /// # Errors
    /// `InputsMoved` when the file no longer exists, `FileUnreadable`.
    pub(super) fn open(path: &'a Path, measured: FileDigest) -> Result<Self> {
        let opened = std::fs::metadata(path).and_then(|data| match data.is_file() {
            true => File::open(path),
            // Opening a pipe would block forever.
            false => Err(io::Error::new(
                io::ErrorKind::NotFound,
                "it is no longer a file",
            )),
        });
        let file = opened.map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => moved(path, cause),
            _ => fs::unreadable(path, cause),
        })?;
        Ok(Self {
            path,
            file,
            remaining: measured.size,
            measured,
            hash: Sha256::new(),
            fault: None,
        })
    }

    /// Verifies the content, and reports an earlier read error of this file.
    ///
    /// # Errors
    /// `InputsMoved` when the content differs from the measurement, `FileUnreadable`.
    pub(super) fn finish(self) -> Result<()> {
        match self.fault {
            Some(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(moved(self.path, cause));
            }
            Some(cause) => return Err(fs::unreadable(self.path, cause)),
            None => {}
        }
        // If writing failed, the file was not read to its end and cannot be compared.
        let is_partial = self.remaining > 0;
        if is_partial || self.hash.finalize()[..] == self.measured.hash {
            Ok(())
        } else {
            Err(moved(self.path, "its content changed"))
        }
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let limit = buffer
            .len()
            .min(usize::try_from(self.remaining).unwrap_or(usize::MAX));
        let count = self.file.read(&mut buffer[..limit])?;
        if count == 0 && limit > 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "it became shorter",
            ));
        }
        self.hash.update(&buffer[..count]);
        self.remaining -= count as u64;
        Ok(count)
    }
}

impl Read for VerifiedFile<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_some(buffer).map_err(|cause| {
            let kind = cause.kind();
            if kind != io::ErrorKind::Interrupted {
                self.fault = Some(cause);
            }
            io::Error::from(kind)
        })
    }
}

fn moved(path: &Path, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(
        Code::InputsMoved,
        format!("`{}` changed while the image was built", path.display()),
    )
    .because(cause)
    .help("Run the command again when no program writes to the file.")
}
