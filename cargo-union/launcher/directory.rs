//! The entries of a directory.

use core::ffi::CStr;

use crate::system::{self, Errno, FileDescriptor, Kind};

/// The longest name of an entry.
const LONGEST_NAME: usize = 255;

/// The name of an entry, copied from the buffer that it was read into.
#[derive(Clone, Copy)]
pub struct Name {
    bytes: [u8; LONGEST_NAME],
    length: u8,
}

impl Name {
    fn of(name: &[u8]) -> Self {
        let mut bytes = [0; LONGEST_NAME];
        let length = name.len().min(LONGEST_NAME);
        bytes[..length].copy_from_slice(&name[..length]);
        Self {
            bytes,
            length: length as u8,
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// An open directory.
pub struct Directory(FileDescriptor);

/// Opens a directory, also through a symbolic link.
pub fn open(path: &CStr) -> Result<Directory, Errno> {
    system::open_directory(path).map(Directory)
}

impl Directory {
    /// Calls a function with name and kind of each entry, in the order of the file system. Some file systems do not
    /// return the kind.
    pub fn for_each(&self, mut visit: impl FnMut(&[u8], Option<Kind>)) -> Result<(), Errno> {
        let mut buffer = [0; 2048];
        loop {
            let count = system::read_entries(&self.0, &mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            for (name, kind) in Entries(&buffer[..count]) {
                visit(name, kind);
            }
        }
    }
}

/// The smallest name that a predicate accepts, after another name.
pub fn next_name(
    path: &CStr,
    after: Option<&Name>,
    accepts: impl Fn(&[u8]) -> bool,
) -> Result<Option<Name>, Errno> {
    let mut smallest: Option<Name> = None;
    open(path)?.for_each(|name, _| {
        let is_after = after.is_none_or(|after| name > after.bytes());
        let is_smaller = smallest.is_none_or(|smallest| name < smallest.bytes());
        if is_after && is_smaller && accepts(name) {
            smallest = Some(Name::of(name));
        }
    })?;
    Ok(smallest)
}

/// The entries in the kernel's list, without `.` and `..`. Each has 16 bytes of numbers, its length in 2 bytes, its kind in 1
/// byte, and its name with a zero at the end.
struct Entries<'a>(&'a [u8]);

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a [u8], Option<Kind>);

    fn next(&mut self) -> Option<Self::Item> {
        const LENGTH: usize = 16;
        const KIND: usize = 18;
        const NAME: usize = 19;
        loop {
            let length = usize::from(u16::from_ne_bytes([
                *self.0.get(LENGTH)?,
                *self.0.get(LENGTH + 1)?,
            ]));
            let name = self.0.get(NAME..length)?.split(|byte| *byte == 0).next()?;
            let kind = match self.0.get(KIND)? {
                0 => None,
                4 => Some(Kind::Directory),
                8 => Some(Kind::File),
                10 => Some(Kind::Link),
                _ => Some(Kind::Other),
            };
            self.0 = self.0.get(length..)?;
            if name != b"." && name != b".." {
                return Some((name, kind));
            }
        }
    }
}
