//! Numbers in Go's formats, and durations in Go's syntax, because copilot is written in Go.

/// The shortest decimal that parses to this number, without an exponent: the format of files.
pub(super) fn plain(number: f64) -> String {
    number.to_string()
}

/// Go's `%v` format, with an exponent below 1e-4 and from 1e21 on: the format of command lines.
pub(super) fn general(number: f64) -> String {
    let size = number.abs();
    if size == 0.0 || (1e-4..1e21).contains(&size) {
        return plain(number);
    }
    let text = format!("{number:e}");
    let Some((digits, exponent)) = text.split_once('e') else {
        return text;
    };
    let (sign, exponent) = exponent
        .strip_prefix('-')
        .map_or(('+', exponent), |exponent| ('-', exponent));
    format!("{digits}e{sign}{exponent:0>2}")
}

/// Parses a duration as Go's `time.ParseDuration`: `300ms`, `-1.5h`, `2h45m`, into nanoseconds. Go has no days.
pub(super) fn parse_span(text: &str) -> Option<i64> {
    const UNITS: [(&str, f64); 8] = [
        ("ns", 1.0),
        ("us", 1e3),
        ("µs", 1e3),
        ("μs", 1e3),
        ("ms", 1e6),
        ("s", 1e9),
        ("m", 6e10),
        ("h", 3.6e12),
    ];
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanoseconds = 0_i64;
    while !rest.is_empty() {
        let number = rest.len()
            - rest
                .trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == '.')
                .len();
        let (digits, after) = rest.split_at(number);
        let word = after
            .find(|letter: char| letter.is_ascii_digit() || letter == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(word);
        let (_, length) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.len() + fraction.len() == 0 || fraction.contains('.') {
            return None;
        }
        let whole: i64 = if whole.is_empty() {
            0
        } else {
            whole.parse().ok()?
        };
        let part = if fraction.is_empty() {
            0.0
        } else {
            format!("0.{fraction}").parse::<f64>().ok()? * length
        };
        // A fraction of a nanosecond is truncated.
        nanoseconds = nanoseconds
            .checked_add(whole.checked_mul(*length as i64)?)?
            .checked_add(part as i64)?;
        rest = after;
    }
    Some(if negative { -nanoseconds } else { nanoseconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_formats_of_files_and_command_lines_equal_those_of_go() {
        for (number, file, word) in [
            (1.0, "1", "1"),
            (-0.5, "-0.5", "-0.5"),
            (0.1 + 0.2, "0.30000000000000004", "0.30000000000000004"),
            (1e20, "100000000000000000000", "100000000000000000000"),
            (1e21, "1000000000000000000000", "1e+21"),
            (1.5e-7, "0.00000015", "1.5e-07"),
            (0.0001, "0.0001", "0.0001"),
            (0.0, "0", "0"),
        ] {
            assert_eq!(
                (plain(number), general(number)),
                (file.to_owned(), word.to_owned())
            );
        }
    }

    #[test]
    fn parse_span_equals_parse_duration_of_go() {
        for (text, nanoseconds) in [
            ("1h30m0s", 5_400_000_000_000),
            ("-1.5h", -5_400_000_000_000),
            ("300ms", 300_000_000),
            ("1µs", 1_000),
            ("0", 0),
            (".5s", 500_000_000),
            ("1s1s", 2_000_000_000),
        ] {
            assert_eq!(parse_span(text), Some(nanoseconds), "{text}");
        }
        for text in [
            "",
            "5",
            "1d",
            "s",
            "1.s.",
            ".s",
            "1h ",
            "9999999999h",
            "--1s",
        ] {
            assert_eq!(parse_span(text), None, "{text}");
        }
    }
}
