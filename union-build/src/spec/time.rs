//! Parsing and formatting of points in time and durations.

use std::time::Duration;

/// The units of a duration, longest first, with their length in nanoseconds.
const UNITS: [(&str, u128); 6] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
];

/// Parses a duration such as `90s`, `1h30m` or `1.5d`: numbers with units, longer units first.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut nanoseconds = 0_u128;
    let mut longer = u128::MAX;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let number = rest.len()
            - rest
                .trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == '.')
                .len();
        let (digits, after) = rest.split_at(number);
        let word = after.len()
            - after
                .trim_start_matches(|letter: char| letter.is_ascii_alphabetic())
                .len();
        let (unit, after) = after.split_at(word);
        let (_, length) = UNITS
            .iter()
            .find(|(name, length)| *name == unit && *length < longer)?;
        nanoseconds = nanoseconds.checked_add(times(digits, *length)?)?;
        (longer, rest) = (*length, after.trim_start());
    }
    let seconds = u64::try_from(nanoseconds / 1_000_000_000).ok()?;
    // Longer durations than `google.protobuf.Duration` can hold are a mistake.
    (seconds <= 315_576_000_000).then(|| {
        Duration::new(
            seconds,
            u32::try_from(nanoseconds % 1_000_000_000).unwrap_or(0),
        )
    })
}

/// A decimal number multiplied by a length, exactly: floating point would lose digits.
fn times(digits: &str, length: u128) -> Option<u128> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() || whole.len() > 15 || fraction.len() > 15 || digits.ends_with('.') {
        return None;
    }
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let fraction = if fraction.is_empty() {
        0
    } else {
        fraction.parse::<u128>().ok()?
    };
    let exact = fraction.checked_mul(length)?;
    (exact % scale == 0).then_some(whole.parse::<u128>().ok()?.checked_mul(length)? + exact / scale)
}

/// Parses an RFC 3339 date and time, `2030-01-31T12:00:00Z` or with an offset, into seconds and
/// nanoseconds since 1970.
pub fn parse_datetime(text: &str) -> Option<(i64, u32)> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let (year, month, day) = date_of(date)?;
    let zone = time.find(['Z', 'z', '+', '-'])?;
    let clock = &time[..zone];
    let offset = offset(&time[zone..])?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut parts = clock.split(':').map(|part| number(part, 2));
    let hour = parts.next()??;
    let minute = parts.next()??;
    let second = parts.next()??;
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let nanoseconds = number(fraction, fraction.len()).filter(|_| fraction.len() <= 9)?
        * 10_i64.pow(9 - u32::try_from(fraction.len()).ok()?);
    let seconds =
        days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset;
    Some((seconds, u32::try_from(nanoseconds).ok()?))
}

/// Formats a point in time by RFC 3339, in UTC and with no more digits than necessary.
pub fn datetime(seconds: i64, nanoseconds: u32) -> String {
    let days = seconds.div_euclid(86_400);
    let second = seconds.rem_euclid(86_400);
    let (year, month, day) = date_since_1970(days);
    let fraction = if nanoseconds == 0 {
        String::new()
    } else {
        format!(".{nanoseconds:09}")
    };
    let fraction = fraction.trim_end_matches('0');
    let hour = second / 3_600;
    let minute = second / 60 % 60;
    let second = second % 60;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// Formats a duration as Go does: `1h30m0s`, `1.5s`, `20ms`.
pub fn duration(span: Duration) -> String {
    let nanoseconds = span.as_nanos();
    let (unit, length) = match nanoseconds {
        0 => return "0s".to_owned(),
        1..1_000 => ("ns", 1),
        1_000..1_000_000 => ("µs", 1_000),
        1_000_000..1_000_000_000 => ("ms", 1_000_000),
        _ => ("s", 1_000_000_000),
    };
    let minutes = nanoseconds / 60_000_000_000;
    let text = match (minutes / 60, minutes % 60) {
        (0, 0) => String::new(),
        (0, minutes) => format!("{minutes}m"),
        (hours, minutes) => format!("{hours}h{minutes}m"),
    };
    text + &decimal(nanoseconds % 60_000_000_000, length) + unit
}

/// A number of small units in larger ones, as an exact decimal.
fn decimal(small: u128, length: u128) -> String {
    let digits = length.ilog10() as usize;
    let fraction = if digits == 0 {
        String::new()
    } else {
        format!(".{:0digits$}", small % length)
    };
    format!(
        "{}{}",
        small / length,
        fraction.trim_end_matches('0').trim_end_matches('.')
    )
}

fn date_of(date: &str) -> Option<(i64, i64, i64)> {
    let mut parts = date.splitn(3, '-');
    let year = number(parts.next()?, 4)?;
    let month = number(parts.next()?, 2)?;
    let day = number(parts.next()?, 2)?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    (year >= 1 && (1..=12).contains(&month) && (1..=days).contains(&day))
        .then_some((year, month, day))
}

/// Parses a UTC offset, `Z` or `+02:00`, into seconds east of Greenwich.
fn offset(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let (hours, minutes) = text[1..].split_once(':')?;
    let hours = number(hours, 2)?;
    let minutes = number(minutes, 2)?;
    let seconds = (hours <= 23 && minutes <= 59).then_some(hours * 3_600 + minutes * 60)?;
    Some(if text.starts_with('-') {
        -seconds
    } else {
        seconds
    })
}

fn number(text: &str, digits: usize) -> Option<i64> {
    (text.len() == digits && digits > 0 && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())?
}

/// Days from 1970-01-01 to a date. Years begin in March here, so that the leap day is the last of its year.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of [`days_since_1970`].
fn date_since_1970(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    // Removes the leap days so far, so that every year has 365 days.
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_of_year = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_of_year + 2) / 5 + 1;
    let month = (month_of_year + 2) % 12 + 1;
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests;
