//! Extracts from single files, of the host or of a layer, what a file index stores.

use std::io::{self, Read, Seek};
use std::path::Path;

use object::read::ReadCache;

use crate::image::index::IndexedFile;
use crate::sys::error::Result;
use crate::sys::fs;

/// Indexes a file of the host that has the path `path` in an image.
pub(in crate::build) fn index_file(path: &str, from: &Path) -> Result<Option<IndexedFile>> {
    let index = || -> io::Result<Option<IndexedFile>> {
        let mut file = std::fs::File::open(from)?;
        let start = start(&mut file)?;
        file.rewind()?;
        Ok(IndexedFile::is_possible(path, &start)
            .then(|| IndexedFile::of(path, &ReadCache::new(file)))
            .flatten())
    };
    index().map_err(|cause| fs::unreadable(from, cause))
}

/// Indexes a file of a stream; a large one is written to a temporary file in `directory` meanwhile.
pub(super) fn index_stream(
    path: &str,
    mut stream: impl Read,
    directory: &Path,
) -> io::Result<Option<IndexedFile>> {
    let start = start(&mut stream)?;
    if !IndexedFile::is_possible(path, &start) {
        return Ok(None);
    }
    let file = fs::spool_to_tempfile((&start[..]).chain(stream), directory)?;
    Ok(IndexedFile::of(path, &ReadCache::new(file)))
}

fn start(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut start = Vec::with_capacity(IndexedFile::START);
    stream
        .take(IndexedFile::START as u64)
        .read_to_end(&mut start)?;
    Ok(start)
}
