//! The types of outputs, and the texts that Flyte's copilot accepts for each.
//!
//! The launcher and the `copilot` module of `cargo union` compile this one file, so that both accept the same texts. It
//! uses only `core`, does not allocate, and stays within its inputs.

/// The maximum size in bytes of an output that is neither a file nor a directory.
pub(crate) const MAX_BYTES: u64 = 1024;

/// A type that copilot can upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputType {
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

/// All types and the words for them, which are those of a manifest.
const WORDS: [(&str, OutputType); 9] = [
    ("integer", OutputType::Integer),
    ("float", OutputType::Float),
    ("string", OutputType::String),
    ("boolean", OutputType::Boolean),
    ("datetime", OutputType::Datetime),
    ("duration", OutputType::Duration),
    ("struct", OutputType::Struct),
    ("file", OutputType::File),
    ("directory", OutputType::Directory),
];

impl OutputType {
    /// The type with this word.
    pub(crate) fn of(word: &str) -> Option<Self> {
        WORDS
            .iter()
            .find(|(known, _)| *known == word)
            .map(|(_, ty)| *ty)
    }

    /// What the program must write, as messages name it.
    pub(crate) fn expected(self) -> &'static str {
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

    /// Whether copilot accepts a text, once it is [trimmed](trim), as a value of this type.
    pub(crate) fn accepts(self, text: &str) -> bool {
        match self {
            Self::Integer => text.parse::<i64>().is_ok(),
            Self::Float => is_float(text.as_bytes()),
            Self::Boolean => parse_boolean(text).is_some(),
            Self::Datetime => is_datetime(text.as_bytes()),
            Self::Duration => parse_duration(text).is_some(),
            Self::Struct => is_json_object(text.as_bytes()),
            Self::String | Self::File | Self::Directory => true,
        }
    }
}

/// Removes the characters that copilot removes from both ends, also of strings.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(|letter| matches!(letter, ' ' | '\n' | '\t'))
}

/// The words that Go's `strconv.ParseBool` accepts.
pub(crate) fn parse_boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "True" | "TRUE" => Some(true),
        "0" | "f" | "F" | "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// Whether Go's `strconv.ParseFloat` accepts a text. Hexadecimal numbers, which Go also accepts, are refused: no other
/// part of this tool reads them.
fn is_float(text: &[u8]) -> bool {
    let (_, unsigned) = split_sign(text);
    // Go accepts a sign before an infinity only.
    if text.eq_ignore_ascii_case(b"nan")
        || [&b"inf"[..], b"infinity"]
            .iter()
            .any(|word| unsigned.eq_ignore_ascii_case(word))
    {
        return true;
    }
    match Decimal::parse(unsigned) {
        Some((number, [])) => {
            (!number.whole.is_empty() || !number.fraction.is_empty()) && number.is_finite()
        }
        _ => false,
    }
}

/// A decimal number without a sign: `whole.fraction e exponent`.
struct Decimal<'a> {
    whole: &'a [u8],
    fraction: &'a [u8],
    /// Whether it has a point, also when no digit follows it.
    has_point: bool,
    exponent: i64,
}

impl<'a> Decimal<'a> {
    /// Splits a number off the start of a text; `None` when its exponent has no digits.
    fn parse(text: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (whole, rest) = split_digits(text);
        let (has_point, (fraction, rest)) = match rest {
            [b'.', rest @ ..] => (true, split_digits(rest)),
            rest => (false, (&rest[..0], rest)),
        };
        let [b'e' | b'E', after @ ..] = rest else {
            return Some((
                Self {
                    whole,
                    fraction,
                    has_point,
                    exponent: 0,
                },
                rest,
            ));
        };
        let (is_negative, after) = split_sign(after);
        let (digits, rest) = split_digits(after);
        if digits.is_empty() {
            return None;
        }
        let size = digits.iter().fold(0_i64, |size, digit| {
            size.saturating_mul(10)
                .saturating_add(i64::from(digit - b'0'))
        });
        let exponent = if is_negative { -size } else { size };
        Some((
            Self {
                whole,
                fraction,
                has_point,
                exponent,
            },
            rest,
        ))
    }

