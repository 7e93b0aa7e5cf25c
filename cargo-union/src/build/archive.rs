//! Writes a build context: a tar of host files with their names, contents and executable bits, and without other
//! metadata of the host.

use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};

use tar::{EntryType, Header};

use super::sources::{Item, ItemKind};
use super::verified_file::VerifiedFile;
use super::walk::Device;
use crate::sys::error::Result;
use crate::sys::fs::{self, FileDigest};

/// A tar archive that is being written.
pub(super) struct Archive<W: Write> {
    tar: tar::Builder<W>,
    /// The destination, for error messages.
    path: PathBuf,
    /// Modification time of every entry, in seconds since the Unix epoch.
    epoch: u64,
}

impl<W: Write> Archive<W> {
    pub(super) fn new(writer: W, path: PathBuf, epoch: u64) -> Self {
        Self {
            tar: tar::Builder::new(writer),
            path,
            epoch,
        }
    }

    /// Adds all items of one `copy` below `place`.
    pub(super) fn copied(&mut self, place: &str, items: &[Item]) -> Result<()> {
        let top = items.first().map_or("", |item| &item.to);
        for item in items {
            let below = item
                .to
                .strip_prefix(top)
                .unwrap_or_default()
                .trim_start_matches('/');
            let place = if below.is_empty() {
                place.to_owned()
            } else {
                format!("{place}/{below}")
            };
            self.item(&place, item)?;
        }
        Ok(())
    }

    pub(super) fn item(&mut self, place: &str, item: &Item) -> Result<()> {
        match &item.kind {
            ItemKind::Directory => self.entry(place, EntryType::Directory, 0o755, 0, io::empty()),
            ItemKind::File {
                from,
                mode,
                measured,
            } => self.file(place, from, *measured, *mode),
            ItemKind::Pipe => self.entry(place, EntryType::Fifo, 0o644, 0, io::empty()),
            ItemKind::Device(device) => self.device(place, *device),
            ItemKind::Link(target) => {
                let mut header = self.header(EntryType::Symlink, 0o777, 0);
                self.tar
                    .append_link(&mut header, place, target)
                    .map_err(|cause| fs::unwritable(&self.path, cause))
            }
        }
    }

    fn device(&mut self, place: &str, device: Device) -> Result<()> {
        let kind = if device.is_block {
            EntryType::Block
        } else {
            EntryType::Char
        };
        let mut header = self.header(kind, device.mode, 0);
        let numbers = header
            .set_device_major(device.major)
            .and_then(|()| header.set_device_minor(device.minor));
        let added = numbers.and_then(|()| self.tar.append_data(&mut header, place, io::empty()));
        added.map_err(|cause| fs::unwritable(&self.path, cause))
    }

    /// Adds a file, whose content must be unchanged since it was measured.
    pub(super) fn file(
        &mut self,
        place: &str,
        from: &Path,
        measured: FileDigest,
        mode: u32,
    ) -> Result<()> {
        let mut source = VerifiedFile::open(from, measured)?;
        let added = self.entry(
            place,
            EntryType::Regular,
            mode,
            measured.size,
            BufReader::with_capacity(1 << 18, &mut source),
        );
        source.finish()?;
        added
    }

    pub(super) fn bytes(&mut self, place: &str, bytes: &[u8], mode: u32) -> Result<()> {
        self.entry(place, EntryType::Regular, mode, bytes.len() as u64, bytes)
    }

    /// Completes the archive and returns its writer.
    pub(super) fn finish(self) -> Result<W> {
        let path = self.path;
        self.tar
            .into_inner()
            .map_err(|cause| fs::unwritable(&path, cause))
    }

    fn entry(
        &mut self,
        place: &str,
        kind: EntryType,
        mode: u32,
        size: u64,
        content: impl io::Read,
    ) -> Result<()> {
        let mut header = self.header(kind, mode, size);
        self.tar
            .append_data(&mut header, place, content)
            .map_err(|cause| fs::unwritable(&self.path, cause))
    }

    fn header(&self, kind: EntryType, mode: u32, size: u64) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(self.epoch);
        header.set_size(size);
        header
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use union_build::diag::Code;

    use super::*;
    use crate::sys::fs::measure;

    #[test]
    fn archive_refuses_a_file_that_changed_after_measuring() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "before").unwrap();
        let measured = measure(&path).unwrap();
        let add = || {
            let mut archive = Archive::new(Vec::new(), PathBuf::from("archive"), 0);
            archive
                .file("file", &path, measured, 0o644)
                .and_then(|()| archive.finish())
        };
        let archive = add().unwrap();
        assert_eq!(
            tar::Archive::new(&archive[..]).entries().unwrap().count(),
            1
        );
        for content in ["behind", "short", "much longer", ""] {
            std::fs::write(&path, content).unwrap();
            let Err(error) = add() else {
                panic!("{content}")
            };
            assert_eq!(error.code(), Code::InputsMoved, "{content}");
        }
        std::fs::write(&path, "before").unwrap();
        add().unwrap();
    }

    #[test]
    fn archive_has_a_device_as_an_entry_with_its_numbers() {
        let device = Device {
            is_block: true,
            major: 7,
            minor: 300,
            mode: 0o660,
        };
        let mut archive = Archive::new(Vec::new(), PathBuf::from("context"), 7);
        archive
            .item(
                "disk",
                &Item {
                    to: "disk".to_owned(),
                    kind: ItemKind::Device(device),
                },
            )
            .unwrap();
        let bytes = archive.finish().unwrap();
        let mut archive = tar::Archive::new(&bytes[..]);
        let entry = archive.entries().unwrap().next().unwrap().unwrap();
        let header = entry.header();
        assert_eq!(
            (header.entry_type(), header.mode().unwrap()),
            (EntryType::Block, 0o660)
        );
        assert_eq!(
            (
                header.device_major().unwrap(),
                header.device_minor().unwrap()
            ),
            (Some(7), Some(300))
        );
    }

    #[test]
    fn archive_has_a_pipe_as_an_entry_without_content() {
        let mut archive = Archive::new(Vec::new(), PathBuf::from("context"), 7);
        archive
            .item(
                "pipe",
                &Item {
                    to: "pipe".to_owned(),
                    kind: ItemKind::Pipe,
                },
            )
            .unwrap();
        let bytes = archive.finish().unwrap();
        let mut archive = tar::Archive::new(&bytes[..]);
        let entry = archive.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(
            (entry.header().entry_type(), entry.header().mtime().unwrap()),
            (EntryType::Fifo, 7)
        );
    }
}
