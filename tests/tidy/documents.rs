//! Names of files, tests and items in the documents: each exists.

use std::collections::BTreeSet;

use crate::source::{File, Tree, flat};

/// Words that are no names of this repository: cargo's target triples, files of users, words of other programs.
const FOREIGN: &[&str] = &["build.rs", "src/main.rs", "main.rs", "CARGO_BIN_EXE_name"];

/// The names in documents that nothing in the repository has.
pub(crate) fn problems(tree: &Tree) -> Vec<String> {
    let words: BTreeSet<String> = tree
        .rust("")
        .flat_map(|file| flat(file.tokens()))
        .map(|(word, _)| word)
        .collect();
    let mut problems = Vec::new();
    for document in tree.files().filter(|file| is_checked(&file.path)) {
        for (line, file, name) in items_of_files(document) {
            let mut files = tree.files().filter(|other| is_path_of(&file, &other.path));
            if !files.any(|other| has_word(&other.text, &name)) {
                problems.push(document.problem(line, format!("`{name}` is not in `{file}`")));
            }
        }
        for (line, name) in quoted_names(document) {
            let exists = if name.ends_with(".rs") {
                tree.files().any(|file| is_path_of(&name, &file.path))
            } else if is_path(&name) || is_test_name(&name) {
                name.split("::").all(|word| words.contains(word))
            } else {
                true
            };
            if !exists && !FOREIGN.contains(&name.as_str()) {
                problems.push(document.problem(line, format!("`{name}` does not exist")));
            }
        }
    }
    problems
}

fn is_checked(path: &str) -> bool {
    path.ends_with(".md")
        && (!path.contains('/') || path.starts_with("docs/"))
        && path != "CHANGELOG.md"
}

/// The single words between backticks outside of code blocks, with their lines.
fn quoted_names(document: &File) -> Vec<(usize, String)> {
    let mut names = Vec::new();
    let mut is_block = false;
    for (position, line) in document.text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_block = !is_block;
            continue;
        }
        if is_block {
            continue;
        }
        let quoted = line.split('`').skip(1).step_by(2);
        let is_name = |text: &&str| {
            !text.is_empty()
                && text
                    .chars()
                    .all(|letter| letter.is_ascii_alphanumeric() || "_:/.-".contains(letter))
        };
        names.extend(
            quoted
                .filter(is_name)
                .map(|text| (position + 1, text.to_owned())),
        );
    }
    names
}

/// The items that a document names directly after the file they are in, as in "`a.rs`, `item`", with their lines.
fn items_of_files(document: &File) -> Vec<(usize, String, String)> {
    let mut items = Vec::new();
    for (position, line) in document.text.lines().enumerate() {
        let parts: Vec<&str> = line.split('`').collect();
        for window in parts.windows(3) {
            let is_item = window[2].starts_with(|letter: char| letter.is_ascii_alphabetic())
                && window[2]
                    .chars()
                    .all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
            if window[0].ends_with(".rs") && window[1] == ", " && is_item {
                items.push((position + 1, window[0].to_owned(), window[2].to_owned()));
            }
        }
    }
    items
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .any(|part| part == word)
}

/// Whether `path` is `name`, or ends with it after a `/`.
fn is_path_of(name: &str, path: &str) -> bool {
    path.strip_suffix(name)
        .is_some_and(|directory| directory.is_empty() || directory.ends_with('/'))
}

/// `module::item`, in words of Rust.
fn is_path(name: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    };
    name.contains("::") && name.split("::").all(is_word)
}

/// The name of a test is a sentence.
fn is_test_name(name: &str) -> bool {
    let is_letter =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    name.matches('_').count() > 2 && name.chars().all(is_letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_names_in_documents_are_reported() {
        let tree = Tree::from_files(&[
            (
                "docs/a.md",
                "`src/b.rs`, `b.rs`, `c.rs` and `other/b.rs`\n`crate_a::Item` and `crate_a::Other`\n\
                 `a_test_that_exists`, `a_test_that_is_missing`, `no_test`, `--a-flag`, `a b::c`\n\
                 `b.rs`, `Item`; `b.rs`, `Missing`\n```\n`x.rs`\n```\n",
            ),
            ("CHANGELOG.md", "`removed.rs`"),
            ("src/abc.rs", ""),
            (
                "src/b.rs",
                "mod crate_a { struct Item; } fn a_test_that_exists() {}",
            ),
        ]);
        assert_eq!(
            problems(&tree),
            [
                "docs/a.md:4: `Missing` is not in `b.rs`",
                "docs/a.md:1: `c.rs` does not exist",
                "docs/a.md:1: `other/b.rs` does not exist",
                "docs/a.md:2: `crate_a::Other` does not exist",
                "docs/a.md:3: `a_test_that_is_missing` does not exist"
            ]
        );
    }
}
