//! Patterns of `.dockerignore` files and of `exclude`, with Docker's semantics.
//!
//! A pattern is matched against the whole path relative to the context, with `/` between components: `*.log`
//! matches in the context's own directory, `**/*.log` in all directories. `*`, `?` and `[a-z]` match characters
//! within a component, `**` any number of components. A pattern that matches a directory applies to everything
//! in it. The last matching pattern decides, and `!` before a pattern includes a path again.

use std::path::Path;

use union_build::diag::Code;

use crate::sys::error::{Error, Result};

/// Patterns in the order in which they are written.
#[derive(Clone, Debug, Default)]
pub(super) struct Patterns(Vec<IgnoreRule>);

#[derive(Clone, Debug)]
struct IgnoreRule {
    /// The normalized pattern, without `!`.
    text: String,
    tokens: Vec<Token>,
    /// Whether it includes paths again (`!`).
    exception: bool,
}

impl Patterns {
    /// Parses the text of a `.dockerignore`.
    ///
    /// # Errors
    /// `InvalidValue` with the line number.
    pub(super) fn of_file(text: &str, path: &Path) -> Result<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines = text
            .lines()
            .zip(1..)
            .filter(|(line, _)| !line.starts_with('#'));
        let rules = lines.filter_map(|(line, number)| {
            let invalid = |cause: &'static str| {
                Error::new(
                    Code::InvalidValue,
                    format!(
                        "could not read `{}` at {}:{number}",
                        line.trim(),
                        path.display()
                    ),
                )
                .because(cause)
            };
            IgnoreRule::parse(line).map_err(invalid).transpose()
        });
        rules.collect::<Result<_>>().map(Self)
    }

    /// Parses a list of patterns.
    ///
    /// # Errors
    /// The first invalid pattern, and the reason.
    pub(super) fn of_list<'a>(
        patterns: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, (&'a str, &'static str)> {
        let rules = patterns.into_iter().filter_map(|text| {
            IgnoreRule::parse(text)
                .map_err(|cause| (text, cause))
                .transpose()
        });
        rules.collect::<Result<_, _>>().map(Self)
    }

    /// Whether a path is excluded, by the last pattern that matches it or a directory above it.
    pub(super) fn excludes(&self, path: &str) -> bool {
        self.0
            .iter()
            .rev()
            .find(|rule| rule.matches_path_or_parent(path))
            .is_some_and(|rule| !rule.exception)
    }

    /// Whether something below a directory may be included again.
    pub(super) fn may_include_below(&self, directory: &str) -> bool {
        self.0
            .iter()
            .any(|rule| rule.exception && rule.may_match_below(directory))
    }

    /// The patterns that match neither a path nor a directory above it.
    pub(super) fn without_matches_of(mut self, path: &str) -> Self {
        self.0.retain(|rule| !rule.matches_path_or_parent(path));
        self
    }
}

impl IgnoreRule {
    /// Parses a line; `None` when it is empty.
    fn parse(line: &str) -> Result<Option<Self>, &'static str> {
        let line = line.trim();
        let (text, exception) = line
            .strip_prefix('!')
            .map_or((line, false), |text| (text.trim(), true));
        if text.is_empty() {
            return if exception {
                Err("there is no pattern after `!`")
            } else {
                Ok(None)
            };
        }
        let text = normalize(text);
        Ok(Some(Self {
            tokens: tokens(&text)?,
            text,
            exception,
        }))
    }

    fn matches_path_or_parent(&self, path: &str) -> bool {
        let ends = path
            .match_indices('/')
            .map(|(end, _)| end)
            .chain([path.len()]);
        ends.map(|end| &path[..end])
            .any(|path| matches(&self.tokens, path))
    }

    /// Whether it may match something below a directory. Patterns that cannot be split into components always may.
    fn may_match_below(&self, directory: &str) -> bool {
        if self.text.contains("**") || self.text.contains(['[', '\\']) {
            return true;
        }
        let mut components = self.text.split('/').zip(directory.split('/'));
        components.all(|(pattern, name)| tokens(pattern).is_ok_and(|tokens| matches(&tokens, name)))
    }
}

