//! The images that a user's Dockerfile names, so that an engine which asks nobody is given their logins.
//!
//! It is read as BuildKit reads it, as far as images are concerned. What cannot be understood names no image:
//! the engine, which reads the whole, says what is wrong with it.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr as _;

use crate::image::reference::{BaseRef, Repository};

/// The repositories of all images that are pulled while a Dockerfile is built, each once.
pub(super) fn repositories(dockerfile: &str) -> Vec<Repository> {
    let mut reader = ReferenceReader::default();
    let (directives, escape) = directives(dockerfile);
    reader.image(directives.get("syntax").map_or("", String::as_str));
    for instruction in instructions(dockerfile, escape) {
        reader.instruction(&instruction, escape);
    }
    reader.found.into_iter().collect()
}

#[derive(Default)]
struct ReferenceReader {
    found: BTreeSet<Repository>,
    /// Arguments before the first stage, with their defaults.
    arguments: BTreeMap<String, String>,
    /// Names of the stages so far.
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
                    let default = expanded(default, &self.arguments, escape);
                    self.arguments.insert(name.to_owned(), default);
                }
            }
            "FROM" => {
                self.in_stage = true;
                let mut words = rest.split_whitespace().filter(|word| !word.starts_with("--"));
                let image = expanded(words.next().unwrap_or_default(), &self.arguments, escape);
                self.image(&image);
                if words.next().is_some_and(|word| word.eq_ignore_ascii_case("as")) {
                    self.stages.extend(words.next().map(str::to_ascii_lowercase));
                }
            }
            "COPY" => {
                for flag in rest.split_whitespace().take_while(|word| word.starts_with("--")) {
                    self.image(flag.strip_prefix("--from=").unwrap_or_default());
                }
            }
            "RUN" => {
                for flag in rest.split_whitespace().take_while(|word| word.starts_with("--")) {
                    let mount = flag.strip_prefix("--mount=").unwrap_or_default();
                    for option in mount.split(',') {
                        self.image(option.strip_prefix("from=").unwrap_or_default());
                    }
                }
            }
            _ => {}
        }
    }

    /// Notes what is not a stage, its number, or nothing at all.
    fn image(&mut self, word: &str) {
        let word = word.trim_matches(['"', '\'']);
        let is_stage = self.stages.contains(&word.to_ascii_lowercase()) || word.bytes().all(|byte| byte.is_ascii_digit());
        if !is_stage && word != "scratch" {
            self.found.extend(BaseRef::from_str(word).ok().map(|image| image.repository));
        }
    }
}

/// The directives at the start, such as `# syntax=docker/dockerfile:1`, and the letter that escapes.
fn directives(dockerfile: &str) -> (BTreeMap<String, String>, char) {
    let lines = dockerfile.trim_start_matches('\u{feff}').lines();
    let directive = |line: &str| {
        let (name, value) = line.trim().strip_prefix('#')?.split_once('=')?;
        let name = name.trim().to_ascii_lowercase();
        name.bytes().all(|byte| byte.is_ascii_alphanumeric()).then(|| (name, value.trim().to_owned()))
    };
    let found: BTreeMap<String, String> = lines.skip_while(|line| line.starts_with("#!")).map_while(directive).collect();
    let escape = if found.get("escape").is_some_and(|letter| letter == "`") { '`' } else { '\\' };
    (found, escape)
}

/// The instructions, each as one line, without comments and the texts that follow `<<`.
fn instructions(dockerfile: &str, escape: char) -> Vec<String> {
    let mut instructions = Vec::new();
    let mut lines = dockerfile.trim_start_matches('\u{feff}').lines();
    let mut whole = String::new();
    while let Some(line) = lines.next() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(begun) = line.strip_suffix(escape) {
            whole.push_str(begun);
            whole.push(' ');
            continue;
        }
        whole.push_str(line);
        for (end, strips_tabs) in texts(&whole) {
            let ends = |line: &str| if strips_tabs { line.trim_start_matches('\t') == end } else { line == end };
            let _ = lines.by_ref().find(|line| ends(line));
        }
        instructions.push(std::mem::take(&mut whole));
    }
    instructions.extend(Some(whole).filter(|rest| !rest.is_empty()));
    instructions
}

/// The words that end the texts which follow an instruction: `EOF` of `RUN <<EOF`, and whether tabs before
/// them are nothing.
fn texts(instruction: &str) -> Vec<(String, bool)> {
    let name = instruction.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    if !matches!(name.as_str(), "RUN" | "COPY" | "ADD") {
        return Vec::new();
    }
    let text = |word: &str| {
        let word = word.trim_start_matches(|letter: char| letter.is_ascii_digit()).strip_prefix("<<")?;
        let (word, strips_tabs) = word.strip_prefix('-').map_or((word, false), |word| (word, true));
        let end = word.trim_matches(['"', '\'']);
        let is_name = end.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && end.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        is_name.then(|| (end.to_owned(), strips_tabs))
    };
    instruction.split_whitespace().filter_map(text).collect()
}

