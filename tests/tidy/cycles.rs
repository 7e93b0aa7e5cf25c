//! No file of a module needs another one that needs it, directly or through others.
//!
//! A file may use what the modules around it declare; that alone is no cycle.

use std::collections::{BTreeMap, BTreeSet};

use crate::arrows::{from_the_crate, module};
use crate::source::{File, Tree, places};

/// The files of each cycle.
pub(crate) fn problems(tree: &Tree) -> Vec<String> {
    let files: BTreeMap<Vec<String>, &File> = tree.rust("cargo-union/src").map(|file| (module(&file.path), file)).collect();
    let needed: BTreeMap<&[String], BTreeSet<&[String]>> =
        files.iter().map(|(module, file)| (module.as_slice(), needs(module, file, &files))).collect();
    let mut problems = Vec::new();
    let mut told: BTreeSet<&[String]> = BTreeSet::new();
    for module in needed.keys() {
        let circle: BTreeSet<&[String]> =
            reached(module, &needed).into_iter().filter(|other| reached(other, &needed).contains(module)).collect();
        if circle.contains(module) && told.insert(module) {
            told.extend(&circle);
            let names: Vec<String> = circle.iter().map(|module| format!("`{}`", module.join("::"))).collect();
            problems.push(format!("{}: a cycle of {}", files[*module].path, names.join(", ")));
        }
    }
    problems
}

/// The modules that a file names outside of its tests, but for those around it.
fn needs<'a>(module: &[String], file: &File, files: &'a BTreeMap<Vec<String>, &File>) -> BTreeSet<&'a [String]> {
    let paths = places(file.code_and_tests().0);
    let paths = paths.iter().filter_map(|place| from_the_crate(module, place));
    let longest = |path: Vec<String>| (1..=path.len()).rev().find_map(|length| files.get_key_value(&path[..length]));
    let others = paths.filter_map(longest).map(|(other, _)| other.as_slice());
    others.filter(|other| !module.starts_with(other) && !other.is_empty()).collect()
}

fn reached<'a>(from: &[String], needed: &BTreeMap<&'a [String], BTreeSet<&'a [String]>>) -> BTreeSet<&'a [String]> {
    let mut reached = BTreeSet::new();
    let mut left: Vec<&[String]> = needed.get(from).into_iter().flatten().copied().collect();
    while let Some(module) = left.pop() {
        if reached.insert(module) {
            left.extend(needed.get(module).into_iter().flatten());
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_is_reported_once_with_all_its_files() {
        let tree = Tree::made_of(&[
            ("cargo-union/src/build/mod.rs", "pub mod a; pub mod b; pub mod c; struct Request;"),
            ("cargo-union/src/build/a.rs", "use super::b::B; use super::Request;"),
            ("cargo-union/src/build/b.rs", "use crate::build::c::C;"),
            ("cargo-union/src/build/c.rs", "fn f() { super::a::g() }"),
            ("cargo-union/src/build/d.rs", "use super::a::A; #[cfg(test)] mod tests { use super::super::e::E; }"),
            ("cargo-union/src/build/e.rs", "use super::d::D;"),
        ]);
        assert_eq!(problems(&tree), ["cargo-union/src/build/a.rs: a cycle of `build::a`, `build::b`, `build::c`"]);
    }
}
