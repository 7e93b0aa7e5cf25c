//! The repository's files, and Rust source as tokens: comments are gone, strings are literals, and what
//! stands under `#[cfg(test)]` is told apart.

use std::path::Path;

use ignore::WalkBuilder;
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// All files that git would keep.
pub(crate) struct Tree(Vec<File>);

/// A text file.
pub(crate) struct File {
    /// Path from the repository's root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Tree {
    pub(crate) fn of_the_repository() -> Self {
        Self::below(&union_tests::project::repository())
    }

    pub(crate) fn below(root: &Path) -> Self {
        // `.ci` and `.gitignore` are hidden, and part of the repository all the same.
        let entries = WalkBuilder::new(root).hidden(false).filter_entry(|entry| entry.file_name() != ".git").build();
        let read = |entry: ignore::DirEntry| {
            let path = entry.path().strip_prefix(root).ok()?.to_string_lossy().into_owned();
            // What is not UTF-8 is not source.
            Some(File { path, text: std::fs::read_to_string(entry.path()).ok()? })
        };
        let mut files: Vec<_> = entries.flatten().filter_map(read).collect();
        files.sort_by(|left, right| left.path.cmp(&right.path));
        Self(files)
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = &File> {
        self.0.iter()
    }

    /// The Rust files below a folder; an empty name is the whole tree.
    pub(crate) fn rust(&self, folder: &str) -> impl Iterator<Item = &File> {
        self.files().filter(move |file| file.path.starts_with(folder) && file.path.ends_with(".rs"))
    }

    pub(crate) fn file(&self, path: &str) -> &File {
        self.files().find(|file| file.path == path).unwrap_or_else(|| panic!("{path} is gone; the tidy test needs to know its new place"))
    }

    pub(crate) fn made_of(files: &[(&str, &str)]) -> Self {
        Self(files.iter().map(|(path, text)| File::new(path, text)).collect())
    }
}

impl File {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// Every token of the file.
    pub(crate) fn tokens(&self) -> TokenStream {
        self.text.parse().unwrap_or_else(|error| panic!("{} is not Rust: {error}", self.path))
    }

    /// Its tokens without the items under `#[cfg(test)]`, and those items.
    pub(crate) fn code_and_tests(&self) -> (TokenStream, TokenStream) {
        if self.is_of_tests() { (TokenStream::new(), self.tokens()) } else { split(self.tokens()) }
    }

    /// Whether it holds nothing but tests: a folder `tests`, or a file `tests.rs` beside what it tests.
    pub(crate) fn is_of_tests(&self) -> bool {
        self.path.split('/').any(|part| part == "tests" || part == "tests.rs")
    }

    pub(crate) fn problem(&self, line: usize, what: impl std::fmt::Display) -> String {
        format!("{}:{line}: {what}", self.path)
    }
}

/// A path such as `crate::sys::error`, wherever it stands: in `use`, also inside of `{…}`, in a type, in
/// an expression.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) words: Vec<String>,
    pub(crate) line: usize,
    /// How many `mod name { … }` of this file are round it.
    pub(crate) depth: usize,
}

impl Place {
    pub(crate) fn starts_with(&self, words: &[&str]) -> bool {
        self.words.len() >= words.len() && self.words.iter().zip(words).all(|(left, right)| left == right)
    }
}

/// Every path of a token stream. Single words are paths as well.
pub(crate) fn places(tokens: TokenStream) -> Vec<Place> {
    let mut places = Vec::new();
    collect(tokens, &[], 0, &mut places);
    places
}

/// The names of the macros that are called, with their lines.
pub(crate) fn macros(tokens: TokenStream) -> Vec<(String, usize)> {
    flat(tokens)
        .windows(2)
        .filter(|pair| pair[1].0 == "!" && pair[0].0.starts_with(char::is_alphabetic))
        .map(|pair| pair[0].clone())
        .collect()
}

/// All tokens in a row, with their lines; groups are opened.
pub(crate) fn flat(tokens: TokenStream) -> Vec<(String, usize)> {
    let mut row = Vec::new();
    for token in tokens {
        let line = token.span().start().line;
        match token {
            TokenTree::Group(group) => {
                let (open, close) = signs(&group);
                row.push((open.to_owned(), line));
                row.extend(flat(group.stream()));
                row.push((close.to_owned(), group.span_close().start().line));
            }
            other => row.push((other.to_string(), line)),
        }
    }
    row
}

fn signs(group: &Group) -> (&'static str, &'static str) {
    match group.delimiter() {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::None => ("", ""),
    }
}

