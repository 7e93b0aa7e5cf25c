//! Messages on stderr: one line each, with a marker that distinguishes it from lines of the program.

use crate::system::{self, Errno};

/// The maximum number of bytes that are written to a pipe without being mixed with other lines (`PIPE_BUF`).
const LONGEST: usize = 4096;

/// Written in place of text that does not fit, and at the end.
const CUT: &[u8] = b"...\n";

/// A line that is being composed. Text that does not fit is left out.
pub struct Line {
    bytes: [u8; LONGEST],
    length: usize,
    is_cut: bool,
}

impl Line {
    /// A remark.
    #[inline(never)]
    pub fn new() -> Self {
        let mut line = Self {
            bytes: [0; LONGEST],
            length: 0,
            is_cut: false,
        };
        line.text("cargo union launcher: ");
        line
    }

    /// An error.
    #[inline(never)]
    pub fn error() -> Self {
        let mut line = Self::new();
        line.text("error: ");
        line
    }

    /// Adds text of the launcher itself.
    #[inline(never)]
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.push(text.as_bytes());
        self
    }

    /// Adds foreign bytes: control characters, and what is not UTF-8, are escaped.
    #[inline(never)]
    pub fn foreign(&mut self, bytes: &[u8]) -> &mut Self {
        let mut rest = bytes;
        while !rest.is_empty() && !self.is_cut {
            let (valid, invalid) = split_text(rest);
            for letter in valid.chars() {
                self.letter(letter);
            }
            rest = &rest[valid.len()..];
            for byte in &rest[..invalid] {
                self.escape("\\x", u32::from(*byte), 2);
            }
            rest = &rest[invalid..];
        }
        self
    }

    /// Adds foreign bytes in backticks.
    #[inline(never)]
    pub fn quoted(&mut self, bytes: &[u8]) -> &mut Self {
        self.text("`").foreign(bytes).text("`")
    }

    /// Adds a number.
    pub fn number(&mut self, number: u64) -> &mut Self {
        let mut digits = [0; 20];
        let mut rest = number;
        let mut start = digits.len();
        while rest > 0 || start == digits.len() {
            start -= 1;
            digits[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        self.push(&digits[start..]);
        self
    }

    /// Adds the meaning of an error number, as Rust shows it.
    pub fn errno(&mut self, errno: Errno) -> &mut Self {
        self.text(errno.words())
            .text(" (os error ")
            .number(u64::from(errno.0.unsigned_abs()))
            .text(")")
    }

    /// Writes the line.
    #[inline(never)]
    pub fn send(&mut self) {
        let end: &[u8] = if self.is_cut { CUT } else { b"\n" };
        // `push` has left space for it.
        self.bytes[self.length..self.length + end.len()].copy_from_slice(end);
        system::write_stderr(&self.bytes[..self.length + end.len()]);
    }

    fn letter(&mut self, letter: char) {
        match letter {
            '\n' => self.push(b"\\n"),
            '\r' => self.push(b"\\r"),
            '\t' => self.push(b"\\t"),
            '\0'..='\x1f' | '\x7f'..='\u{9f}' => self.escape("\\x", u32::from(letter), 2),
            // These change the order in which a terminal shows the text after them.
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                self.escape("\\u", u32::from(letter), 4)
            }
            letter => self.push(letter.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }

    fn escape(&mut self, prefix: &str, number: u32, digits: u32) {
        let mut escaped = [0; 6];
        let mut length = 0;
        let hex = (0..digits)
            .rev()
            .map(|digit| b"0123456789abcdef"[(number >> (digit * 4) & 0xf) as usize]);
        for (place, byte) in escaped.iter_mut().zip(prefix.bytes().chain(hex)) {
            *place = byte;
            length += 1;
        }
        self.push(&escaped[..length]);
    }

    /// Adds all of these bytes, or none when they do not fit.
    #[inline(never)]
    fn push(&mut self, bytes: &[u8]) {
        let end = self.length.saturating_add(bytes.len());
        if self.is_cut || end > LONGEST - CUT.len() {
            self.is_cut = true;
            return;
        }
        self.bytes[self.length..end].copy_from_slice(bytes);
        self.length = end;
    }
}

/// The text at the start of some bytes, and how many bytes after it are not text.
fn split_text(bytes: &[u8]) -> (&str, usize) {
    match core::str::from_utf8(bytes) {
        Ok(text) => (text, 0),
        Err(error) => {
            let (valid, rest) = bytes.split_at(error.valid_up_to());
            let invalid = error.error_len().unwrap_or(rest.len());
            (core::str::from_utf8(valid).unwrap_or(""), invalid)
        }
    }
}