/// A word with the values of its variables: `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME:+other}`.
fn expanded(word: &str, values: &BTreeMap<String, String>, escape: char) -> String {
    let mut text = String::new();
    let mut rest = word.trim_matches(['"', '\'']);
    while let Some(letter) = rest.chars().next() {
        rest = &rest[letter.len_utf8()..];
        if letter == escape {
            let guarded = rest.chars().next();
            text.extend(guarded);
            rest = &rest[guarded.map_or(0, char::len_utf8)..];
        } else if letter != '$' {
            text.push(letter);
        } else if let Some((inside, after)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            rest = after;
            let name = inside.split([':', '-', '+']).next().unwrap_or_default();
            let value = values.get(name).filter(|value| !value.is_empty());
            let modifier = inside[name.len()..].trim_start_matches(':');
            text.push_str(match (value, modifier.strip_prefix('-'), modifier.strip_prefix('+')) {
                (Some(_), _, Some(other)) => other,
                (Some(value), _, None) => value,
                (None, Some(default), _) => default,
                (None, None, _) => "",
            });
        } else {
            let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(rest.len());
            text.push_str(values.get(&rest[..end]).map_or("", String::as_str));
            rest = &rest[end..];
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(dockerfile: &str) -> Vec<String> {
        repositories(dockerfile).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_place_that_names_an_image_is_read() {
        let dockerfile = "# syntax=reg.test/frontend:1\n\
            ARG HOST=reg.test TAG\n\
            ARG IMAGE=\"${HOST}/from/arg\"\n\
            FROM --platform=$BUILDPLATFORM $IMAGE:${TAG:-1} AS Build\n\
            FROM build AS next\n\
            # FROM reg.test/comment\n\
            COPY --from=build --chown=1 a b\n\
            COPY --link --from=reg.test/copied \\\n\
            # FROM reg.test/inside\n\
            a b\n\
            COPY --from=0 a b\n\
            RUN --mount=type=bind,from=reg.test/mounted,target=/m --mount=type=cache,target=/c echo FROM reg.test/echo\n\
            RUN <<EOF cat\nFROM reg.test/here\nEOF\n\
            from scratch\n\
            copy --from=nginx a b\n";
        let expected = ["docker.io/library/nginx", "reg.test/copied", "reg.test/from/arg", "reg.test/frontend", "reg.test/mounted"];
        assert_eq!(of(dockerfile), expected);
    }

    #[test]
    fn words_are_expanded_as_buildkit_expands_them() {
        let values = [("A".to_owned(), "1".to_owned()), ("EMPTY".to_owned(), String::new())].into();
        for (word, meant) in [
            ("$A", "1"),
            ("x${A}y", "x1y"),
            ("$A_B", ""),
            ("${B:-d}", "d"),
            ("${EMPTY:-d}", "d"),
            ("${A:-d}", "1"),
            ("${A:+o}", "o"),
            ("${B:+o}", ""),
            ("\\$A", "$A"),
            ("${A", "{A"),
            ("$", ""),
            ("\\", ""),
        ] {
            assert_eq!(expanded(word, &values, '\\'), meant, "{word}");
        }
    }

    #[test]
    fn another_letter_may_escape() {
        assert_eq!(of("# escape=`\nFROM `\nreg.test/a\nCOPY c:\\ d\nFROM reg.test/b\n"), ["reg.test/a", "reg.test/b"]);
        assert_eq!(of("FROM reg.test/a \\"), ["reg.test/a"]);
    }

    proptest! {
        #[test]
        fn no_dockerfile_stops_the_program(text in "(FROM|ARG|COPY --from=|RUN --mount=from=|<<EOF|# syntax=|\\\\|\n|[ ${}:=`\"'é-]|[a-z/.]{1,6}){0,24}") {
            let _ = repositories(&text);
        }

        #[test]
        fn an_image_is_found_whatever_stands_around_it(
            path in "[a-z]{1,8}(/[a-z]{1,8}){0,2}",
            before in proptest::collection::vec("[a-z #$<\\{}=]{0,12}", 0..4),
            tag in "[a-z0-9]{1,5}",
        ) {
            let before: String = before.iter().map(|line| format!("# {line}.\n")).collect();
            let found = of(&format!("{before}FROM reg.test:5000/{path}:{tag} AS x\nCOPY --from=x a b\n"));
            prop_assert_eq!(found, [format!("reg.test:5000/{path}")]);
        }
    }
}
