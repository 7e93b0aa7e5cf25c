//! Dependency cycles between files, direct or through other files.
//!
//! A file may use items of its parent modules; that alone is not a cycle.

use std::collections::{BTreeMap, BTreeSet};

use crate::dependencies::{module, path_in_crate};
use crate::source::{File, Tree, places};

/// One problem for each cycle, with its files.
pub(crate) fn problems(tree: &Tree) -> Vec<String> {
    let files: BTreeMap<Vec<String>, &File> = tree
        .rust("cargo-union/src")
        .map(|file| (module(&file.path), file))
        .collect();
    let graph: BTreeMap<&[String], BTreeSet<&[String]>> = files
        .iter()
        .map(|(module, file)| (module.as_slice(), dependencies_of(module, file, &files)))
        .collect();
    let mut problems = Vec::new();
    let mut reported: BTreeSet<&[String]> = BTreeSet::new();
    for module in graph.keys() {
        let cycle: BTreeSet<&[String]> = reachable(module, &graph)
            .into_iter()
            .filter(|other| reachable(other, &graph).contains(module))
            .collect();
        if cycle.contains(module) && reported.insert(module) {
            reported.extend(&cycle);
            let names: Vec<String> = cycle
                .iter()
                .map(|module| format!("`{}`", module.join("::")))
                .collect();
            problems.push(format!(
                "{}: a cycle of {}",
                files[*module].path,
                names.join(", ")
            ));
        }
    }
    problems
}

/// The modules that a file uses outside of its tests, except its parent modules.
fn dependencies_of<'a>(
    module: &[String],
    file: &File,
    files: &'a BTreeMap<Vec<String>, &File>,
) -> BTreeSet<&'a [String]> {
    let paths = places(file.code_and_tests().0);
    let paths = paths
        .iter()
        .filter_map(|place| path_in_crate(module, place));
    let longest_module = |path: Vec<String>| {
        (1..=path.len())
            .rev()
            .find_map(|length| files.get_key_value(&path[..length]))
    };
    let others = paths
        .filter_map(longest_module)
        .map(|(other, _)| other.as_slice());
    others
        .filter(|other| !module.starts_with(other) && !other.is_empty())
        .collect()
}

fn reachable<'a>(
    from: &[String],
    graph: &BTreeMap<&'a [String], BTreeSet<&'a [String]>>,
) -> BTreeSet<&'a [String]> {
    let mut reached = BTreeSet::new();
    let mut pending: Vec<&[String]> = graph.get(from).into_iter().flatten().copied().collect();
    while let Some(module) = pending.pop() {
        if reached.insert(module) {
            pending.extend(graph.get(module).into_iter().flatten());
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycle_is_reported_once_with_all_its_files() {
        let tree = Tree::from_files(&[
            (
                "cargo-union/src/build/mod.rs",
                "pub mod a; pub mod b; pub mod c; struct Request;",
            ),
            (
                "cargo-union/src/build/a.rs",
                "use super::b::B; use super::Request;",
            ),
            ("cargo-union/src/build/b.rs", "use crate::build::c::C;"),
            ("cargo-union/src/build/c.rs", "fn f() { super::a::g() }"),
            (
                "cargo-union/src/build/d.rs",
                "use super::a::A; #[cfg(test)] mod tests { use super::super::e::E; }",
            ),
            ("cargo-union/src/build/e.rs", "use super::d::D;"),
        ]);
        assert_eq!(
            problems(&tree),
            ["cargo-union/src/build/a.rs: a cycle of `build::a`, `build::b`, `build::c`"]
        );
    }
}
