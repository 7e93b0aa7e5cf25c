//! Grammar of task keys: names, durations, schedules, quantities.

use super::{GrammarError, ensure, wrong};
use crate::spec::time;

/// The name of a task, project or domain at the backend; also used as a name of a file or a directory.
pub(super) fn task_name(text: &str) -> Result<(), GrammarError> {
    let letters =
        |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    let fitting = text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
        && text.chars().all(letters);
    ensure(fitting, "needs letters, digits, `-`, `_` or `.`")
        .map_err(|wrong| wrong.help("use letters, digits, `-`, `_` and `.`"))?;
    at_most(text, 255)
}

pub(super) fn environment(text: &str) -> Result<(), GrammarError> {
    task_name(text)?;
    at_most(text, 63)
}

pub(super) fn short(text: &str) -> Result<(), GrammarError> {
    ensure(!text.contains('\0'), "has a zero byte")
        .map_err(|wrong| wrong.help("remove the zero byte"))?;
    at_most(text, 255)
}

pub(super) fn long(text: &str) -> Result<(), GrammarError> {
    ensure(!text.contains('\0'), "has a zero byte")
        .map_err(|wrong| wrong.help("remove the zero byte"))?;
    at_most(text, 2048)
}

fn at_most(text: &str, most: usize) -> Result<(), GrammarError> {
    let length = text.chars().count();
    if length <= most {
        return Ok(());
    }
    Err(wrong(format!("has {length} characters"))
        .help(format!("the backend accepts at most {most} characters")))
}

/// The name of an input or output: also the name of a file, and of a variable in other languages.
pub(super) fn variable(text: &str) -> Result<(), GrammarError> {
    let letters = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    // It is the name of a file for programs in containers.
    ensure(text.len() <= 255, "longer than 255 letters")?;
    let fitting = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.chars().all(letters);
    ensure(fitting, "not a variable's name").map_err(|wrong| {
        let better = text.replace(['-', '.', ' '], "_");
        if better != text && variable(&better).is_ok() {
            wrong.instead(better)
        } else {
            wrong.help("start with a letter, and use letters, digits and `_`")
        }
    })
}

pub(super) fn address(text: &str) -> Result<(), GrammarError> {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let fitting = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && !text.contains(char::is_whitespace);
    ensure(fitting, "not an address").map_err(|wrong| wrong.help("write it with `https://`"))
}

/// The backend sets a secret as an environment variable only if its name has this form.
pub(super) fn secret_env(text: &str) -> Result<(), GrammarError> {
    let letters = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let fitting = text.bytes().all(letters)
        && text.starts_with(|first: char| first.is_ascii_uppercase() || first == '_');
    ensure(fitting, "not in upper case").map_err(|wrong| {
        let better = text.to_uppercase().replace('-', "_");
        if better != text && secret_env(&better).is_ok() {
            wrong.instead(better)
        } else {
            wrong.help("use upper-case letters, digits and `_`, and start with no digit")
        }
    })
}

/// The name of a Kubernetes object (RFC 1123 subdomain).
pub(super) fn object(text: &str) -> Result<(), GrammarError> {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends = bytes.first().is_some_and(|first| word(*first))
        && bytes.last().is_some_and(|last| word(*last));
    let fitting = ends
        && bytes.len() <= 253
        && bytes
            .iter()
            .all(|byte| word(*byte) || matches!(byte, b'-' | b'.'));
    ensure(fitting, "not a name of Kubernetes").map_err(|wrong| {
        wrong.help("use lower-case letters and digits, with `-` or `.` between them")
    })
}

pub(super) fn duration(text: &str) -> Result<(), GrammarError> {
    ensure(time::parse_duration(text).is_some(), "not a duration")
        .map_err(|wrong| wrong.help("write numbers with units, such as `90s`, `1h30m` or `7d`"))
}

pub(super) fn timezone(text: &str) -> Result<(), GrammarError> {
    let part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+'))
    };
    let fitting =
        text.split('/').all(part) && text.starts_with(|first: char| first.is_ascii_uppercase());
    ensure(fitting, "not a time zone")
        .map_err(|wrong| wrong.help("write a name such as `UTC` or `Europe/Berlin`"))
}

/// A cron expression with five fields; names of months and days in any case.
pub(super) fn cron(text: &str) -> Result<(), GrammarError> {
    const FIELDS: [(&str, u32, u32, &[&str]); 5] = [
        ("minute", 0, 59, &[]),
        ("hour", 0, 23, &[]),
        ("day of the month", 1, 31, &[]),
        (
            "month",
            1,
            12,
            &[
                "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
            ],
        ),
        (
            "day of the week",
            0,
            6,
            &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
        ),
    ];
    const HELP: &str =
        "write minute, hour, day of the month, month and day of the week, such as `0 3 * * 1`";
    let fields: Vec<&str> = text.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return Err(wrong(format!("has {} fields and not 5", fields.len())).help(HELP));
    }
    for (field, (name, lowest, highest, words)) in fields.into_iter().zip(FIELDS) {
        let value = |text: &str| match words
            .iter()
            .position(|word| word.eq_ignore_ascii_case(text))
        {
            Some(position) => u32::try_from(position)
                .ok()
                .map(|position| position + lowest),
            None => text
                .parse()
                .ok()
                .filter(|value| (lowest..=highest).contains(value)),
        };
        let range = |range: &str| match range.split_once('-') {
            Some((from, to)) => value(from)
                .zip(value(to))
                .is_some_and(|(from, to)| from <= to),
            None => matches!(range, "*" | "?") || value(range).is_some(),
        };
        let step = |part: &str| match part.split_once('/') {
            Some((values, step)) => range(values) && step.parse::<u32>().is_ok_and(|step| step > 0),
            None => range(part),
        };
        if !field.split(',').all(step) {
            return Err(wrong(format!("`{field}` is not a {name}")).help(HELP));
        }
    }
    Ok(())
}

/// The numeric value of a Kubernetes quantity, for comparison; `None` when it is malformed.
pub(in crate::spec::validate) fn amount(text: &str) -> Option<f64> {
    let number = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let factor = match &text[number.len()..] {
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024.0_f64.powi(2),
        "Gi" => 1024.0_f64.powi(3),
        "Ti" => 1024.0_f64.powi(4),
        "Pi" => 1024.0_f64.powi(5),
        "Ei" => 1024.0_f64.powi(6),
        _ => return None,
    };
    let decimal = number
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    number
        .parse::<f64>()
        .ok()
        .filter(|_| decimal)
        .map(|number| number * factor)
}
