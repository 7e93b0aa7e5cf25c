//! A type name has one meaning: two modules declare the same one only where it is a pattern.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};

use crate::source::Tree;

/// `Result` is that of a module's own errors, `Document` is what a verb prints, `Reporter` what a library is told by, `Silent` a reporter that tells nobody. `Image`
/// is one in the manifest, in a registry, and in generated code, each behind its module's name.
const PATTERNS: &[&str] = &["Result", "Document", "Reporter", "Silent", "Image"];

/// The names that are declared in several files, with these.
pub(crate) fn problems(tree: &Tree) -> Vec<String> {
    let mut declared: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let files = tree.rust("cargo-union/src").chain(tree.rust("union-build/src"));
    for file in files.filter(|file| !file.path.ends_with("/fake.rs")) {
        for name in types(file.code_and_tests().0) {
            declared.entry(name).or_default().insert(&file.path);
        }
    }
    let several = declared.into_iter().filter(|(name, files)| files.len() > 1 && !PATTERNS.contains(&name.as_str()));
    several.map(|(name, files)| format!("`{name}` has several meanings: {}", files.into_iter().collect::<Vec<_>>().join(", "))).collect()
}

/// The types that a file declares outside of functions and modules.
fn types(tokens: TokenStream) -> Vec<String> {
    let words: Vec<String> = tokens.into_iter().filter_map(word).collect();
    let is_kind = |word: &str| matches!(word, "struct" | "enum" | "trait" | "type");
    words.windows(2).filter(|pair| is_kind(&pair[0])).map(|pair| pair[1].clone()).collect()
}

fn word(token: TokenTree) -> Option<String> {
    match token {
        TokenTree::Ident(word) => Some(word.to_string()),
        // What stands between is no declaration of this file.
        TokenTree::Group(_) => Some(String::new()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_two_meanings_is_reported_and_a_pattern_is_not() {
        let tree = Tree::made_of(&[
            ("cargo-union/src/a.rs", "pub struct Place; pub trait Reporter {} fn f() { struct Inner; }"),
            ("cargo-union/src/b.rs", "enum Place {} pub trait Reporter {} fn f() { struct Inner; }"),
            ("union-build/src/c.rs", "pub type Other = u8; #[cfg(test)] mod tests { struct Place; }"),
        ]);
        assert_eq!(problems(&tree), ["`Place` has several meanings: cargo-union/src/a.rs, cargo-union/src/b.rs"]);
    }
}
