//! Paths that are put together in a buffer of fixed size.

use core::ffi::CStr;

/// The longest path that the kernel takes, with the zero at its end.
const SPACE: usize = 4096;

/// A path.
#[derive(Clone)]
pub struct Path {
    bytes: [u8; SPACE],
    /// Without the zero.
    length: usize,
}

/// A path that the kernel would not take.
pub struct TooLong;

impl Path {
    pub fn new() -> Self {
        Self {
            bytes: [0; SPACE],
            length: 0,
        }
    }

    /// A path of these bytes, without slashes at its end.
    pub fn of_directory(path: &[u8]) -> Result<Self, TooLong> {
        let end = path
            .iter()
            .rposition(|byte| *byte != b'/')
            .map_or(path.len().min(1), |last| last + 1);
        let mut directory = Self::new();
        directory.push_bytes(&path[..end])?;
        Ok(directory)
    }

    /// Adds an entry of the directory that this is the path of.
    pub fn push(&mut self, name: &[u8]) -> Result<(), TooLong> {
        let before = self.length;
        let slash: &[u8] = if matches!(self.bytes(), [] | [.., b'/']) {
            b""
        } else {
            b"/"
        };
        self.push_bytes(slash)?;
        self.push_bytes(name).inspect_err(|_| self.truncate(before))
    }

    /// Adds bytes as they are.
    pub fn push_bytes(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        let end = self.length.saturating_add(bytes.len());
        if end >= SPACE {
            return Err(TooLong);
        }
        self.bytes[self.length..end].copy_from_slice(bytes);
        self.bytes[end] = 0;
        self.length = end;
        Ok(())
    }

    /// Takes back what was added after it had this length.
    pub fn truncate(&mut self, length: usize) {
        self.length = length.min(self.length);
        self.bytes[self.length] = 0;
    }

    pub fn length(&self) -> usize {
        self.length
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Whether it comes before another path, by the names in it.
    pub fn is_before(&self, other: &Self) -> bool {
        // No name has a byte below the slash's place here.
        let ordered = |path: &Self, position: usize| {
            path.bytes()
                .get(position)
                .map(|byte| if *byte == b'/' { 0 } else { *byte })
        };
        let differs = (0..=self.length)
            .find(|position| ordered(self, *position) != ordered(other, *position));
        differs.is_some_and(|position| ordered(self, position) < ordered(other, position))
    }

    /// The path for a system call; empty when a name in it had a zero, which no name has.
    pub fn text(&self) -> &CStr {
        CStr::from_bytes_with_nul(&self.bytes[..=self.length]).unwrap_or_default()
    }
}
