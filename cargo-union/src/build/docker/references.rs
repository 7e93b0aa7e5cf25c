//! Finds the images that a user's Dockerfile refers to, for engines that need all logins up front.
//!
//! Parses Dockerfiles like BuildKit, as far as images are concerned. Syntax errors are ignored here: the engine
//! reports them.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr as _;

use crate::image::reference::{BaseRef, Repository};

/// The repositories of all images that are pulled while a Dockerfile is built, each once.
pub(super) fn repositories(dockerfile: &str) -> Vec<Repository> {
    let mut reader = ReferenceReader::default();
    let (directives, escape) = directives(dockerfile);
    reader.add_image(directives.get("syntax").map_or("", String::as_str));
    for instruction in instructions(dockerfile, escape) {
        reader.instruction(&instruction, escape);
    }
    reader.found.into_iter().collect()
}

#[derive(Default)]
struct ReferenceReader {
    found: BTreeSet<Repository>,
    /// `ARG`s before the first stage, with their defaults.
    arguments: BTreeMap<String, String>,
    /// Names of the stages so far, in lower case.
    stages: BTreeSet<String>,
    in_stage: bool,
}

impl ReferenceReader {
    fn instruction(&mut self, line: &str, escape: char) {
        let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        match name.to_ascii_uppercase().as_str() {
            "ARG" if !self.in_stage => {
                for argument in rest.split_whitespace() {
                    let (name, default) = argument.split_once('=').unwrap_or((argument, ""));
                    let default = expand(default, &self.arguments, escape);
                    self.arguments.insert(name.to_owned(), default);
                }
            }
            "FROM" => {
                self.in_stage = true;
                let mut words = rest
                    .split_whitespace()
                    .filter(|word| !word.starts_with("--"));
                let image = expand(words.next().unwrap_or_default(), &self.arguments, escape);
                self.add_image(&image);
                if words
                    .next()
                    .is_some_and(|word| word.eq_ignore_ascii_case("as"))
                {
                    self.stages
                        .extend(words.next().map(str::to_ascii_lowercase));
                }
            }
            "COPY" => {
                for flag in rest
                    .split_whitespace()
                    .take_while(|word| word.starts_with("--"))
                {
                    self.add_image(flag.strip_prefix("--from=").unwrap_or_default());
                }
            }
            "RUN" => {
                for flag in rest
                    .split_whitespace()
                    .take_while(|word| word.starts_with("--"))
                {
                    let mount = flag.strip_prefix("--mount=").unwrap_or_default();
                    for option in mount.split(',') {
                        self.add_image(option.strip_prefix("from=").unwrap_or_default());
                    }
                }
            }
            _ => {}
        }
    }

    /// Adds an image, unless the word is empty, or is the name or number of a stage.
    fn add_image(&mut self, word: &str) {
        let word = word.trim_matches(['"', '\'']);
        let is_stage = self.stages.contains(&word.to_ascii_lowercase())
            || word.bytes().all(|byte| byte.is_ascii_digit());
        if !is_stage && word != "scratch" {
            self.found
                .extend(BaseRef::from_str(word).ok().map(|image| image.repository));
        }
    }
}

/// The parser directives at the start, such as `# syntax=docker/dockerfile:1`, and the escape character.
fn directives(dockerfile: &str) -> (BTreeMap<String, String>, char) {
    let lines = dockerfile.trim_start_matches('\u{feff}').lines();
    let directive = |line: &str| {
        let (name, value) = line.trim().strip_prefix('#')?.split_once('=')?;
        let name = name.trim().to_ascii_lowercase();
        name.bytes()
            .all(|byte| byte.is_ascii_alphanumeric())
            .then(|| (name, value.trim().to_owned()))
    };
    let found: BTreeMap<String, String> = lines
        .skip_while(|line| line.starts_with("#!"))
        .map_while(directive)
        .collect();
    let escape = if found.get("escape").is_some_and(|letter| letter == "`") {
        '`'
    } else {
        '\\'
    };
    (found, escape)
}

/// The instructions, each joined into one line, without comments and here-documents.
fn instructions(dockerfile: &str, escape: char) -> Vec<String> {
    let mut instructions = Vec::new();
    let mut lines = dockerfile.trim_start_matches('\u{feff}').lines();
    let mut instruction = String::new();
    while let Some(line) = lines.next() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(continued) = line.strip_suffix(escape) {
            instruction.push_str(continued);
            instruction.push(' ');
            continue;
        }
        instruction.push_str(line);
        for (delimiter, strips_tabs) in here_documents(&instruction) {
            let ends = |line: &str| {
                if strips_tabs {
                    line.trim_start_matches('\t') == delimiter
                } else {
                    line == delimiter
                }
            };
            let _ = lines.by_ref().find(|line| ends(line));
        }
        instructions.push(std::mem::take(&mut instruction));
    }
    instructions.extend(Some(instruction).filter(|rest| !rest.is_empty()));
    instructions
}

/// The delimiters of the here-documents of an instruction (`EOF` of `RUN <<EOF`), and whether leading tabs are
/// stripped (`<<-`).
fn here_documents(instruction: &str) -> Vec<(String, bool)> {
    let name = instruction
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_ascii_uppercase();
    if !matches!(name.as_str(), "RUN" | "COPY" | "ADD") {
        return Vec::new();
    }
    let here_document = |word: &str| {
        let word = word
            .trim_start_matches(|c: char| c.is_ascii_digit())
            .strip_prefix("<<")?;
        let (word, strips_tabs) = word
            .strip_prefix('-')
            .map_or((word, false), |word| (word, true));
        let delimiter = word.trim_matches(['"', '\'']);
        let is_name = delimiter
            .starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && delimiter
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_');
        is_name.then(|| (delimiter.to_owned(), strips_tabs))
    };
    instruction
        .split_whitespace()
        .filter_map(here_document)
        .collect()
}

/// Expands the variables of a word: `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME:+other}`.
fn expand(word: &str, values: &BTreeMap<String, String>, escape: char) -> String {
    let mut text = String::new();
    let mut rest = word.trim_matches(['"', '\'']);
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c == escape {
            let escaped = rest.chars().next();
            text.extend(escaped);
            rest = &rest[escaped.map_or(0, char::len_utf8)..];
        } else if c != '$' {
            text.push(c);
        } else if let Some((inside, after)) =
            rest.strip_prefix('{').and_then(|rest| rest.split_once('}'))
        {
            rest = after;
            let name = inside.split([':', '-', '+']).next().unwrap_or_default();
            let value = values.get(name).filter(|value| !value.is_empty());
            let modifier = inside[name.len()..].trim_start_matches(':');
            text.push_str(
                match (
                    value,
                    modifier.strip_prefix('-'),
                    modifier.strip_prefix('+'),
                ) {
                    (Some(_), _, Some(other)) => other,
                    (Some(value), _, None) => value,
                    (None, Some(default), _) => default,
                    (None, None, _) => "",
                },
            );
        } else {
            let end = rest
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            text.push_str(values.get(&rest[..end]).map_or("", String::as_str));
            rest = &rest[end..];
        }
    }
    text
}

#[cfg(test)]
mod tests;
