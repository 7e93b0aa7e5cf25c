//! Paths in a buffer of their own.

use core::ffi::CStr;

/// The longest path that Linux takes, with the zero at its end.
const LONGEST: usize = 4096;

/// A path that ends with a zero.
pub struct Path {
    bytes: [u8; LONGEST],
}

impl Path {
    /// The parts one after the other; `None` when they are too long or hold a zero.
    pub fn of(parts: &[&[u8]]) -> Option<Self> {
        let mut bytes = [0; LONGEST];
        let mut length = 0;
        for byte in parts.iter().flat_map(|part| part.iter()) {
            // The last byte stays zero.
            if *byte == 0 || length + 1 >= LONGEST {
                return None;
            }
            *bytes.get_mut(length)? = *byte;
            length += 1;
        }
        Some(Self { bytes })
    }

    pub fn text(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or(c"")
    }
}
