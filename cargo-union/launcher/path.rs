//! Paths that are put together in a buffer of fixed size.

use core::ffi::CStr;

/// The longest path that the kernel accepts, with the zero at its end.
const SPACE: usize = 4096;

/// A path.
#[derive(Clone)]
pub struct Path {
    bytes: [u8; SPACE],
    /// Without the zero.
    length: usize,
}

/// A path is longer than the kernel accepts.
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

    /// Adds bytes without a slash before them.
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

    /// Removes what was added after the path had this length.
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

    /// Whether it is sorted before another path, name by name.
    pub fn is_before(&self, other: &Self) -> bool {
        // A slash is sorted before every other byte.
        let ordered = |path: &Self, position: usize| {
            path.bytes()
                .get(position)
                .map(|byte| if *byte == b'/' { 0 } else { *byte })
        };
        let differs = (0..=self.length)
            .find(|position| ordered(self, *position) != ordered(other, *position));
        differs.is_some_and(|position| ordered(self, position) < ordered(other, position))
    }

    /// The path for a system call; empty if a name in it contains a zero, which names of entries do not.
    pub fn text(&self) -> &CStr {
        CStr::from_bytes_with_nul(&self.bytes[..=self.length]).unwrap_or_default()
    }
}
