//! Text as the tests compare it: with what differs from run to run replaced by a placeholder.
//!
//! | placeholder | stands for |
//! |---|---|
//! | `[PROJECT]`, `[HOME]`, `[CACHE]`, `[TEMP]` | the folders of a [`Project`](crate::Project) |
//! | `[DIGEST]` | the 64 hexadecimal digits after `sha256:` |
//! | `[PORT]` | the port after a loopback address |
//! | `[TIME]` | a duration such as `0.35s` or `12.5 ms` |
//!
//! Besides, snapbox lets `[..]` stand for anything in a line and a line `...` for any lines. A
//! snapshot is written anew by `SNAPSHOTS=overwrite cargo test`.

use std::path::Path;

use regex::Regex;
use snapbox::assert::DEFAULT_ACTION_ENV;
use snapbox::{Assert, IntoData, Redactions};

/// The redactions of every text, and one placeholder for each of the folders.
pub fn redactions<'a>(folders: impl IntoIterator<Item = (&'static str, &'a Path)>) -> Redactions {
    let mut redactions = Redactions::new();
    let patterns = [
        ("[DIGEST]", "sha256:(?<redacted>[0-9a-f]{64})"),
        ("[PORT]", r"(?:127\.0\.0\.1|localhost|\[::1\]):(?<redacted>[0-9]{2,5})"),
        ("[TIME]", r"\b(?<redacted>[0-9]+(?:\.[0-9]+)? ?m?s)\b"),
    ];
    for (placeholder, pattern) in patterns {
        let pattern = Regex::new(pattern).expect("the patterns above are valid");
        redactions.insert(placeholder, pattern).expect("the placeholders above are valid");
    }
    for (placeholder, folder) in folders {
        redactions.insert(placeholder, folder.to_path_buf()).expect("a placeholder is `[UPPER_CASE]`");
    }
    redactions
}

/// Compares with a snapshot: a text, `str![…]` or `file![…]`.
///
/// # Panics
/// When they differ, with the difference.
#[track_caller]
pub fn assert_matches(redactions: &Redactions, actual: &str, expected: impl IntoData) {
    Assert::new().action_env(DEFAULT_ACTION_ENV).redact_with(redactions.clone()).eq(actual, expected);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_run_to_run_is_replaced() {
        let redactions = redactions([("[PROJECT]", Path::new("/some/where/project"))]);
        let digest = "0123456789abcdef".repeat(4);
        let text = format!("Pushed 127.0.0.1:40123/app@sha256:{digest} from /some/where/project in 0.35s (12 ms)");
        assert_matches(&redactions, &text, "Pushed 127.0.0.1:[PORT]/app@sha256:[DIGEST] from [PROJECT] in [TIME] ([TIME])");
    }

    #[test]
    #[should_panic(expected = "two")]
    fn other_words_are_a_difference() {
        assert_matches(&redactions([]), "one", "two");
    }

    #[test]
    fn names_and_versions_are_kept() {
        let redactions = redactions([]);
        for text in ["app:5000", "v0.1.0", "12 images", "sha256:short"] {
            assert_eq!(redactions.redact(text), text);
        }
    }
}
