//! What a file declares at its top level: its items with the paths they use, and its imports.

use std::collections::BTreeMap;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::source::{Place, places};

/// The declarations of a file, without its tests.
#[derive(Default)]
pub(crate) struct Declarations {
    /// The paths that each item uses, by the item's name. A type includes its `impl` blocks of the same file.
    pub(crate) items: BTreeMap<String, Vec<Place>>,
    /// The path of each imported name.
    pub(crate) imports: BTreeMap<String, Vec<String>>,
    /// The paths of `use path::*`.
    pub(crate) globs: Vec<Vec<String>>,
}

impl Declarations {
    pub(crate) fn of(tokens: TokenStream) -> Self {
        let mut declarations = Self::default();
        let mut tokens = tokens.into_iter().peekable();
        while tokens.peek().is_some() {
            let mut item = Vec::new();
            for token in tokens.by_ref() {
                let is_use = item.iter().any(|token| is_word(token, "use"));
                let is_last = match &token {
                    TokenTree::Group(group) => group.delimiter() == Delimiter::Brace && !is_use,
                    TokenTree::Punct(sign) => sign.as_char() == ';',
                    _ => false,
                };
                item.push(token);
                if is_last {
                    break;
                }
            }
            declarations.add(item);
        }
        declarations
    }

    fn add(&mut self, item: Vec<TokenTree>) {
        if let Some(start) = item.iter().position(|token| is_word(token, "use")) {
            self.import(&item[start + 1..], &[]);
        } else if let Some(name) = name(&item) {
            let places = places(item.into_iter().collect());
            self.items.entry(name).or_default().extend(places);
        }
    }

    /// Adds the names of a use tree: `a::{b, c as d, e::*}`.
    fn import(&mut self, tree: &[TokenTree], prefix: &[String]) {
        let is_comma =
            |token: &TokenTree| matches!(token, TokenTree::Punct(sign) if sign.as_char() == ',');
        for branch in tree.split(is_comma) {
            let mut path = prefix.to_vec();
            let mut alias = None;
            let mut is_leaf = true;
            let mut is_after_as = false;
            for token in branch {
                match token {
                    TokenTree::Ident(word) if word == "as" => is_after_as = true,
                    TokenTree::Ident(word) if is_after_as => alias = Some(word.to_string()),
                    TokenTree::Ident(word) => path.push(word.to_string()),
                    TokenTree::Punct(sign) if sign.as_char() == '*' => {
                        self.globs.push(path.clone());
                        is_leaf = false;
                    }
                    TokenTree::Group(group) => {
                        let inner: Vec<_> = group.stream().into_iter().collect();
                        self.import(&inner, &path);
                        is_leaf = false;
                    }
                    TokenTree::Punct(_) | TokenTree::Literal(_) => {}
                }
            }
            if path.len() > prefix.len().max(1) && path.last().is_some_and(|word| word == "self") {
                path.pop();
            }
            if is_leaf && let Some(last) = path.last() {
                self.imports
                    .insert(alias.unwrap_or_else(|| last.clone()), path);
            }
        }
    }
}

/// The name of an item; of an `impl` block, that of its type. `None` for what declares no name.
fn name(item: &[TokenTree]) -> Option<String> {
    let mut words = item
        .iter()
        .enumerate()
        .filter_map(|(position, token)| match token {
            TokenTree::Ident(word) => Some((position, word.to_string())),
            _ => None,
        });
    let (position, kind) = words.find(|(_, word)| {
        matches!(
            word.as_str(),
            "struct"
                | "enum"
                | "union"
                | "trait"
                | "type"
                | "fn"
                | "const"
                | "static"
                | "mod"
                | "macro_rules"
                | "impl"
        )
    })?;
    if kind == "impl" {
        return implemented_type(&item[position + 1..]);
    }
    let is_modifier = |word: &str| matches!(word, "fn" | "unsafe" | "async" | "extern" | "mut");
    let (position, name) = words.find(|(_, word)| !is_modifier(word))?;
    let is_declared_elsewhere = kind == "mod" && is_semicolon(item.get(position + 1));
    (!is_declared_elsewhere).then_some(name)
}

/// The last word of the type's path in `<T> Trait for a::Type<T> {`.
fn implemented_type(header: &[TokenTree]) -> Option<String> {
    let mut depth = 0;
    let mut name = None;
    let mut previous = ' ';
    for token in header {
        match token {
            TokenTree::Punct(sign) => {
                match sign.as_char() {
                    '<' => depth += 1,
                    '>' if previous != '-' => depth -= 1,
                    _ => {}
                }
                previous = sign.as_char();
                continue;
            }
            TokenTree::Ident(word) if depth == 0 && word == "where" => break,
            TokenTree::Ident(word) if depth == 0 && word != "for" => name = Some(word.to_string()),
            _ => {}
        }
        previous = ' ';
    }
    name
}

fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == word)
}

fn is_semicolon(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Punct(sign)) if sign.as_char() == ';')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::File;

    #[test]
    fn items_and_imports_of_a_file_are_found() {
        let text = "pub(crate) use a::{self, b as c, d::{E, f::*}};\nuse super::g;\nmod h;\n\
            #[derive(Debug)]\npub struct I<T>(T);\nimpl<T: J<K>> fmt::Display for I<T> { fn l() { m::n() } }\n\
            pub const fn o() -> [u8; 2] { p() }\nstatic mut Q: u8 = 1;\nmod r { fn s() {} }\nconst T: fn() -> U = V;";
        let declarations = Declarations::of(File::new("a.rs", text).tokens());
        let import = |name: &str| declarations.imports[name].join("::");
        assert_eq!(
            (import("a"), import("c"), import("E"), import("g")),
            (
                "a".into(),
                "a::b".into(),
                "a::d::E".into(),
                "super::g".into()
            )
        );
        assert_eq!(declarations.globs, [["a", "d", "f"]]);
        let names: Vec<_> = declarations.items.keys().map(String::as_str).collect();
        assert_eq!(names, ["I", "Q", "T", "o", "r"]);
        assert!(
            declarations.items["I"]
                .iter()
                .any(|place| place.starts_with(&["m", "n"]))
        );
    }
}
