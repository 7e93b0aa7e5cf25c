//! Patterns of `.dockerignore` files and of `exclude`, by the rules of Docker.
//!
//! A pattern is matched against a whole path below the context, with `/` between the parts: `*.log` is
//! about the context's own directory, `**/*.log` about all of them. `*`, `?` and `[a-z]` stand for letters
//! within a part, `**` for any number of parts. A pattern that fits a directory holds for all that is in
//! it. The last pattern that fits counts, and `!` before it takes a path in again.

use std::path::Path;

use union_build::diag::Code;

use crate::sys::error::{Error, Result};

/// Patterns in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Patterns(Vec<IgnoreRule>);

#[derive(Clone, Debug)]
struct IgnoreRule {
    /// The pattern as it was cleaned, without `!`.
    text: String,
    tokens: Vec<Token>,
    /// Whether it takes paths in again.
    exception: bool,
}

impl Patterns {
    /// Reads the text of a `.dockerignore`.
    ///
    /// # Errors
    /// `InvalidValue` with the line.
    pub(super) fn of_file(text: &str, path: &Path) -> Result<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines = text.lines().zip(1..).filter(|(line, _)| !line.starts_with('#'));
        let rules = lines.filter_map(|(line, number)| {
            let invalid = |cause: &'static str| {
                Error::new(Code::InvalidValue, format!("could not read `{}` at {}:{number}", line.trim(), path.display())).because(cause)
            };
            IgnoreRule::parse(line).map_err(invalid).transpose()
        });
        rules.collect::<Result<_>>().map(Self)
    }

    /// Reads single patterns.
    ///
    /// # Errors
    /// The one that is not valid, and why.
    pub(super) fn of_list<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, (&'a str, &'static str)> {
        let rules = patterns.into_iter().filter_map(|text| IgnoreRule::parse(text).map_err(|cause| (text, cause)).transpose());
        rules.collect::<Result<_, _>>().map(Self)
    }

    /// Whether a path is left out: the last pattern that fits it or a directory above it says so.
    pub(super) fn leave_out(&self, path: &str) -> bool {
        self.0.iter().rev().find(|rule| rule.fits_or_above(path)).is_some_and(|rule| !rule.exception)
    }

    /// Whether something below a directory may be taken in again.
    pub(super) fn may_take_in_below(&self, directory: &str) -> bool {
        self.0.iter().any(|rule| rule.exception && rule.may_fit_below(directory))
    }

    /// The patterns that say nothing of a path itself or of a directory above it.
    pub(super) fn without_those_of(mut self, path: &str) -> Self {
        self.0.retain(|rule| !rule.fits_or_above(path));
        self
    }
}

impl IgnoreRule {
    /// A line; `None` when there is nothing on it.
    fn parse(line: &str) -> Result<Option<Self>, &'static str> {
        let line = line.trim();
        let (text, exception) = line.strip_prefix('!').map_or((line, false), |text| (text.trim(), true));
        if text.is_empty() {
            return if exception { Err("there is no pattern behind `!`") } else { Ok(None) };
        }
        let text = clean(text);
        Ok(Some(Self { tokens: tokens(&text)?, text, exception }))
    }

    fn fits_or_above(&self, path: &str) -> bool {
        let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
        ends.map(|end| &path[..end]).any(|path| fits(&self.tokens, path))
    }

    /// Whether it may fit something below a directory. A pattern whose parts cannot be told apart may.
    fn may_fit_below(&self, directory: &str) -> bool {
        if self.text.contains("**") || self.text.contains(['[', '\\']) {
            return true;
        }
        let part = |(pattern, part): (&str, &str)| tokens(pattern).is_ok_and(|tokens| fits(&tokens, part));
        self.text.split('/').zip(directory.split('/')).all(part)
    }
}

/// A path without `.`, `..`, double slashes and slashes at its ends.
fn clean(text: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            // What is above the root is the root.
            ".." if text.starts_with('/') => {}
            part => parts.push(part),
        }
    }
    if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
}

/// What a pattern asks of the letters of a path, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Letter(char),
    /// `?`: any letter within a part.
    Any,
    /// `*`: any letters within a part.
    Star,
    /// `[a-z]`, `[^a-z]`.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    /// `**/`: nothing, or what the next token takes.
    Deep,
    /// Any letters up to a slash.
    Parts,
    /// `**` at the end: anything.
    All,
}

fn tokens(text: &str) -> Result<Vec<Token>, &'static str> {
    const UNFINISHED: &str = "`\\` at its end stands before nothing";
    if let Some(rest) = text.strip_prefix("**").filter(|rest| !rest.is_empty() && !rest.contains(['/', '*', '?', '[', ']', '\\'])) {
        // Docker takes it for the end of a path, wherever its parts end.
        return Ok([Token::All].into_iter().chain(rest.chars().map(Token::Letter)).collect());
    }
    let mut tokens = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '*' if letters.next_if_eq(&'*').is_some() => {
                let _ = letters.next_if_eq(&'/');
                tokens.extend(if letters.peek().is_some() { vec![Token::Deep, Token::Parts] } else { vec![Token::All] });
            }
            '*' => tokens.push(Token::Star),
            '?' => tokens.push(Token::Any),
            '[' => tokens.push(class(&mut letters)?),
            '\\' => tokens.push(Token::Letter(letters.next().ok_or(UNFINISHED)?)),
            letter => tokens.push(Token::Letter(letter)),
        }
    }
    Ok(tokens)
}

