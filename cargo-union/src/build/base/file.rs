//! Looking into single files, of the host or of a layer, for what an index keeps of them.

use std::io::{self, Read, Seek};
use std::path::Path;

use object::read::ReadCache;

use crate::image::index::IndexedFile;
use crate::sys::error::Result;
use crate::sys::fs;

/// What is to be kept of a file of the host that stands at a path of an image.
pub(in crate::build) fn of_file(path: &str, from: &Path) -> Result<Option<IndexedFile>> {
    let looked = || -> io::Result<Option<IndexedFile>> {
        let mut file = std::fs::File::open(from)?;
        let start = start(&mut file)?;
        file.rewind()?;
        Ok(IndexedFile::is_possible(path, &start).then(|| IndexedFile::of(path, &ReadCache::new(file))).flatten())
    };
    looked().map_err(|cause| fs::unreadable(from, cause))
}

/// What is to be kept of a file that is only streamed past; a large one is set down in a folder meanwhile.
pub(super) fn of_stream(path: &str, mut stream: impl Read, folder: &Path) -> io::Result<Option<IndexedFile>> {
    let start = start(&mut stream)?;
    if !IndexedFile::is_possible(path, &start) {
        return Ok(None);
    }
    let whole = fs::spool_to_tempfile((&start[..]).chain(stream), folder)?;
    Ok(IndexedFile::of(path, &ReadCache::new(whole)))
}

fn start(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut start = Vec::with_capacity(IndexedFile::START);
    stream.take(IndexedFile::START as u64).read_to_end(&mut start)?;
    Ok(start)
}
