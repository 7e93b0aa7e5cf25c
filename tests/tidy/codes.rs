//! Every error code can happen, and some test makes it happen.

use std::collections::BTreeSet;

use proc_macro2::TokenStream;
use union_build::diag::Code;

use crate::source::{Place, Tree, flat, places};

const TABLE: &str = "union-build/src/diag/code.rs";

/// Codes that no test can bring about, and why.
const UNTESTED: &[(&str, &str)] = &[("HostUnsupported", "the tests run on hosts that are supported")];

/// Name in the source and code as shown.
pub(crate) fn declared() -> Vec<(String, &'static str)> {
    Code::ALL.iter().map(|code| (format!("{code:?}"), code.as_str())).collect()
}

/// Codes that no code uses or no test names.
pub(crate) fn problems(tree: &Tree, declared: &[(String, &str)]) -> Vec<String> {
    let (mut used, mut tested) = (BTreeSet::new(), BTreeSet::new());
    for file in tree.rust("").filter(|file| file.path != TABLE && !file.path.starts_with("tests/tidy/")) {
        let (code, tests) = file.code_and_tests();
        used.extend(named_in(code));
        tested.extend(named_in(tests.clone()));
        // A code as shown stands inside of a text: `"U0103"` or `"error[U0103]: …"`.
        tested.extend(flat(tests).into_iter().flat_map(|(token, _)| shown_in(&token)));
    }
    let mut problems = Vec::new();
    for (name, shown) in declared {
        if !used.contains(name) {
            problems.push(format!("{TABLE}: nothing uses {shown} {name}"));
        } else if !(tested.contains(name) || tested.contains(*shown) || UNTESTED.iter().any(|(untested, _)| untested == name)) {
            problems.push(format!("{TABLE}: no test brings about {shown} {name}"));
        }
    }
    problems
}

/// The names that stand after `Code::`.
fn named_in(tokens: TokenStream) -> Vec<String> {
    let name = |place: Place| place.words.windows(2).find(|pair| pair[0] == "Code").map(|pair| pair[1].clone());
    places(tokens).into_iter().filter_map(name).collect()
}

/// The codes, as shown, in a text.
fn shown_in(token: &str) -> Vec<String> {
    let is_code = |word: &&str| word.len() == 5 && word.starts_with('U') && word[1..].bytes().all(|byte| byte.is_ascii_digit());
    token.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(is_code).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unused_and_untested_codes_are_reported() {
        let tree = Tree::made_of(&[
            (TABLE, "enum Code { Unused, Untested, InText, ByName }\nfn a() { Code::Unused }"),
            ("cargo-union/src/b.rs", "fn a() { Other::Unused }"),
            (
                "cargo-union/src/a.rs",
                "fn a() { e(Code::Untested); e(Code::InText); e(Code::ByName) }\n#[cfg(test)] mod tests { fn a() { b(Code::ByName) } }",
            ),
            ("tests/cli/main.rs", "fn a() { b.stderr_has(\"error[U0003]: x\") }\n// U0002"),
        ]);
        let declared = [("Unused", "U0001"), ("Untested", "U0002"), ("InText", "U0003"), ("ByName", "U0004")];
        let problems = problems(&tree, &declared.map(|(name, shown)| (name.to_owned(), shown)));
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].contains("nothing uses U0001") && problems[1].contains("no test brings about U0002"), "{problems:?}");
    }
}
