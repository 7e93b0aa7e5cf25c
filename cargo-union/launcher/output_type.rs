//! The types of outputs that Flyte's copilot uploads, and the grammar of each.
//!
//! This file is part of two programs, so that they cannot disagree: the launcher, and `copilot` in cargo-union. It
//! needs `core` only.

/// The most bytes of an output that is not a file.
pub const LONGEST: u64 = 1024;

/// What copilot trims from a text, and nothing else.
pub const TRIMMED: [char; 3] = [' ', '\n', '\t'];

/// A type of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputType {
    Integer,
    Float,
    String,
    Boolean,
    Datetime,
    Duration,
    Struct,
    File,
    Directory,
}

impl OutputType {
    /// The type with this word of the manifest.
    pub fn of(word: &str) -> Option<Self> {
        Some(match word {
            "integer" => Self::Integer,
            "float" => Self::Float,
            "string" => Self::String,
            "boolean" => Self::Boolean,
            "datetime" => Self::Datetime,
            "duration" => Self::Duration,
            "struct" => Self::Struct,
            "file" => Self::File,
            "directory" => Self::Directory,
            _ => return None,
        })
    }

    /// What is expected, as messages say it.
    pub fn expected(self) -> &'static str {
        match self {
            Self::Integer => "a whole number such as `21`",
            Self::Float => "a number such as `0.5`",
            Self::String => "a string",
            Self::Boolean => "`true` or `false`",
            Self::Datetime => "a time such as `2030-01-31T12:00:00Z`",
            Self::Duration => "a duration such as `1h30m0s`",
            Self::Struct => "a JSON object such as `{\"a\": 1}`",
            Self::File => "a file",
            Self::Directory => "a directory",
        }
    }

    /// Whether copilot accepts a trimmed text as a value of this type.
    pub fn accepts(self, text: &str) -> bool {
        match self {
            Self::Integer => text.parse::<i64>().is_ok(),
            Self::Float => text.parse::<f64>().is_ok(),
            Self::Boolean => {
                matches!(
                    text,
                    "1" | "t"
                        | "T"
                        | "true"
                        | "True"
                        | "TRUE"
                        | "0"
                        | "f"
                        | "F"
                        | "false"
                        | "False"
                        | "FALSE"
                )
            }
            Self::Datetime => is_datetime(text.as_bytes()),
            Self::Duration => is_duration(text),
            Self::Struct => is_json_object(text.as_bytes()),
            Self::String | Self::File | Self::Directory => true,
        }
    }
}

/// RFC 3339 with the upper-case letters that Go requires: `2030-01-31T12:00:00.5+02:00`.
fn is_datetime(text: &[u8]) -> bool {
    let mut rest = Digits(text);
    let (Some(year), true, Some(month), true, Some(day), true) = (
        rest.number(4),
        rest.skip(b'-'),
        rest.number(2),
        rest.skip(b'-'),
        rest.number(2),
        rest.skip(b'T'),
    ) else {
        return false;
    };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if year < 1 || !(1..=12).contains(&month) || !(1..=days).contains(&day) {
        return false;
    }
    let (Some(hour), true, Some(minute), true, Some(second)) = (
        rest.number(2),
        rest.skip(b':'),
        rest.number(2),
        rest.skip(b':'),
        rest.number(2),
    ) else {
        return false;
    };
    if hour > 23 || minute > 59 || second > 59 {
        return false;
    }
    if rest.skip(b'.') {
        let digits = rest
            .0
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if !(1..=9).contains(&digits) {
            return false;
        }
        rest.0 = rest.0.get(digits..).unwrap_or_default();
    }
    if rest.skip(b'Z') {
        return rest.0.is_empty();
    }
    if !rest.skip(b'+') && !rest.skip(b'-') {
        return false;
    }
    let (Some(hours), true, Some(minutes)) = (rest.number(2), rest.skip(b':'), rest.number(2))
    else {
        return false;
    };
    hours <= 23 && minutes <= 59 && rest.0.is_empty()
}

/// What is left to be read of a text.
struct Digits<'a>(&'a [u8]);

impl Digits<'_> {
    /// A number of exactly so many digits.
    fn number(&mut self, digits: usize) -> Option<u32> {
        let (number, rest) = (self.0.get(..digits)?, self.0.get(digits..)?);
        self.0 = rest;
        number.iter().try_fold(0, |sum: u32, byte| {
            byte.is_ascii_digit()
                .then(|| sum * 10 + u32::from(byte - b'0'))
        })
    }

    fn skip(&mut self, byte: u8) -> bool {
        match self.0.split_first() {
            Some((first, rest)) if *first == byte => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }
}

/// The units of Go's `time.ParseDuration`, in nanoseconds.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

fn is_duration(text: &str) -> bool {
    let text = text
        .strip_prefix('-')
        .or_else(|| text.strip_prefix('+'))
        .unwrap_or(text);
    if text == "0" {
        return true;
    }
    let mut nanoseconds = 0_u64;
    let mut rest = text;
    while !rest.is_empty() {
        match duration_part(rest) {
            Some((part, after)) => match nanoseconds.checked_add(part) {
                Some(sum) if i64::try_from(sum).is_ok() => (nanoseconds, rest) = (sum, after),
                _ => return false,
            },
            None => return false,
        }
    }
    !text.is_empty()
}

