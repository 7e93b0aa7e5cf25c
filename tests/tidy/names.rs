//! Type names are unique: several modules declare the same name only for a common pattern. Modules are named by nouns.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};

use crate::source::{File, Tree};

/// Names that may be declared several times. `Result` is that of a module's own error, `Document` the output of a command,
/// `Reporter` the trait of a module's progress, `Silent` a reporter that ignores it.
const PATTERNS: &[&str] = &["Result", "Document", "Reporter", "Silent"];

/// The source directories whose names are compared.
const SOURCES: &[&str] = &["cargo-union/src", "cargo-union/launcher", "union-build/src"];

/// Code that is included in crates of users, where its names have no meaning of this repository.
const GENERATED: &str = "union-build/src/emit/constants.rs";

/// Nouns that end like participles.
const NOUNS: &[&str] = &["caching", "listing", "mapping"];

/// Modules that are named by a participle: what is done to something, instead of what is in the file.
pub(crate) fn module_problems(tree: &Tree) -> Vec<String> {
    let files = SOURCES.iter().flat_map(|source| tree.rust(source));
    let name = |file: &File| -> Option<String> {
        let is_file = |part: &&str| !matches!(*part, "mod" | "main" | "lib");
        let path = file.path.trim_end_matches(".rs");
        if file.is_of_tests() {
            return None;
        }
        let name = path.rsplit('/').find(is_file)?;
        let last = name.rsplit('_').next()?;
        let is_participle = ["ed", "ing"].iter().any(|end| last.ends_with(end));
        (is_participle && !NOUNS.contains(&last))
            .then(|| file.problem(1, format!("the module `{name}` is not named by a noun")))
    };
    files.filter_map(name).collect()
}

/// The names that are declared in several files, with the files.
pub(crate) fn problems(tree: &Tree) -> Vec<String> {
    let mut declared: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let files = SOURCES.iter().flat_map(|source| tree.rust(source));
    // A fake has the name of what it replaces; a file of another architecture that of its counterpart.
    let is_checked = |path: &str| {
        path != GENERATED && !path.ends_with("/fake.rs") && !path.ends_with("/aarch64.rs")
    };
    for file in files.filter(|file| is_checked(&file.path)) {
        for name in top_level_types(file.code_and_tests().0) {
            declared.entry(name).or_default().insert(&file.path);
        }
    }
    let duplicates = declared
        .into_iter()
        .filter(|(name, files)| files.len() > 1 && !PATTERNS.contains(&name.as_str()));
    duplicates
        .map(|(name, files)| {
            format!(
                "`{name}` is declared several times: {}",
                files.into_iter().collect::<Vec<_>>().join(", ")
            )
        })
        .collect()
}

/// The types that a file declares at its top level.
fn top_level_types(tokens: TokenStream) -> Vec<String> {
    let words: Vec<String> = tokens.into_iter().filter_map(word).collect();
    let is_kind = |word: &str| matches!(word, "struct" | "enum" | "trait" | "type");
    words
        .windows(2)
        .filter(|pair| is_kind(&pair[0]))
        .map(|pair| pair[1].clone())
        .collect()
}

fn word(token: TokenTree) -> Option<String> {
    match token {
        TokenTree::Ident(word) => Some(word.to_string()),
        // A group separates the words around it.
        TokenTree::Group(_) => Some(String::new()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicate_names_are_reported_except_patterns() {
        let tree = Tree::from_files(&[
            (
                "cargo-union/src/a.rs",
                "pub struct Place; pub trait Reporter {} fn f() { struct Inner; }",
            ),
            (
                "cargo-union/src/b.rs",
                "enum Place {} pub trait Reporter {} fn f() { struct Inner; }",
            ),
            (
                "union-build/src/c.rs",
                "pub type Other = u8; #[cfg(test)] mod tests { struct Place; }",
            ),
        ]);
        assert_eq!(
            problems(&tree),
            ["`Place` is declared several times: cargo-union/src/a.rs, cargo-union/src/b.rs"]
        );
    }

    #[test]
    fn modules_that_are_named_by_participles_are_reported() {
        let tree = Tree::from_files(&[
            ("cargo-union/src/a/reduced.rs", ""),
            ("cargo-union/src/a/input_hashing/mod.rs", ""),
            ("union-build/src/caching.rs", ""),
            ("cargo-union/src/learned_inputs.rs", ""),
            ("tests/cli/linking.rs", ""),
        ]);
        assert_eq!(
            module_problems(&tree),
            [
                "cargo-union/src/a/reduced.rs:1: the module `reduced` is not named by a noun",
                "cargo-union/src/a/input_hashing/mod.rs:1: the module `input_hashing` is not named by a noun"
            ]
        );
    }

    #[test]
    fn names_in_the_launcher_and_the_crates_are_compared() {
        let tree = Tree::from_files(&[
            ("cargo-union/launcher/a.rs", "struct Place;"),
            ("union-build/src/b.rs", "enum Place {}"),
        ]);
        assert_eq!(problems(&tree).len(), 1);
    }
}
