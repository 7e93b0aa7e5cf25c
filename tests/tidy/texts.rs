//! Texts that must not be in any file: markers of unfinished work, and paths of a developer's machine.

use proc_macro2::TokenTree;

use crate::source::{File, macros};

/// Markers of unfinished work, concatenated so that this file does not contain them.
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("HA", "CK"),
];
const STUBS: &[&str] = &["todo", "unimplemented"];

/// The maximum number of lines of a file before its tests.
const MAX_LINES: usize = 500;

/// Directories of this machine whose paths must not be in a file.
pub(crate) fn machine_directories() -> Vec<String> {
    let repository = union_tests::project::repository();
    let directories = [
        std::env::var("CARGO_HOME").ok(),
        std::env::var("RUSTUP_HOME").ok(),
        Some(repository.to_string_lossy().into_owned()),
    ];
    // A very short path, such as `/src` in a container, may be an ordinary path.
    directories
        .into_iter()
        .flatten()
        .filter(|directory| directory.len() > 5)
        .collect()
}

/// Unfinished work, and absolute paths of a home directory or of one of `directories`.
pub(crate) fn problems(file: &File, directories: &[String]) -> Vec<String> {
    let mut problems = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        if let Some(word) = UNFINISHED.iter().find(|word| has_word(line, word)) {
            problems.push(file.problem(number + 1, format!("`{word}` marks unfinished work")));
        }
        if let Some(home) = directories
            .iter()
            .map(String::as_str)
            .chain(HOMES.iter().copied())
            .find(|home| line.contains(home))
        {
            problems.push(file.problem(number + 1, format!("`{home}` exists on one machine only")));
        }
    }
    if file.path.ends_with(".rs") {
        problems.extend(stubs(file));
    }
    problems
}

/// Paths in home directories. `/home/nonroot` and `/root` themselves are paths in images.
const HOMES: &[&str] = &[
    concat!("/root", "/."),
    concat!("/Us", "ers/"),
    concat!("/home/", "user/"),
];

/// A file with too many lines before its tests. Files with tests only are exempt.
pub(crate) fn too_long(file: &File) -> Option<String> {
    let only_tests = file.is_of_tests() && !file.path.starts_with("tests/support/");
    let lines: Vec<_> = file.text.lines().collect();
    let starts_tests =
        |line: &&str| line.starts_with("#[cfg(test)]") || line.starts_with("#[cfg(all(test,");
    let code = lines.iter().rposition(starts_tests).unwrap_or(lines.len());
    (code > MAX_LINES && !only_tests).then(|| {
        file.problem(
            code,
            format!("{code} lines before the tests, at most {MAX_LINES} are allowed; split it"),
        )
    })
}

fn stubs(file: &File) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, line) in macros(file.tokens())
        .into_iter()
        .filter(|(name, _)| STUBS.contains(&name.as_str()))
    {
        problems.push(file.problem(line, format!("`{name}!` marks unfinished work")));
    }
    for (line, attribute) in attributes(file) {
        if attribute.starts_with("ignore") {
            problems.push(file.problem(line, "ignored tests are not allowed"));
        }
    }
    problems
}

/// The content of each `#[…]` with its line.
fn attributes(file: &File) -> Vec<(usize, String)> {
    fn collect_attributes(tokens: proc_macro2::TokenStream, attributes: &mut Vec<(usize, String)>) {
        let mut is_after_hash = false;
        for token in tokens {
            if let TokenTree::Group(group) = &token {
                if is_after_hash {
                    attributes.push((group.span_open().start().line, group.stream().to_string()));
                }
                collect_attributes(group.stream(), attributes);
            }
            is_after_hash = matches!(&token, TokenTree::Punct(sign) if sign.as_char() == '#');
        }
    }
    let mut attributes = Vec::new();
    collect_attributes(file.tokens(), &mut attributes);
    attributes
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|letter: char| !letter.is_alphanumeric())
        .any(|part| part == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count_problems(text: &str) -> usize {
        problems(&File::new("a.rs", text), &["/some/where".to_owned()]).len()
    }

    #[test]
    fn unfinished_work_is_reported() {
        for text in [
            concat!("// TO", "DO: later"),
            concat!("// FIX", "ME"),
            "fn a() { todo!() }",
            "fn a() { unimplemented!(\"b\") }",
            "#[test]\n#[ignore = \"slow\"]\nfn a() {}",
            "mod b { #[ignore] fn a() {} }",
        ] {
            assert_eq!(count_problems(text), 1, "{text}");
        }
        for text in [
            "// a method, todos",
            "use ignore::Walk;",
            "// `#[ignore]` and todo!() in words",
        ] {
            assert_eq!(count_problems(text), 0, "{text}");
        }
    }

    #[test]
    fn machine_paths_are_reported() {
        for text in [
            "// /some/where/else",
            concat!("// /root", "/.cargo"),
            concat!("// /Us", "ers/me"),
        ] {
            assert_eq!(count_problems(text), 1, "{text}");
        }
        assert_eq!(
            count_problems("// root:x:0:0:root:/root:/bin/sh and /home/nonroot"),
            0
        );
    }

    #[test]
    fn long_files_are_reported_and_long_tests_are_not() {
        let code = "fn a() {}\n".repeat(MAX_LINES);
        let tests = format!("{code}#[cfg(test)]\nmod tests {{\n{code}}}\n");
        assert_eq!(too_long(&File::new("a.rs", &tests)), None);
        assert!(too_long(&File::new("a.rs", &format!("fn b() {{}}\n{tests}"))).is_some());
    }
}
