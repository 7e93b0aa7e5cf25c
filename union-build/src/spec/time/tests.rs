use super::*;

#[test]
fn parse_duration_is_exact() {
    for (text, milliseconds) in [
        ("90s", 90_000),
        ("1h30m", 5_400_000),
        ("1d 12h", 129_600_000),
        ("1.5s", 1_500),
        ("500ms", 500),
        ("0s", 0),
        ("0.1s", 100),
    ] {
        assert_eq!(
            parse_duration(text),
            Some(Duration::from_millis(milliseconds)),
            "{text}"
        );
    }
    for text in [
        "",
        "90",
        "s",
        "1m1h",
        "1h1h",
        "-1s",
        "1 h",
        "1.s",
        ".5s",
        "1y",
        "1h30",
        "99999999999999d",
        "0.00001us",
    ] {
        assert_eq!(parse_duration(text), None, "{text}");
    }
}

#[test]
fn datetime_round_trips() {
    for text in [
        "1970-01-01T00:00:00Z",
        "2000-02-29T23:59:59.5Z",
        "1969-12-31T23:59:59.000000001Z",
        "2100-03-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
    ] {
        assert_eq!(
            parse_datetime(text)
                .map(|(seconds, nanoseconds)| datetime(seconds, nanoseconds))
                .as_deref(),
            Some(text)
        );
    }
    // All days of the 400-year cycle, in both directions.
    for day in -146_097..146_097 {
        let (year, month, date) = date_since_1970(day);
        assert_eq!(
            days_since_1970(year, month, date),
            day,
            "{year}-{month}-{date}"
        );
    }
}

#[test]
fn parse_datetime_gives_seconds_since_1970() {
    for (text, seconds, nanoseconds) in [
        ("1970-01-01T00:00:00Z", 0, 0),
        ("2026-01-02T00:00:00Z", 1_767_312_000, 0),
        ("2000-02-29T23:59:59.5+02:00", 951_861_599, 500_000_000),
        ("1969-12-31 23:59:59-00:30", 1_799, 0),
        ("2001-09-09T01:46:40.000000001z", 1_000_000_000, 1),
    ] {
        assert_eq!(parse_datetime(text), Some((seconds, nanoseconds)), "{text}");
    }
    for text in [
        "",
        "2026-01-02",
        "2026-02-30T00:00:00Z",
        "2026-1-2T00:00:00Z",
        "2026-01-02T00:00:00",
        "2026-01-02T24:00:00Z",
        "T",
        "2026-01-02T00:00Z",
    ] {
        assert_eq!(parse_datetime(text), None, "{text}");
    }
}

#[test]
fn duration_is_formatted_as_in_go() {
    for (nanoseconds, text) in [
        (0, "0s"),
        (1, "1ns"),
        (1_100, "1.1µs"),
        (20_000_000, "20ms"),
        (1_500_000_000, "1.5s"),
        (60_000_000_000, "1m0s"),
        (5_400_000_000_000, "1h30m0s"),
        (3_600_000_000_001, "1h0m0.000000001s"),
        (360_000_000_000_000, "100h0m0s"),
    ] {
        assert_eq!(duration(Duration::from_nanos(nanoseconds)), text);
    }
}
