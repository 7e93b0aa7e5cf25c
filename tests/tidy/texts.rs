//! What must not be in any file: unfinished work, and paths of the machine it was written on.

use proc_macro2::TokenTree;

use crate::source::{File, macros};

/// Words that mark unfinished work, put together here so that this file does not contain them.
const UNFINISHED: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];
const STUBS: &[&str] = &["todo", "unimplemented"];

const LONGEST: usize = 400;

/// Folders of this machine that nobody else has.
pub(crate) fn machine() -> Vec<String> {
    let repository = union_tests::project::repository();
    let folders = [std::env::var("CARGO_HOME").ok(), std::env::var("RUSTUP_HOME").ok(), Some(repository.to_string_lossy().into_owned())];
    // A very short one, such as `/src` in a container, is also an ordinary path.
    folders.into_iter().flatten().filter(|folder| folder.len() > 5).collect()
}

/// Unfinished work, and absolute paths of a home or of one of `folders`.
pub(crate) fn problems(file: &File, folders: &[String]) -> Vec<String> {
    let mut problems = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        if let Some(word) = UNFINISHED.iter().find(|word| has_word(line, word)) {
            problems.push(file.problem(number + 1, format!("`{word}`: do it, or leave it out")));
        }
        if let Some(home) = folders.iter().map(String::as_str).chain(HOMES.iter().copied()).find(|home| line.contains(home)) {
            problems.push(file.problem(number + 1, format!("`{home}` exists on one machine only")));
        }
    }
    if file.path.ends_with(".rs") {
        problems.extend(stubs(file));
    }
    problems
}

/// A user's own files. An image may have `/home/nonroot` and `/root` themselves.
const HOMES: &[&str] = &[concat!("/root", "/."), concat!("/Us", "ers/"), concat!("/home/", "user/")];

/// A file whose part before its tests is too long to be read in one go. A file of nothing but tests may be.
pub(crate) fn too_long(file: &File) -> Option<String> {
    let only_tests = file.is_of_tests() && !file.path.starts_with("tests/support/");
    let lines: Vec<_> = file.text.lines().collect();
    let starts_tests = |line: &&str| line.starts_with("#[cfg(test)]") || line.starts_with("#[cfg(all(test,");
    let code = lines.iter().rposition(starts_tests).unwrap_or(lines.len());
    (code > LONGEST && !only_tests).then(|| file.problem(code, format!("{code} lines before the tests; split it, {LONGEST} are the most")))
}

fn stubs(file: &File) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, line) in macros(file.tokens()).into_iter().filter(|(name, _)| STUBS.contains(&name.as_str())) {
        problems.push(file.problem(line, format!("`{name}!` is not finished")));
    }
    for (line, attribute) in attributes(file) {
        if attribute.starts_with("ignore") {
            problems.push(file.problem(line, "an ignored test tests nothing"));
        }
    }
    problems
}

/// The words inside of each `#[…]`.
fn attributes(file: &File) -> Vec<(usize, String)> {
    fn collect(tokens: proc_macro2::TokenStream, found: &mut Vec<(usize, String)>) {
        let mut after_hash = false;
        for token in tokens {
            if let TokenTree::Group(group) = &token {
                if after_hash {
                    found.push((group.span_open().start().line, group.stream().to_string()));
                }
                collect(group.stream(), found);
            }
            after_hash = matches!(&token, TokenTree::Punct(sign) if sign.as_char() == '#');
        }
    }
    let mut found = Vec::new();
    collect(file.tokens(), &mut found);
    found
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|letter: char| !letter.is_alphanumeric()).any(|part| part == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> usize {
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
            assert_eq!(of(text), 1, "{text}");
        }
        for text in ["// a method, todos", "use ignore::Walk;", "// `#[ignore]` and todo!() in words"] {
            assert_eq!(of(text), 0, "{text}");
        }
    }

    #[test]
    fn paths_of_a_machine_are_reported() {
        for text in ["// /some/where/else", concat!("// /root", "/.cargo"), concat!("// /Us", "ers/me")] {
            assert_eq!(of(text), 1, "{text}");
        }
        assert_eq!(of("// root:x:0:0:root:/root:/bin/sh and /home/nonroot"), 0);
    }

    #[test]
    fn a_long_file_is_reported_and_long_tests_are_not() {
        let code = "fn a() {}\n".repeat(LONGEST);
        let tests = format!("{code}#[cfg(test)]\nmod tests {{\n{code}}}\n");
        assert_eq!(too_long(&File::new("a.rs", &tests)), None);
        assert!(too_long(&File::new("a.rs", &format!("fn b() {{}}\n{tests}"))).is_some());
    }
}