fn collect(tokens: TokenStream, prefix: &[String], depth: usize, places: &mut Vec<Place>) {
    let mut words = prefix.to_vec();
    let mut line = 0;
    let mut colons = if prefix.is_empty() { 0 } else { 2 };
    let mut end = |words: &mut Vec<String>, line| {
        if words.len() > prefix.len() {
            places.push(Place { words: words.clone(), line, depth });
        }
        words.truncate(0);
        words.extend_from_slice(prefix);
    };
    let mut groups = Vec::new();
    let mut inside_a_module = false;
    let mut before = String::new();
    for token in tokens {
        match &token {
            TokenTree::Punct(sign) if sign.as_char() == ':' => colons += 1,
            TokenTree::Ident(word) => {
                if colons != 2 || words.is_empty() {
                    end(&mut words, line);
                }
                inside_a_module = before == "mod";
                words.push(word.to_string());
                (line, colons) = (word.span().start().line, 0);
            }
            TokenTree::Group(group) => {
                if colons == 2 && words.len() > prefix.len() {
                    groups.push((group.stream(), words.clone(), depth));
                    words.truncate(0);
                } else {
                    end(&mut words, line);
                    let deeper = inside_a_module && group.delimiter() == Delimiter::Brace;
                    groups.push((group.stream(), Vec::new(), depth + usize::from(deeper)));
                }
                (colons, inside_a_module) = (0, false);
            }
            TokenTree::Punct(sign) if sign.as_char() == ',' => {
                end(&mut words, line);
                colons = if prefix.is_empty() { 0 } else { 2 };
            }
            _ => colons = 0,
        }
        before = token.to_string();
    }
    end(&mut words, line);
    for (stream, prefix, depth) in groups {
        collect(stream, &prefix, depth, places);
    }
}

/// Takes the items under `#[cfg(test)]` out, at any depth of modules.
fn split(tokens: TokenStream) -> (TokenStream, TokenStream) {
    let (mut code, mut tests) = (Vec::new(), Vec::new());
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let attribute = matches!(&token, TokenTree::Punct(sign) if sign.as_char() == '#');
        let of_tests = attribute && tokens.peek().is_some_and(is_cfg_test);
        if of_tests {
            // The item goes up to its `;` or its braces, whichever is first.
            for token in tokens.by_ref() {
                let last = match &token {
                    TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
                    TokenTree::Punct(sign) => sign.as_char() == ';',
                    _ => false,
                };
                tests.push(token);
                if last {
                    break;
                }
            }
        } else if let TokenTree::Group(group) = token {
            let (inner, inner_tests) = split(group.stream());
            let mut emptied = Group::new(group.delimiter(), inner);
            emptied.set_span(group.span());
            code.push(TokenTree::Group(emptied));
            tests.extend(inner_tests);
        } else {
            code.push(token);
        }
    }
    (code.into_iter().collect(), tests.into_iter().collect())
}

/// `[cfg(test)]`, also as `[cfg(all(test, unix))]`.
fn is_cfg_test(attribute: &TokenTree) -> bool {
    let text = attribute.to_string().replace(' ', "");
    ["[cfg(test)]", "[cfg(all(test,"].iter().any(|start| text.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        places(File::new("a.rs", text).tokens()).into_iter().map(|place| place.words.join("::")).collect()
    }

    #[test]
    fn paths_are_found_wherever_they_stand() {
        let text = "use a::{b::{c, d}, e as f};\n// no::comment\nfn g(x: &h::I<j::K>) { \"no::text\"; l::m(n::o!()) }";
        let paths = paths(text);
        for path in ["a::b::c", "a::b::d", "a::e", "h::I", "j::K", "l::m", "n::o"] {
            assert!(paths.contains(&path.to_owned()), "{path} is not in {paths:?}");
        }
        assert!(!paths.iter().any(|path| path.starts_with("no")), "{paths:?}");
    }

    #[test]
    fn modules_inside_of_a_file_are_counted() {
        let places = places(File::new("a.rs", "use x::y; mod inner { use super::z; }").tokens());
        let depth = |words: &[&str]| places.iter().find(|place| place.starts_with(words)).map(|place| place.depth);
        assert_eq!((depth(&["x", "y"]), depth(&["super", "z"])), (Some(0), Some(1)));
    }

    #[test]
    fn tests_are_told_from_code() {
        let (code, tests) =
            File::new("a.rs", "fn a() {}\n#[cfg(test)]\nmod tests { fn b() {} }\nfn c() {}\n#[cfg(all(test, unix))]\nuse d;")
                .code_and_tests();
        assert_eq!((code.to_string().as_str(), tests.to_string().contains("fn b")), ("fn a () { } fn c () { }", true));
    }

    #[test]
    fn macros_are_found_with_their_lines() {
        assert_eq!(macros(File::new("a.rs", "fn a() {\n    println!(\"eprintln!\");\n}").tokens()), [("println".to_owned(), 2)]);
    }
}
