//! The repository's files, and Rust source as tokens without comments, with the items under `#[cfg(test)]` separated.

use std::path::Path;

use ignore::WalkBuilder;
use proc_macro2::{Delimiter, Group, Spacing, TokenStream, TokenTree};

/// All text files that git does not ignore.
pub(crate) struct Tree(Vec<File>);

/// A text file.
pub(crate) struct File {
    /// The path relative to the repository's root, separated by `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Tree {
    pub(crate) fn of_repository() -> Self {
        Self::below(&union_tests::project::repository())
    }

    pub(crate) fn below(root: &Path) -> Self {
        // Hidden files such as `.ci` and `.gitignore` are part of the repository.
        let entries = WalkBuilder::new(root)
            .hidden(false)
            .filter_entry(|entry| entry.file_name() != ".git")
            .build();
        let read = |entry: ignore::DirEntry| {
            let path = entry
                .path()
                .strip_prefix(root)
                .ok()?
                .to_string_lossy()
                .into_owned();
            // Files that are not UTF-8 are not source.
            Some(File {
                path,
                text: std::fs::read_to_string(entry.path()).ok()?,
            })
        };
        let mut files: Vec<_> = entries.flatten().filter_map(read).collect();
        files.sort_by(|left, right| left.path.cmp(&right.path));
        Self(files)
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = &File> {
        self.0.iter()
    }

    /// The Rust files below a directory; all of them for an empty name.
    pub(crate) fn rust(&self, directory: &str) -> impl Iterator<Item = &File> {
        self.files()
            .filter(move |file| file.path.starts_with(directory) && file.path.ends_with(".rs"))
    }

    pub(crate) fn file(&self, path: &str) -> &File {
        self.files()
            .find(|file| file.path == path)
            .unwrap_or_else(|| panic!("{path} not found; update its path in tests/tidy"))
    }

    pub(crate) fn from_files(files: &[(&str, &str)]) -> Self {
        Self(
            files
                .iter()
                .map(|(path, text)| File::new(path, text))
                .collect(),
        )
    }
}

impl File {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    /// All tokens of the file.
    pub(crate) fn tokens(&self) -> TokenStream {
        self.text
            .parse()
            .unwrap_or_else(|error| panic!("{} is not Rust: {error}", self.path))
    }

    /// The tokens without the items under `#[cfg(test)]`, and the tokens of those items.
    pub(crate) fn code_and_tests(&self) -> (TokenStream, TokenStream) {
        if self.is_of_tests() {
            (TokenStream::new(), self.tokens())
        } else {
            split_tests(self.tokens())
        }
    }

    /// Whether it contains only tests: it is in a directory `tests` or named `tests.rs`.
    pub(crate) fn is_of_tests(&self) -> bool {
        self.path
            .split('/')
            .any(|part| part == "tests" || part == "tests.rs")
    }

    pub(crate) fn problem(&self, line: usize, problem: impl std::fmt::Display) -> String {
        format!("{}:{line}: {problem}", self.path)
    }
}

/// A path such as `crate::sys::error` in a `use` (also in `{…}`), in a type, or in an expression.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) words: Vec<String>,
    pub(crate) line: usize,
    /// How many `mod name { … }` of the file it is in.
    pub(crate) depth: usize,
    /// Whether it names a field or a method: it follows a `.` or is followed by a `:`.
    pub(crate) is_member: bool,
}

impl Place {
    pub(crate) fn starts_with(&self, words: &[&str]) -> bool {
        self.words.len() >= words.len()
            && self
                .words
                .iter()
                .zip(words)
                .all(|(left, right)| left == right)
    }
}

/// All paths of a token stream, including single words.
pub(crate) fn places(tokens: TokenStream) -> Vec<Place> {
    let mut places = Vec::new();
    collect_places(tokens, &[], 0, &mut places);
    places
}

/// The names of called macros with their lines.
pub(crate) fn macros(tokens: TokenStream) -> Vec<(String, usize)> {
    flat(tokens)
        .windows(2)
        .filter(|pair| pair[1].0 == "!" && pair[0].0.starts_with(char::is_alphabetic))
        .map(|pair| pair[0].clone())
        .collect()
}

/// All tokens with their lines; groups are flattened.
pub(crate) fn flat(tokens: TokenStream) -> Vec<(String, usize)> {
    let mut row = Vec::new();
    for token in tokens {
        let line = token.span().start().line;
        match token {
            TokenTree::Group(group) => {
                let (open, close) = delimiters(&group);
                row.push((open.to_owned(), line));
                row.extend(flat(group.stream()));
                row.push((close.to_owned(), group.span_close().start().line));
            }
            other => row.push((other.to_string(), line)),
        }
    }
    row
}

fn delimiters(group: &Group) -> (&'static str, &'static str) {
    match group.delimiter() {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::None => ("", ""),
    }
}