/// The nanoseconds of the first number and unit, and what follows them.
fn duration_part(text: &str) -> Option<(u64, &str)> {
    let is_number = |letter: char| letter.is_ascii_digit() || letter == '.';
    let digits = text.find(|letter| !is_number(letter))?;
    let (number, after) = (text.get(..digits)?, text.get(digits..)?);
    let (unit, after) = match after.find(is_number) {
        Some(end) => (after.get(..end)?, after.get(end..)?),
        None => (after, ""),
    };
    let (_, length) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let whole = whole
        .checked_mul(*length)
        .filter(|whole| i64::try_from(*whole).is_ok())?;
    whole
        .checked_add(part_of_unit(fraction, *length))
        .map(|sum| (sum, after))
}

/// A decimal fraction of a unit; what is less than a nanosecond is left out.
fn part_of_unit(fraction: &str, length: u64) -> u64 {
    let mut scale = length;
    let mut sum = 0;
    for digit in fraction.bytes() {
        scale /= 10;
        sum += scale * u64::from(digit - b'0');
    }
    sum
}

/// How deep objects and lists may lie in one another: as deep as `serde_json` reads.
const DEEPEST: usize = 127;

/// Whether a text is one JSON object (RFC 8259).
fn is_json_object(text: &[u8]) -> bool {
    let mut json = Json { rest: text };
    json.skip_blanks();
    json.rest.first() == Some(&b'{') && json.value(0) && {
        json.skip_blanks();
        json.rest.is_empty()
    }
}

struct Json<'a> {
    rest: &'a [u8],
}

impl Json<'_> {
    fn skip_blanks(&mut self) {
        while let [b' ' | b'\n' | b'\r' | b'\t', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    fn skip(&mut self, word: &[u8]) -> bool {
        match self.rest.strip_prefix(word) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self, depth: usize) -> bool {
        match self.rest.first() {
            Some(b'{') => depth < DEEPEST && self.items(b"{", b"}", |json| json.member(depth)),
            Some(b'[') => depth < DEEPEST && self.items(b"[", b"]", |json| json.value(depth + 1)),
            Some(b'"') => self.string(),
            Some(b't') => self.skip(b"true"),
            Some(b'f') => self.skip(b"false"),
            Some(b'n') => self.skip(b"null"),
            _ => self.number(),
        }
    }

    fn items(
        &mut self,
        open: &[u8],
        close: &[u8],
        mut item: impl FnMut(&mut Self) -> bool,
    ) -> bool {
        self.skip(open);
        self.skip_blanks();
        if self.skip(close) {
            return true;
        }
        loop {
            self.skip_blanks();
            if !item(self) {
                return false;
            }
            self.skip_blanks();
            if self.skip(close) {
                return true;
            }
            if !self.skip(b",") {
                return false;
            }
        }
    }

    fn member(&mut self, depth: usize) -> bool {
        if !self.string() {
            return false;
        }
        self.skip_blanks();
        if !self.skip(b":") {
            return false;
        }
        self.skip_blanks();
        self.value(depth + 1)
    }

    fn string(&mut self) -> bool {
        if !self.skip(b"\"") {
            return false;
        }
        while let [byte, rest @ ..] = self.rest {
            self.rest = rest;
            match byte {
                b'"' => return true,
                b'\\' if !self.escape() => return false,
                0..=0x1f => return false,
                _ => {}
            }
        }
        false
    }

    fn escape(&mut self) -> bool {
        match self.rest {
            [
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't',
                rest @ ..,
            ] => {
                self.rest = rest;
                true
            }
            [b'u', ..] => match self.unit() {
                // A high surrogate needs a low one after it.
                Some(0xd800..=0xdbff) => {
                    matches!(self.rest, [b'\\', ..]) && {
                        self.skip(b"\\");
                        matches!(self.unit(), Some(0xdc00..=0xdfff))
                    }
                }
                Some(0xdc00..=0xdfff) | None => false,
                Some(_) => true,
            },
            _ => false,
        }
    }

    /// `uXXXX`
    fn unit(&mut self) -> Option<u32> {
        let [b'u', digits @ ..] = self.rest else {
            return None;
        };
        let mut unit = 0;
        for digit in digits.get(..4)? {
            unit = unit * 16 + char::from(*digit).to_digit(16)?;
        }
        self.rest = digits.get(4..)?;
        Some(unit)
    }

    fn number(&mut self) -> bool {
        let start = self.rest;
        self.skip(b"-");
        if !self.skip(b"0") && !self.digits() {
            return false;
        }
        if self.skip(b".") && !self.digits() {
            return false;
        }
        if (self.skip(b"e") || self.skip(b"E")) && {
            if !self.skip(b"+") {
                self.skip(b"-");
            }
            !self.digits()
        } {
            return false;
        }
        // One that is larger than any number of 64 bits is refused.
        let length = start.len() - self.rest.len();
        let text = start
            .get(..length)
            .and_then(|text| core::str::from_utf8(text).ok());
        text.and_then(|text| text.parse::<f64>().ok())
            .is_some_and(f64::is_finite)
    }

    fn digits(&mut self) -> bool {
        let count = self
            .rest
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        self.rest = self.rest.get(count..).unwrap_or_default();
        count > 0
    }
}