    /// Whether its value is below the limit at which an `f64` becomes infinite.
    fn is_finite(&self) -> bool {
        // The first digits of 2^1024 - 2^970 = 1.797…e308, the smallest number that is rounded to infinity. What has all of
        // them counts as too large, which is wrong for one number in 10^20.
        const LIMIT: &[u8; 20] = b"17976931348623158079";
        const LIMIT_WHOLE_DIGITS: i64 = 309;
        let digits = || self.whole.iter().chain(self.fraction);
        let Some(zeros) = digits().position(|digit| *digit != b'0') else {
            return true;
        };
        // The value is 0.DIGITS times ten to the power of this. No slice is too long for an `i64`.
        let magnitude = (self.whole.len() as i64 - zeros as i64).saturating_add(self.exponent);
        if magnitude != LIMIT_WHOLE_DIGITS {
            return magnitude < LIMIT_WHOLE_DIGITS;
        }
        let digits = digits().skip(zeros).chain(core::iter::repeat(&b'0'));
        digits
            .zip(LIMIT)
            .find(|(digit, limit)| digit != limit)
            .is_some_and(|(digit, limit)| digit < limit)
    }
}

/// Whether a text starts with a minus, and what follows its sign.
fn split_sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] | rest => (false, rest),
    }
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    let digits = text
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(digits)
}

/// Whether a text is a date and time by RFC 3339, with the upper-case letters and the `T` that copilot requires.
fn is_datetime(text: &[u8]) -> bool {
    let [
        y1,
        y2,
        y3,
        y4,
        b'-',
        mo1,
        mo2,
        b'-',
        d1,
        d2,
        b'T',
        h1,
        h2,
        b':',
        mi1,
        mi2,
        b':',
        s1,
        s2,
        rest @ ..,
    ] = text
    else {
        return false;
    };
    let (Some(century), Some(year), Some(month), Some(day)) =
        (pair(y1, y2), pair(y3, y4), pair(mo1, mo2), pair(d1, d2))
    else {
        return false;
    };
    let year = century * 100 + year;
    let is_leap_year = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if is_leap_year => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let is_date = year >= 1 && (1..=12).contains(&month) && (1..=days).contains(&day);
    let is_time = is_below(h1, h2, 24) && is_below(mi1, mi2, 60) && is_below(s1, s2, 60);
    let zone = match rest {
        [b'.', rest @ ..] => {
            let (fraction, zone) = split_digits(rest);
            if !(1..=9).contains(&fraction.len()) {
                return false;
            }
            zone
        }
        zone => zone,
    };
    let is_zone = match zone {
        [b'Z'] => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => is_below(h1, h2, 24) && is_below(m1, m2, 60),
        _ => false,
    };
    is_date && is_time && is_zone
}

/// The number of two digits.
fn pair(tens: &u8, ones: &u8) -> Option<u32> {
    let are_digits = tens.is_ascii_digit() && ones.is_ascii_digit();
    are_digits.then(|| u32::from(tens - b'0') * 10 + u32::from(ones - b'0'))
}

fn is_below(tens: &u8, ones: &u8, limit: u32) -> bool {
    pair(tens, ones).is_some_and(|number| number < limit)
}

/// Parses a duration as Go's `time.ParseDuration`: `300ms`, `-1.5h`, `2h45m`, into nanoseconds. Go has no days.
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    const UNITS: [(&[u8], u64); 8] = [
        (b"ns", 1),
        (b"us", 1_000),
        ("µs".as_bytes(), 1_000),
        ("μs".as_bytes(), 1_000),
        (b"ms", 1_000_000),
        (b"s", 1_000_000_000),
        (b"m", 60_000_000_000),
        (b"h", 3_600_000_000_000),
    ];
    /// The size of the smallest negative duration.
    const MOST: u64 = 1 << 63;
    let (is_negative, mut rest) = split_sign(text.as_bytes());
    if rest == b"0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanoseconds = 0_u64;
    while !rest.is_empty() {
        let (whole, after) = split_digits(rest);
        let (fraction, after) = match after {
            [b'.', after @ ..] => split_digits(after),
            after => (&after[..0], after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let unit_length = after
            .iter()
            .position(|byte| byte.is_ascii_digit() || *byte == b'.')
            .unwrap_or(after.len());
        let (word, after) = after.split_at(unit_length);
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == word)?;
        let mut part = parse_whole(whole)?.checked_mul(*unit)?;
        let (numerator, scale) = parse_fraction(fraction);
        if numerator > 0 {
            // In Go's order of operations, so that the last nanosecond is the same. A fraction of a nanosecond is truncated.
            part = part.checked_add((numerator as f64 * (*unit as f64 / scale)) as u64)?;
        }
        nanoseconds = nanoseconds.checked_add(part).filter(|sum| *sum <= MOST)?;
        rest = after;
    }
    match (is_negative, i64::try_from(nanoseconds)) {
        (true, Ok(nanoseconds)) => Some(-nanoseconds),
        (true, Err(_)) => Some(i64::MIN),
        (false, nanoseconds) => nanoseconds.ok(),
    }
}

fn parse_whole(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |number, digit| {
        number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })
}