fn collect_places(tokens: TokenStream, prefix: &[String], depth: usize, places: &mut Vec<Place>) {
    let mut words = prefix.to_vec();
    let mut line = 0;
    let mut is_member = false;
    let mut colons = if prefix.is_empty() { 0 } else { 2 };
    let mut end = |words: &mut Vec<String>, line, is_member| {
        if words.len() > prefix.len() {
            places.push(Place {
                words: words.clone(),
                line,
                depth,
                is_member,
            });
        }
        words.truncate(0);
        words.extend_from_slice(prefix);
    };
    let mut groups = Vec::new();
    let mut is_after_mod = false;
    let mut previous = String::new();
    let mut dots = 0;
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match &token {
            TokenTree::Punct(sign) if sign.as_char() == ':' => colons += 1,
            TokenTree::Ident(word) => {
                if colons != 2 || words.is_empty() {
                    end(&mut words, line, is_member);
                    is_member = dots == 1 || tokens.peek().is_some_and(is_single_colon);
                }
                is_after_mod = previous == "mod";
                words.push(word.to_string());
                line = word.span().start().line;
                colons = 0;
            }
            TokenTree::Group(group) => {
                if colons == 2 && words.len() > prefix.len() {
                    groups.push((group.stream(), words.clone(), depth));
                    words.truncate(0);
                } else {
                    end(&mut words, line, is_member);
                    let is_module = is_after_mod && group.delimiter() == Delimiter::Brace;
                    groups.push((group.stream(), Vec::new(), depth + usize::from(is_module)));
                }
                colons = 0;
                is_after_mod = false;
            }
            TokenTree::Punct(sign) if sign.as_char() == ',' => {
                end(&mut words, line, is_member);
                colons = if prefix.is_empty() { 0 } else { 2 };
            }
            _ => colons = 0,
        }
        previous = token.to_string();
        dots = if previous == "." { dots + 1 } else { 0 };
    }
    end(&mut words, line, is_member);
    for (stream, prefix, depth) in groups {
        collect_places(stream, &prefix, depth, places);
    }
}

/// A `:` that is not half of a `::`.
fn is_single_colon(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(sign) if sign.as_char() == ':' && sign.spacing() == Spacing::Alone)
}

/// Separates the items under `#[cfg(test)]`, in nested modules as well.
fn split_tests(tokens: TokenStream) -> (TokenStream, TokenStream) {
    let mut code = Vec::new();
    let mut tests = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let is_attribute = matches!(&token, TokenTree::Punct(sign) if sign.as_char() == '#');
        let is_test_attribute = is_attribute && tokens.peek().is_some_and(is_cfg_test);
        if is_test_attribute {
            // The item ends at its `;` or its braces, whichever is first.
            for token in tokens.by_ref() {
                let is_last = match &token {
                    TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
                    TokenTree::Punct(sign) => sign.as_char() == ';',
                    _ => false,
                };
                tests.push(token);
                if is_last {
                    break;
                }
            }
        } else if let TokenTree::Group(group) = token {
            let (inner, inner_tests) = split_tests(group.stream());
            let mut without_tests = Group::new(group.delimiter(), inner);
            without_tests.set_span(group.span());
            code.push(TokenTree::Group(without_tests));
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
    ["[cfg(test)]", "[cfg(all(test,"]
        .iter()
        .any(|start| text.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        places(File::new("a.rs", text).tokens())
            .into_iter()
            .map(|place| place.words.join("::"))
            .collect()
    }

    #[test]
    fn paths_are_found_in_uses_types_and_expressions() {
        let text = "use a::{b::{c, d}, e as f};\n// no::comment\nfn g(x: &h::I<j::K>) { \"no::text\"; l::m(n::o!()) }";
        let paths = paths(text);
        for path in ["a::b::c", "a::b::d", "a::e", "h::I", "j::K", "l::m", "n::o"] {
            assert!(
                paths.contains(&path.to_owned()),
                "{path} is not in {paths:?}"
            );
        }
        assert!(
            !paths.iter().any(|path| path.starts_with("no")),
            "{paths:?}"
        );
    }

    #[test]
    fn inline_modules_are_counted() {
        let places = places(File::new("a.rs", "use x::y; mod inner { use super::z; }").tokens());
        let depth = |words: &[&str]| {
            places
                .iter()
                .find(|place| place.starts_with(words))
                .map(|place| place.depth)
        };
        assert_eq!(
            (depth(&["x", "y"]), depth(&["super", "z"])),
            (Some(0), Some(1))
        );
    }

    #[test]
    fn tests_are_separated_from_code() {
        let (code, tests) =
            File::new("a.rs", "fn a() {}\n#[cfg(test)]\nmod tests { fn b() {} }\nfn c() {}\n#[cfg(all(test, unix))]\nuse d;")
                .code_and_tests();
        assert_eq!(
            (
                code.to_string().as_str(),
                tests.to_string().contains("fn b")
            ),
            ("fn a () { } fn c () { }", true)
        );
    }

    #[test]
    fn macros_are_found_with_their_lines() {
        assert_eq!(
            macros(File::new("a.rs", "fn a() {\n    println!(\"eprintln!\");\n}").tokens()),
            [("println".to_owned(), 2)]
        );
    }
}
