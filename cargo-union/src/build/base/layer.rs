//! Reads a layer in one pass: its changes to the file tree, and the indexed contents of its files.

use std::cell::Cell;
use std::collections::HashMap;
use std::io::{self, BufReader, Read};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::file::index_stream;
use crate::image::index::{FsEntry, IndexedFile, LayerChange};
use crate::sys::digest::DiffId;

/// Streams a layer to its end and verifies its diff ID, under which the list is cached. Large files are written to
/// temporary files in `directory` while they are indexed.
pub(super) fn read(
    bytes: impl Read,
    diff_id: DiffId,
    directory: &Path,
) -> io::Result<Vec<LayerChange>> {
    let mut plain = HashReader {
        plain: decompress(bytes)?,
        hash: Sha256::new(),
    };
    let mut changes = Vec::new();
    let mut reader = LayerReader {
        indexed: HashMap::new(),
        directory,
    };
    // Some tools omit the end of an archive and the padding of its last file, which Go's reader accepts. The diff ID
    // detects whether anything else is missing.
    let padded = (&mut plain).chain(io::repeat(0).take(PADDING));
    let remaining = Cell::new(HEADERS);
    for entry in tar::Archive::new(LimitReader {
        inner: padded,
        remaining: &remaining,
    })
    .entries()?
    {
        remaining.set(u64::MAX);
        let mut entry = entry?;
        changes.extend(reader.change(&mut entry)?);
        // The holes of a sparse file are not in the archive, and their size is not limited.
        if !entry.header().entry_type().is_gnu_sparse() {
            io::copy(&mut entry, &mut io::sink())?;
            remaining.set(HEADERS);
        }
    }
    io::copy(&mut plain, &mut io::sink())?;
    let actual = DiffId::from_hasher(plain.hash);
    if actual != diff_id {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("its config has diff ID {diff_id}, its content {actual}"),
        ));
    }
    Ok(changes)
}

/// A block of padding, and the two blocks that end an archive.
const PADDING: u64 = 3 * 512;

/// The maximum size of the headers of an entry: names and extended attributes, which are held in memory. Go has the same
/// limit.
const HEADERS: u64 = 1 << 20;

/// Fails after a number of bytes that can be reset from outside.
struct LimitReader<'a, R> {
    inner: R,
    remaining: &'a Cell<u64>,
}

impl<R: Read> Read for LimitReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let limit = usize::try_from(self.remaining.get())
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        if limit == 0 && !buffer.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the name and attributes of a file have more than {HEADERS} bytes"),
            ));
        }
        let count = self.inner.read(&mut buffer[..limit])?;
        self.remaining.set(self.remaining.get() - count as u64);
        Ok(count)
    }
}

struct LayerReader<'a> {
    /// Indexed files by path, for hard links to them.
    indexed: HashMap<String, IndexedFile>,
    directory: &'a Path,
}

impl LayerReader<'_> {
    /// The change of an entry; `None` for the root itself.
    fn change(&mut self, entry: &mut tar::Entry<'_, impl Read>) -> io::Result<Option<LayerChange>> {
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let path = trimmed(&path);
        if path.is_empty() || path == "." {
            return Ok(None);
        }
        let kind = entry.header().entry_type();
        let target = |entry: &tar::Entry<'_, _>| {
            String::from_utf8_lossy(&entry.link_name_bytes().unwrap_or_default()).into_owned()
        };
        let node = if kind.is_dir() {
            FsEntry::Directory
        } else if kind.is_symlink() {
            FsEntry::Link(target(entry))
        } else {
            let indexed = match kind {
                tar::EntryType::Link => self.indexed.get(trimmed(&target(entry))).cloned(),
                _ if kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse() => {
                    index_stream(path, entry, self.directory)?
                }
                _ => None,
            };
            if let Some(file) = &indexed {
                self.indexed.insert(path.to_owned(), file.clone());
            }
            FsEntry::File(indexed)
        };
        Ok(Some(LayerChange::of(path, node)))
    }
}

fn trimmed(path: &str) -> &str {
    path.trim_start_matches("./").trim_matches('/')
}

/// Decompresses gzip and zstd by magic number, because the media types of old images are not always correct.
pub(in crate::build) fn decompress<'a>(file: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut file = BufReader::with_capacity(1 << 18, file);
    let start = io::BufRead::fill_buf(&mut file)?;
    if start.starts_with(&[0x1f, 0x8b]) {
        Ok(Box::new(BufReader::with_capacity(
            1 << 18,
            flate2::bufread::MultiGzDecoder::new(file),
        )))
    } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Ok(Box::new(zstd::stream::read::Decoder::with_buffer(file)?))
    } else {
        Ok(Box::new(file))
    }
}

struct HashReader<'a> {
    plain: Box<dyn Read + 'a>,
    hash: Sha256,
}

impl Read for HashReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.plain.read(buffer)?;
        self.hash.update(&buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