/// The digits after a point as numerator and denominator; digits beyond the precision of an `i64` are ignored.
fn parse_fraction(digits: &[u8]) -> (u64, f64) {
    let mut numerator = 0_u64;
    let mut scale = 1_f64;
    for digit in digits {
        if numerator > i64::MAX as u64 / 10 {
            break;
        }
        numerator = numerator * 10 + u64::from(digit - b'0');
        scale *= 10.0;
    }
    (numerator, scale)
}

/// Whether a text is a JSON object whose numbers are finite.
fn is_json_object(text: &[u8]) -> bool {
    /// The open brackets are bits of one number. `serde_json` has this limit as well.
    const DEEPEST: u32 = 127;
    let mut rest = skip_space(text);
    if rest.first() != Some(&b'{') {
        return false;
    }
    // Whether each open bracket is one of an object; the innermost is the lowest bit.
    let mut objects = 0_u128;
    let mut depth = 0_u32;
    loop {
        // Here a value starts.
        match rest {
            [open @ (b'{' | b'['), after @ ..] => {
                if depth == DEEPEST {
                    return false;
                }
                depth += 1;
                objects = (objects << 1) | u128::from(*open == b'{');
                rest = skip_space(after);
                let is_empty = rest.first() == Some(if *open == b'{' { &b'}' } else { &b']' });
                if !is_empty {
                    match start_of_member(rest, *open == b'{') {
                        Some(value) => rest = value,
                        None => return false,
                    }
                    continue;
                }
            }
            _ => match skip_scalar(rest) {
                Some(after) => rest = skip_space(after),
                None => return false,
            },
        }
        // Here a value has ended, or an empty bracket is about to be closed.
        loop {
            let is_object = objects & 1 == 1;
            match rest {
                [b'}', after @ ..] if is_object => rest = skip_space(after),
                [b']', after @ ..] if !is_object => rest = skip_space(after),
                [b',', after @ ..] => {
                    match start_of_member(skip_space(after), is_object) {
                        Some(value) => rest = value,
                        None => return false,
                    }
                    break;
                }
                _ => return false,
            }
            objects >>= 1;
            depth -= 1;
            if depth == 0 {
                return rest.is_empty();
            }
        }
    }
}

/// Skips the key and the colon of a member of an object; an array has neither.
fn start_of_member(text: &[u8], is_object: bool) -> Option<&[u8]> {
    if !is_object {
        return Some(text);
    }
    match skip_space(skip_string(text)?) {
        [b':', rest @ ..] => Some(skip_space(rest)),
        _ => None,
    }
}

fn skip_space(text: &[u8]) -> &[u8] {
    let start = text
        .iter()
        .position(|byte| !matches!(byte, b' ' | b'\n' | b'\t' | b'\r'))
        .unwrap_or(text.len());
    &text[start..]
}

fn skip_scalar(text: &[u8]) -> Option<&[u8]> {
    for word in [&b"null"[..], b"true", b"false"] {
        if let Some(rest) = text.strip_prefix(word) {
            return Some(rest);
        }
    }
    match text {
        [b'"', ..] => skip_string(text),
        [b'-', rest @ ..] => skip_json_number(rest),
        _ => skip_json_number(text),
    }
}

fn skip_json_number(text: &[u8]) -> Option<&[u8]> {
    let (number, rest) = Decimal::parse(text)?;
    let is_whole_valid = matches!(number.whole, [b'0'] | [b'1'..=b'9', ..]);
    (is_whole_valid && number.has_point != number.fraction.is_empty() && number.is_finite())
        .then_some(rest)
}

fn skip_string(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text.strip_prefix(b"\"")?;
    loop {
        rest = match rest {
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', b'u', rest @ ..] => {
                let (unit, rest) = hex_unit(rest)?;
                match unit {
                    // The first half of a surrogate pair must be followed by the second.
                    0xd800..=0xdbff => match hex_unit(rest.strip_prefix(b"\\u")?)? {
                        (0xdc00..=0xdfff, rest) => rest,
                        _ => return None,
                    },
                    0xdc00..=0xdfff => return None,
                    _ => rest,
                }
            }
            [
                b'\\',
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't',
                rest @ ..,
            ] => rest,
            [b'\\' | 0..=0x1f, ..] | [] => return None,
            [_, rest @ ..] => rest,
        };
    }
}

/// Four hexadecimal digits.
fn hex_unit(text: &[u8]) -> Option<(u32, &[u8])> {
    let [a, b, c, d, rest @ ..] = text else {
        return None;
    };
    let mut unit = 0;
    for digit in [a, b, c, d] {
        unit = (unit << 4) | char::from(*digit).to_digit(16)?;
    }
    Some((unit, rest))
}
