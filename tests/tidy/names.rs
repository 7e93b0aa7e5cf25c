//! Type names are unique: several modules declare the same name only for a common pattern.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};

use crate::source::Tree;

/// Names that may be declared several times. `Result` is that of a module's own error, `Document` the output of a command,
/// `Reporter` the trait of a module's progress, `Silent` a reporter that ignores it.
const PATTERNS: &[&str] = &["Result", "Document", "Reporter", "Silent"];

/// Code that is included in crates of users, where its names have no meaning of this repository.
const GENERATED: &str = "union-build/src/emit/constants.rs";

/// The names that are declared in several files, with the files.
pub(crate) fn problems(tree: &Tree) -> Vec<String> {
    let mut declared: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let files = tree
        .rust("cargo-union/src")
        .chain(tree.rust("union-build/src"))
        .chain(tree.rust("cargo-union/launcher"));
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
}