/// Removes `.`, `..`, double slashes, and leading and trailing slashes.
fn normalize(text: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            // The parent of the root is the root.
            ".." if text.starts_with('/') => {}
            part => parts.push(part),
        }
    }
    if parts.is_empty() {
        ".".to_owned()
    } else {
        parts.join("/")
    }
}

/// An element of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Char(char),
    /// `?`: any character within a component.
    Any,
    /// `*`: any characters within a component.
    Star,
    /// `[a-z]`, `[^a-z]`.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    /// `**/`: nothing, or what the `Components` token after it matches.
    Deep,
    /// Any characters up to and including a slash.
    Components,
    /// `**` at the end: anything.
    All,
}

fn tokens(text: &str) -> Result<Vec<Token>, &'static str> {
    const UNFINISHED: &str = "it ends with a `\\` without a character to escape";
    if let Some(rest) = text
        .strip_prefix("**")
        .filter(|rest| !rest.is_empty() && !rest.contains(['/', '*', '?', '[', ']', '\\']))
    {
        // Docker matches it as a suffix of the path, regardless of components.
        return Ok([Token::All]
            .into_iter()
            .chain(rest.chars().map(Token::Char))
            .collect());
    }
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '*' if chars.next_if_eq(&'*').is_some() => {
                let _ = chars.next_if_eq(&'/');
                tokens.extend(if chars.peek().is_some() {
                    vec![Token::Deep, Token::Components]
                } else {
                    vec![Token::All]
                });
            }
            '*' => tokens.push(Token::Star),
            '?' => tokens.push(Token::Any),
            '[' => tokens.push(class(&mut chars)?),
            '\\' => tokens.push(Token::Char(chars.next().ok_or(UNFINISHED)?)),
            c => tokens.push(Token::Char(c)),
        }
    }
    Ok(tokens)
}

/// Parses the rest of a character class, after its `[`.
fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Token, &'static str> {
    const OPEN: &str = "a `[` is not closed";
    let negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    let bound = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| match chars.next() {
        Some('-' | ']') => Err("a range between `[` and `]` has no start or no end"),
        Some('\\') => chars.next().ok_or(OPEN),
        Some(c) => Ok(c),
        None => Err(OPEN),
    };
    loop {
        if !ranges.is_empty() && chars.next_if_eq(&']').is_some() {
            return Ok(Token::Class { negated, ranges });
        }
        let low = bound(chars)?;
        let high = if chars.next_if_eq(&'-').is_some() {
            bound(chars)?
        } else {
            low
        };
        ranges.push((low, high));
    }
}

/// Whether tokens match a whole text. Simulates an NFA: the time is proportional to pattern length times text length.
fn matches(tokens: &[Token], text: &str) -> bool {
    let mut active = vec![false; tokens.len() + 1];
    active[0] = true;
    skip_empty(tokens, &mut active);
    for c in text.chars() {
        let mut next = vec![false; tokens.len() + 1];
        for (position, token) in tokens
            .iter()
            .enumerate()
            .filter(|(position, _)| active[*position])
        {
            let (stays, advances) = match token {
                Token::Char(expected) => (false, *expected == c),
                Token::Any => (false, c != '/'),
                Token::Star => (c != '/', false),
                Token::Class { negated, ranges } => (
                    false,
                    ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated,
                ),
                Token::Deep => (false, false),
                Token::Components => (true, c == '/'),
                Token::All => (true, false),
            };
            next[position] |= stays;
            next[position + 1] |= advances;
        }
        skip_empty(tokens, &mut next);
        active = next;
    }
    active[tokens.len()]
}

/// Also activates the positions after tokens that may match nothing.
fn skip_empty(tokens: &[Token], active: &mut [bool]) {
    for (position, token) in tokens.iter().enumerate() {
        if active[position] {
            match token {
                Token::Star | Token::All => active[position + 1] = true,
                // `Components` follows it.
                Token::Deep => {
                    active[position + 1] = true;
                    active[position + 2] = true;
                }
                Token::Char(_) | Token::Any | Token::Class { .. } | Token::Components => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
