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
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn layer() -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(4);
        tar.append_data(&mut header, "./etc/passwd", &b"text"[..])
            .unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        tar.append_link(&mut header, "./bin", "usr/bin").unwrap();
        tar.into_inner().unwrap()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::Write::write_all(&mut encoder, bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read_tar(bytes: Vec<u8>, diff_id: DiffId) -> io::Result<Vec<LayerChange>> {
        let directory = tempfile::tempdir().unwrap();
        read(&bytes[..], diff_id, directory.path())
    }

    #[test]
    fn uncompressed_multi_member_gzip_and_zstd_layers_are_read() {
        let tar = layer();
        let members = [gzip(&tar[..700]), gzip(&tar[700..])].concat();
        for bytes in [tar.clone(), members, zstd::bulk::compress(&tar, 1).unwrap()] {
            let changes = read_tar(bytes, DiffId::of(&tar)).unwrap();
            let text = FsEntry::File(Some(IndexedFile::Text("text".to_owned())));
            let expected = [
                LayerChange::Put("etc/passwd".to_owned(), text),
                LayerChange::Put("bin".to_owned(), FsEntry::Link("usr/bin".to_owned())),
            ];
            assert_eq!(changes, expected);
        }
    }

    #[test]
    fn unpadded_layer_is_read_and_truncated_layer_is_refused() {
        let complete = layer();
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(4);
        tar.append_data(&mut header, "./etc/passwd", &b"text"[..])
            .unwrap();
        let tar = &tar.get_ref()[..512 + 4];
        let text = FsEntry::File(Some(IndexedFile::Text("text".to_owned())));
        assert_eq!(
            read_tar(tar.to_vec(), DiffId::of(tar)).unwrap(),
            [LayerChange::Put("etc/passwd".to_owned(), text)]
        );
        for end in [0, 100, 512, 514, 516, complete.len() - 1] {
            assert!(
                read_tar(complete[..end].to_vec(), DiffId::of(&complete)).is_err(),
                "{end}"
            );
        }
    }

    #[test]
    fn layer_with_another_diff_id_is_refused() {
        assert!(
            read_tar(layer(), DiffId::of("another"))
                .unwrap_err()
                .to_string()
                .contains("diff ID")
        );
    }

    #[test]
    fn large_libraries_and_hard_links_to_them_are_indexed() {
        let words = ["-shared", "-nostdlib", "-Wl,-soname,liblarge.so.1"];
        let compiler = union_tests::c::CCompiler::default();
        let library =
            std::fs::read(compiler.cc("large.so", "const char large[5000000] = { 1 };\n", &words))
                .unwrap();
        assert!(library.len() > 4 << 20, "more than what is held in memory");
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(library.len() as u64);
        tar.append_data(&mut header, "usr/lib/liblarge.so.1", &library[..])
            .unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Link);
        header.set_size(0);
        tar.append_link(&mut header, "usr/lib/again.so", "usr/lib/liblarge.so.1")
            .unwrap();
        let tar = tar.into_inner().unwrap();
        let changes = read_tar(tar.clone(), DiffId::of(&tar)).unwrap();
        let names = changes.iter().map(|change| match change {
            LayerChange::Put(_, FsEntry::File(Some(IndexedFile::Library(facts)))) => {
                facts.read().unwrap().soname.unwrap()
            }
            other => panic!("{other:?}"),
        });
        assert_eq!(names.collect::<Vec<_>>(), ["liblarge.so.1"; 2]);
    }

    proptest::proptest! {
        #[test]
        fn reading_a_layer_never_panics(changes in proptest::collection::vec((0..2048_usize, proptest::prelude::any::<u8>()), 0..20), end in 0..4096_usize) {
            let mut tar = layer();
            for (at, byte) in changes {
                let at = at % tar.len();
                tar[at] = byte;
            }
            tar.truncate(end);
            for bytes in [gzip(&tar), tar] {
                let _ = read_tar(bytes.clone(), DiffId::of(&bytes));
            }
        }
    }

    #[test]
    fn too_large_extended_attributes_are_refused() {
        let layer = |length: u64| {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(tar::EntryType::XHeader);
            header.set_path("pax").unwrap();
            header.set_size(length);
            header.set_cksum();
            let value = format!("{length} comment=");
            let padding = io::repeat(b'x').take(length - value.len() as u64 - 1);
            let attributes = io::Cursor::new([header.as_bytes(), value.as_bytes()].concat())
                .chain(padding)
                .chain(&b"\n"[..]);
            attributes
                .chain(io::repeat(0).take(length.next_multiple_of(512) - length))
                .chain(io::Cursor::new(self::layer()))
        };
        let directory = tempfile::tempdir().unwrap();
        let diff_id = |length| {
            let mut bytes = Vec::new();
            layer(length).read_to_end(&mut bytes).unwrap();
            DiffId::of(&bytes)
        };
        assert!(read(layer(100_000), diff_id(100_000), directory.path()).is_ok());
        let error = read(layer(64 << 30), diff_id(1000), directory.path()).unwrap_err();
        assert!(
            error.to_string().contains("more than 1048576 bytes"),
            "{error}"
        );
    }
}
