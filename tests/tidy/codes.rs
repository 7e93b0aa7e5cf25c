//! Every error code is used in code and named in a test.

use std::collections::BTreeSet;

use proc_macro2::TokenStream;
use union_build::diag::Code;

use crate::source::{Place, Tree, flat, places};

const TABLE: &str = "union-build/src/diag/code.rs";

/// Codes that no test can produce, with the reason.
const UNTESTED: &[(&str, &str)] = &[(
    "HostUnsupported",
    "the tests run on hosts that are supported",
)];

/// The names of all codes in the source, with the codes as printed.
pub(crate) fn declared() -> Vec<(String, &'static str)> {
    Code::ALL
        .iter()
        .map(|code| (format!("{code:?}"), code.as_str()))
        .collect()
}

/// Codes that no code uses or no test names.
pub(crate) fn problems(tree: &Tree, declared: &[(String, &str)]) -> Vec<String> {
    let mut used = BTreeSet::new();
    let mut tested = BTreeSet::new();
    for file in tree
        .rust("")
        .filter(|file| file.path != TABLE && !file.path.starts_with("tests/tidy/"))
    {
        let (code, tests) = file.code_and_tests();
        used.extend(code_names(code));
        tested.extend(code_names(tests.clone()));
        // A printed code may be part of a string: `"U0103"` or `"error[U0103]: …"`.
        tested.extend(
            flat(tests)
                .into_iter()
                .flat_map(|(token, _)| printed_codes(&token)),
        );
    }
    let mut problems = Vec::new();
    for (name, printed) in declared {
        if !used.contains(name) {
            problems.push(format!("{TABLE}: nothing uses {printed} {name}"));
        } else if !(tested.contains(name)
            || tested.contains(*printed)
            || UNTESTED.iter().any(|(untested, _)| untested == name))
        {
            problems.push(format!("{TABLE}: no test names {printed} {name}"));
        }
    }
    problems
}

/// The names after `Code::`.
fn code_names(tokens: TokenStream) -> Vec<String> {
    let name = |place: Place| {
        place
            .words
            .windows(2)
            .find(|pair| pair[0] == "Code")
            .map(|pair| pair[1].clone())
    };
    places(tokens).into_iter().filter_map(name).collect()
}

/// The printed codes in a string.
fn printed_codes(token: &str) -> Vec<String> {
    let is_code = |word: &&str| {
        word.len() == 5
            && word.starts_with('U')
            && word[1..].bytes().all(|byte| byte.is_ascii_digit())
    };
    token
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter(is_code)
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unused_and_untested_codes_are_reported() {
        let tree = Tree::from_files(&[
            (
                TABLE,
                "enum Code { Unused, Untested, InText, ByName }\nfn a() { Code::Unused }",
            ),
            ("cargo-union/src/b.rs", "fn a() { Other::Unused }"),
            (
                "cargo-union/src/a.rs",
                "fn a() { e(Code::Untested); e(Code::InText); e(Code::ByName) }\n#[cfg(test)] mod tests { fn a() { b(Code::ByName) } }",
            ),
            (
                "tests/cli/main.rs",
                "fn a() { b.stderr_has(\"error[U0003]: x\") }\n// U0002",
            ),
        ]);
        let declared = [
            ("Unused", "U0001"),
            ("Untested", "U0002"),
            ("InText", "U0003"),
            ("ByName", "U0004"),
        ];
        let problems = problems(
            &tree,
            &declared.map(|(name, printed)| (name.to_owned(), printed)),
        );
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(
            problems[0].contains("nothing uses U0001")
                && problems[1].contains("no test names U0002"),
            "{problems:?}"
        );
    }
}
