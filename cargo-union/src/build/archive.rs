//! A build context: a tar with files of the host, and nothing of the host but names, contents and whether
//! something is executable.

use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};

use tar::{EntryType, Header};

use super::sources::{Item, ItemKind};
use crate::base::error::Result;
use crate::base::fs::{self, measure};

/// An archive that is being written.
pub(super) struct Archive<W: Write> {
    tar: tar::Builder<W>,
    /// The file that it becomes, as errors name it.
    path: PathBuf,
    /// Seconds since 1970 of every entry.
    epoch: u64,
}

impl<W: Write> Archive<W> {
    pub(super) fn new(to: W, path: PathBuf, epoch: u64) -> Self {
        Self { tar: tar::Builder::new(to), path, epoch }
    }

    /// Adds everything that one `copy` brings, below a place.
    pub(super) fn copied(&mut self, place: &str, items: &[Item]) -> Result<()> {
        let top = items.first().map_or("", |item| &item.to);
        for item in items {
            let below = item.to.strip_prefix(top).unwrap_or_default().trim_start_matches('/');
            let place = if below.is_empty() { place.to_owned() } else { format!("{place}/{below}") };
            self.item(&place, item)?;
        }
        Ok(())
    }

    pub(super) fn item(&mut self, place: &str, item: &Item) -> Result<()> {
        match &item.what {
            ItemKind::Folder => self.entry(place, EntryType::Directory, 0o755, 0, io::empty()),
            ItemKind::File { from, mode, measured } => {
                let file = std::fs::File::open(from).map_err(|cause| fs::unreadable(from, cause))?;
                self.entry(place, EntryType::Regular, *mode, measured.size, BufReader::with_capacity(1 << 18, file))
            }
            ItemKind::Link(target) => {
                let mut header = self.header(EntryType::Symlink, 0o777, 0);
                self.tar.append_link(&mut header, place, target).map_err(|cause| fs::unwritable(&self.path, cause))
            }
        }
    }

    pub(super) fn file(&mut self, place: &str, from: &Path, mode: u32) -> Result<()> {
        let size = measure(from)?.size;
        let file = std::fs::File::open(from).map_err(|cause| fs::unreadable(from, cause))?;
        self.entry(place, EntryType::Regular, mode, size, file)
    }

    pub(super) fn bytes(&mut self, place: &str, bytes: &[u8]) -> Result<()> {
        self.entry(place, EntryType::Regular, 0o644, bytes.len() as u64, bytes)
    }

    /// Ends it, and gives back what it was written to.
    pub(super) fn finish(self) -> Result<W> {
        let path = self.path;
        self.tar.into_inner().map_err(|cause| fs::unwritable(&path, cause))
    }

    fn entry(&mut self, place: &str, kind: EntryType, mode: u32, size: u64, content: impl io::Read) -> Result<()> {
        let mut header = self.header(kind, mode, size);
        // A file that grows meanwhile must not run into the next entry.
        let content = io::Read::take(content, size);
        self.tar.append_data(&mut header, place, content).map_err(|cause| fs::unwritable(&self.path, cause))
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
