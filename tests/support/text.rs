//! Snapshot comparison, with text that differs between runs replaced by placeholders.
//!
//! | placeholder | replaces |
//! |---|---|
//! | `[PROJECT]`, `[HOME]`, `[CACHE]`, `[TEMP]` | the directories of a [`Project`](crate::Project) |
//! | `[DIGEST]` | the 64 hexadecimal digits after `sha256:` |
//! | `[PORT]` | the port after a loopback address |
//! | `[TIME]` | a duration such as `0.35s` or `12.5 ms` |
//!
//! In snapshots `[..]` matches anything in a line, and a line `...` matches any lines. `SNAPSHOTS=overwrite cargo test`
//! updates them.

use std::path::Path;

use regex::Regex;
use snapbox::assert::DEFAULT_ACTION_ENV;
use snapbox::{Assert, IntoData, Redactions};

/// The common redactions, and a placeholder for each of the directories.
pub fn redactions<'a>(
    directories: impl IntoIterator<Item = (&'static str, &'a Path)>,
) -> Redactions {
    let mut redactions = Redactions::new();
    let patterns = [
        ("[DIGEST]", "sha256:(?<redacted>[0-9a-f]{64})"),
        (
            "[PORT]",
            r"(?:127\.0\.0\.1|localhost|\[::1\]):(?<redacted>[0-9]{2,5})",
        ),
        ("[TIME]", r"\b(?<redacted>[0-9]+(?:\.[0-9]+)? ?m?s)\b"),
    ];
    for (placeholder, pattern) in patterns {
        let pattern = Regex::new(pattern).expect("the patterns above are valid");
        redactions
            .insert(placeholder, pattern)
            .expect("the placeholders above are valid");
    }
    for (placeholder, directory) in directories {
        redactions
            .insert(placeholder, directory.to_path_buf())
            .expect("a placeholder is `[UPPER_CASE]`");
    }
    redactions
}

/// Compares with a snapshot: a text, `str![…]` or `file![…]`.
///
/// # Panics
/// When they differ, with the difference.
#[track_caller]
pub fn assert_matches(redactions: &Redactions, actual: &str, expected: impl IntoData) {
    Assert::new()
        .action_env(DEFAULT_ACTION_ENV)
        .redact_with(redactions.clone())
        .eq(actual, expected);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varying_text_is_replaced() {
        let redactions = redactions([("[PROJECT]", Path::new("/some/where/project"))]);
        let digest = "0123456789abcdef".repeat(4);
        let text = format!(
            "Pushed 127.0.0.1:40123/app@sha256:{digest} from /some/where/project in 0.35s (12 ms)"
        );
        assert_matches(
            &redactions,
            &text,
            "Pushed 127.0.0.1:[PORT]/app@sha256:[DIGEST] from [PROJECT] in [TIME] ([TIME])",
        );
    }

    #[test]
    #[should_panic(expected = "two")]
    fn different_texts_fail() {
        assert_matches(&redactions([]), "one", "two");
    }

    #[test]
    fn names_and_versions_are_not_replaced() {
        let redactions = redactions([]);
        for text in ["app:5000", "v0.1.0", "12 images", "sha256:short"] {
            assert_eq!(redactions.redact(text), text);
        }
    }
}
