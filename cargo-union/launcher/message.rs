//! Messages on stderr. Each is one write, so that lines of the program do not come between.

use crate::syscall;

/// What every line of the launcher begins with.
const MARKER: &str = "cargo union launcher: ";

/// The longest line; what is beyond is left out.
const LONGEST: usize = 2048;

/// A line that is written when it is complete.
pub struct Message {
    line: [u8; LONGEST],
    length: usize,
}

impl Message {
    /// A line that informs.
    pub fn note() -> Self {
        Self {
            line: [0; LONGEST],
            length: 0,
        }
        .text(MARKER)
    }

    /// A line that says what is wrong.
    pub fn error() -> Self {
        Self::note().text("error: ")
    }

    pub fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    /// Bytes of others: what is not printable ASCII or part of a UTF-8 text is replaced.
    pub fn quoted(mut self, bytes: &[u8]) -> Self {
        self = self.text("`");
        for byte in bytes {
            let shown = if *byte < 0x20 || *byte == 0x7f {
                b'?'
            } else {
                *byte
            };
            self = self.bytes(&[shown]);
        }
        self.text("`")
    }

    pub fn number(self, number: u64) -> Self {
        let mut digits = [0; 20];
        let mut start = digits.len();
        let mut rest = number;
        loop {
            start -= 1;
            digits[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                return self.bytes(digits.get(start..).unwrap_or_default());
            }
        }
    }

    /// Ends the line, and writes it.
    pub fn send(mut self) {
        if self.length == LONGEST {
            self.length -= 1;
        }
        self = self.bytes(b"\n");
        let mut rest = self.line.get(..self.length).unwrap_or_default();
        while let Ok(written @ 1..) = syscall::write(2, rest) {
            rest = rest.get(written..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
        }
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        for byte in bytes {
            if let Some(place) = self.line.get_mut(self.length) {
                *place = *byte;
                self.length += 1;
            }
        }
        self
    }
}