/// The rest of a class, behind its `[`.
fn class(letters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Token, &'static str> {
    const OPEN: &str = "a `[` is not closed";
    let negated = letters.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    let bound = |letters: &mut std::iter::Peekable<std::str::Chars<'_>>| match letters.next() {
        Some('-' | ']') => Err("a range between `[` and `]` has no start or no end"),
        Some('\\') => letters.next().ok_or(OPEN),
        Some(letter) => Ok(letter),
        None => Err(OPEN),
    };
    loop {
        if !ranges.is_empty() && letters.next_if_eq(&']').is_some() {
            return Ok(Token::Class { negated, ranges });
        }
        let low = bound(letters)?;
        let high = if letters.next_if_eq(&'-').is_some() { bound(letters)? } else { low };
        ranges.push((low, high));
    }
}

/// Whether tokens fit a whole text. Each letter is looked at once for each token, whatever the pattern.
fn fits(tokens: &[Token], text: &str) -> bool {
    let mut at = vec![false; tokens.len() + 1];
    at[0] = true;
    skip(tokens, &mut at);
    for letter in text.chars() {
        let mut next = vec![false; tokens.len() + 1];
        for (position, token) in tokens.iter().enumerate().filter(|(position, _)| at[*position]) {
            let (stays, goes) = match token {
                Token::Letter(wanted) => (false, *wanted == letter),
                Token::Any => (false, letter != '/'),
                Token::Star => (letter != '/', false),
                Token::Class { negated, ranges } => (false, ranges.iter().any(|(low, high)| (*low..=*high).contains(&letter)) != *negated),
                Token::Deep => (false, false),
                Token::Parts => (true, letter == '/'),
                Token::All => (true, false),
            };
            next[position] |= stays;
            next[position + 1] |= goes;
        }
        skip(tokens, &mut next);
        at = next;
    }
    at[tokens.len()]
}

/// Goes past the tokens that may take nothing.
fn skip(tokens: &[Token], at: &mut [bool]) {
    for (position, token) in tokens.iter().enumerate() {
        if at[position] {
            match token {
                Token::Star | Token::All => at[position + 1] = true,
                // `Parts` follows it.
                Token::Deep => {
                    at[position + 1] = true;
                    at[position + 2] = true;
                }
                Token::Letter(_) | Token::Any | Token::Class { .. } | Token::Parts => {}
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn patterns(text: &str) -> Patterns {
        Patterns::of_file(text, Path::new(".dockerignore")).unwrap()
    }

    #[test]
    fn the_last_pattern_that_fits_counts() {
        let ignored = patterns("# notes\n*.md\n!README.md\n/target/\n**/*.log\nsecret?\ndocs/*\n!docs/keep\n");
        for (path, left_out) in [
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
            assert_eq!(ignored.leave_out(path), left_out, "{path}");
        }
    }

    /// Pattern, path, and whether `docker build` (28.2) leaves the path out of `COPY . .`.
    const AS_DOCKER_DOES: &[(&str, &str, bool)] = &[
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
    fn patterns_mean_what_they_mean_to_docker() {
        for (pattern, path, left_out) in AS_DOCKER_DOES {
            assert_eq!(patterns(pattern).leave_out(path), *left_out, "{pattern} and {path}");
        }
    }

    #[test]
    fn a_pattern_that_is_none_is_named_with_its_line() {
        for line in ["[a", "[]", "[a-]", "a\\", "!", "[", "[^"] {
            let error = Patterns::of_file(&format!("ok\n{line}\n"), Path::new("/ws/.dockerignore")).unwrap_err();
            assert_eq!(error.code(), Code::InvalidValue, "{line}");
            assert!(error.to_string().contains("/ws/.dockerignore:2"), "{error}");
        }
        assert_eq!(Patterns::of_list(["a", "[b"]).unwrap_err().0, "[b");
    }

    #[test]
    fn a_directory_is_entered_only_for_what_may_be_taken_in_again() {
        for (pattern, entered) in [("!docs/keep", true), ("!d*/a/b", true), ("!docs", true), ("!src/docs", false), ("!**/keep", true)] {
            assert_eq!(patterns(&format!("docs\n{pattern}")).may_take_in_below("docs"), entered, "{pattern}");
        }
        assert!(!patterns("docs\ndocs/keep").may_take_in_below("docs"));
    }

    #[test]
    fn a_long_pattern_takes_no_longer_than_it_is_long() {
        let pattern = "*a".repeat(300);
        assert!(!patterns(&pattern).leave_out(&"a".repeat(2000)[..1999].replace("aaaaaaaaaa", "b")));
    }

    proptest! {
        #[test]
        fn no_text_stops_the_program(text in "[]\\[\\\\*?!^a/. -]{0,24}\n?.{0,8}", path in "[a/.*]{0,12}") {
            if let Ok(patterns) = Patterns::of_file(&text, Path::new("x")) {
                let _ = (patterns.leave_out(&path), patterns.may_take_in_below(&path));
            }
        }

        #[test]
        fn a_path_without_special_letters_fits_itself_and_what_is_below(path in "[a-z.é-]{1,6}(/[a-z]{1,6}){0,3}", below in "[a-z]{1,4}") {
            prop_assume!(!path.split('/').any(|part| part == "." || part == ".."));
            let patterns = patterns(&path);
            prop_assert!(patterns.leave_out(&path));
            let deeper = format!("{path}/{below}");
            prop_assert!(patterns.leave_out(&deeper));
            let longer = format!("{path}{below}");
            prop_assert!(!patterns.leave_out(&longer));
        }

        #[test]
        fn where_nothing_may_be_taken_in_nothing_is(directory in "[ab]{1,2}(/[ab]{1,2}){0,2}", below in "[ab*?]{1,2}(/[ab*?]{1,2}){0,3}", path in "[ab]{1,2}(/[ab]{1,2}){0,2}") {
            let patterns = patterns(&format!("**\n!{below}"));
            let path = format!("{directory}/{path}");
            prop_assert!(patterns.leave_out(&path) || patterns.may_take_in_below(&directory));
        }
    }
}
