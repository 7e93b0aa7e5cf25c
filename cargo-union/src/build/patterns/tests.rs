#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn patterns(text: &str) -> Patterns {
    Patterns::of_file(text, Path::new(".dockerignore")).unwrap()
}

#[test]
fn last_matching_pattern_decides() {
    let ignored =
        patterns("# notes\n*.md\n!README.md\n/target/\n**/*.log\nsecret?\ndocs/*\n!docs/keep\n");
    for (path, excluded) in [
        ("a.md", true),
        ("README.md", false),
        ("deep/a.md", false),
        ("target", true),
        ("target/debug/x", true),
        ("deep/target", false),
        ("a.log", true),
        ("deep/er/a.log", true),
        ("secret1", true),
        ("secret", false),
        ("docs/a", true),
        ("docs/keep", false),
        ("docs", false),
    ] {
        assert_eq!(ignored.excludes(path), excluded, "{path}");
    }
}

/// Pattern, path, and whether `docker build` (28.2) excludes the path from `COPY . .`.
const DOCKER_RESULTS: &[(&str, &str, bool)] = &[
    ("**", "a/b", true),
    ("**/x", "x", true),
    ("**/x", "a/b/x", true),
    ("**/x", "a/yx", false),
    ("**x", "a/yx", true),
    ("a/**", "a/b/c", true),
    ("a/**", "a", false),
    ("a/**/x", "a/x", true),
    ("a/**/x", "a/b/c/x", true),
    ("a/**/x", "a/bx", false),
    ("a**", "abc/d", true),
    ("*", "a/b", true),
    ("*/b", "a/b", true),
    ("*/b", "b", false),
    ("a?c", "abc", true),
    ("a?c", "a/c", false),
    ("[a-c]x", "bx", true),
    ("[^a-c]x", "bx", false),
    ("[^a-c]x", "dx", true),
    ("a\\*", "a*", true),
    ("a\\*", "ab", false),
    ("./a/../b/", "b/c", true),
    ("/../b", "b", true),
    ("../b", "b", false),
    (".", "a", false),
    ("a.c", "abc", false),
    ("a+(b)|{c}$", "a+(b)|{c}$", true),
    (" b ", "b", true),
    (" # b", "# b", true),
    ("é*", "été", true),
];

#[test]
fn patterns_match_as_in_docker() {
    for (pattern, path, excluded) in DOCKER_RESULTS {
        assert_eq!(
            patterns(pattern).excludes(path),
            *excluded,
            "{pattern} and {path}"
        );
    }
}

#[test]
fn invalid_pattern_is_reported_with_its_line() {
    for line in ["[a", "[]", "[a-]", "a\\", "!", "[", "[^"] {
        let error = Patterns::of_file(&format!("ok\n{line}\n"), Path::new("/ws/.dockerignore"))
            .unwrap_err();
        assert_eq!(error.code(), Code::InvalidValue, "{line}");
        assert!(error.to_string().contains("/ws/.dockerignore:2"), "{error}");
    }
    assert_eq!(Patterns::of_list(["a", "[b"]).unwrap_err().0, "[b");
}

#[test]
fn excluded_directory_is_entered_only_for_possible_inclusions() {
    for (pattern, entered) in [
        ("!docs/keep", true),
        ("!d*/a/b", true),
        ("!docs", true),
        ("!src/docs", false),
        ("!**/keep", true),
    ] {
        assert_eq!(
            patterns(&format!("docs\n{pattern}")).may_include_below("docs"),
            entered,
            "{pattern}"
        );
    }
    assert!(!patterns("docs\ndocs/keep").may_include_below("docs"));
}

#[test]
fn matching_a_long_pattern_does_not_take_exponential_time() {
    let pattern = "*a".repeat(300);
    assert!(!patterns(&pattern).excludes(&"a".repeat(2000)[..1999].replace("aaaaaaaaaa", "b")));
}

proptest! {
    #[test]
    fn parsing_patterns_never_panics(text in "[]\\[\\\\*?!^a/. -]{0,24}\n?.{0,8}", path in "[a/.*]{0,12}") {
        if let Ok(patterns) = Patterns::of_file(&text, Path::new("x")) {
            let _ = (patterns.excludes(&path), patterns.may_include_below(&path));
        }
    }

    #[test]
    fn literal_pattern_matches_itself_and_everything_below(path in "[a-z.é-]{1,6}(/[a-z]{1,6}){0,3}", below in "[a-z]{1,4}") {
        prop_assume!(!path.split('/').any(|part| part == "." || part == ".."));
        let patterns = patterns(&path);
        prop_assert!(patterns.excludes(&path));
        let deeper = format!("{path}/{below}");
        prop_assert!(patterns.excludes(&deeper));
        let longer = format!("{path}{below}");
        prop_assert!(!patterns.excludes(&longer));
    }

    #[test]
    fn may_include_below_is_true_wherever_a_path_is_included(directory in "[ab]{1,2}(/[ab]{1,2}){0,2}", below in "[ab*?]{1,2}(/[ab*?]{1,2}){0,3}", path in "[ab]{1,2}(/[ab]{1,2}){0,2}") {
        let patterns = patterns(&format!("**\n!{below}"));
        let path = format!("{directory}/{path}");
        prop_assert!(patterns.excludes(&path) || patterns.may_include_below(&directory));
    }
}
