//! Dependency cycles between the files of a crate, direct or through other files.
//!
//! A name is followed through `use` to the file that declares it, so a re-export is no dependency of its own. Files with
//! submodules are divided into their items: a submodule may use an item of a parent, unless that item uses the submodule.

use std::collections::{BTreeMap, BTreeSet};

use crate::dependencies::{module, path_in_crate};
use crate::items::Declarations;
use crate::source::{Place, Tree, places};

/// The path of a module in its crate.
type Module = Vec<String>;

/// A file without submodules, or an item of a file with submodules.
type Node = (Module, Option<String>);

/// How many imports are followed for one name.
const MAX_IMPORTS: usize = 16;

/// Which modules and items use which others.
type Graph = BTreeMap<Node, BTreeSet<Node>>;

/// One problem for each cycle of a crate's source directory, with its files and items.
pub(crate) fn problems(tree: &Tree, source: &str) -> Vec<String> {
    let files = Files::of(tree, source);
    let graph = files.graph();
    let mut cycles = cycles(&graph);
    cycles.extend(self::cycles(&between_siblings(&graph)));
    let problem = |cycle: BTreeSet<Node>| {
        let first = cycle
            .first()
            .map(|(module, _)| files.paths[module].as_str());
        let names: Vec<String> = cycle.iter().map(text).collect();
        format!(
            "{}: a cycle of {}",
            first.unwrap_or(source),
            names.join(", ")
        )
    };
    cycles.into_iter().map(problem).collect()
}

/// The dependencies between the submodules of each module, each with all that is below it.
fn between_siblings(graph: &Graph) -> Graph {
    let mut siblings = Graph::new();
    for ((module, _), used) in graph {
        for (other, _) in used {
            let pairs = module.iter().zip(other);
            let length = pairs.take_while(|(left, right)| left == right).count() + 1;
            if module.len() >= length && other.len() >= length {
                let node = |module: &Module| (module[..length].to_vec(), None);
                siblings
                    .entry(node(module))
                    .or_default()
                    .insert(node(other));
            }
        }
    }
    siblings
}

/// The largest sets of nodes in several files that all use one another, directly or through others.
fn cycles(graph: &Graph) -> BTreeSet<BTreeSet<Node>> {
    let reached: BTreeMap<&Node, BTreeSet<&Node>> = graph
        .keys()
        .map(|node| (node, reachable(node, graph)))
        .collect();
    let cycle_of = |node: &Node| -> BTreeSet<Node> {
        let others = reached[node].iter();
        others
            .filter(|other| reached.get(*other).is_some_and(|back| back.contains(node)))
            .map(|other| (*other).clone())
            .collect()
    };
    let is_in_several_files = |cycle: &BTreeSet<Node>| {
        let modules: BTreeSet<&Module> = cycle.iter().map(|(module, _)| module).collect();
        modules.len() > 1
    };
    graph
        .keys()
        .map(cycle_of)
        .filter(is_in_several_files)
        .collect()
}

/// The files of a crate, by module.
struct Files {
    paths: BTreeMap<Module, String>,
    declarations: BTreeMap<Module, Declarations>,
    /// All paths of each file outside of its tests.
    places: BTreeMap<Module, Vec<Place>>,
}

impl Files {
    fn of(tree: &Tree, source: &str) -> Self {
        let mut files = Self {
            paths: BTreeMap::new(),
            declarations: BTreeMap::new(),
            places: BTreeMap::new(),
        };
        // `main.rs` is a crate of its own, which nothing can import.
        let is_main = |path: &str| path.strip_prefix(source) == Some("/main.rs");
        for file in tree.rust(source).filter(|file| !is_main(&file.path)) {
            let module = module(&file.path);
            let code = file.code_and_tests().0;
            files.paths.insert(module.clone(), file.path.clone());
            files.places.insert(module.clone(), places(code.clone()));
            files.declarations.insert(module, Declarations::of(code));
        }
        files
    }

    fn graph(&self) -> Graph {
        let mut graph = Graph::new();
        for (module, declarations) in &self.declarations {
            let uses = |places: &[Place]| -> BTreeSet<Node> {
                places
                    .iter()
                    .filter_map(|place| self.used(module, place))
                    .filter(|(used, _)| used != module || self.has_submodules(module))
                    .collect()
            };
            if self.has_submodules(module) {
                for (name, places) in &declarations.items {
                    graph.insert((module.clone(), Some(name.clone())), uses(places));
                }
            } else {
                graph.insert((module.clone(), None), uses(&self.places[module]));
            }
        }
        graph
    }

    fn has_submodules(&self, module: &[String]) -> bool {
        self.paths
            .keys()
            .any(|other| other.len() > module.len() && other.starts_with(module))
    }

    /// What a path in a module is declared by; `None` for local names and other crates.
    fn used(&self, module: &Module, place: &Place) -> Option<Node> {
        if place.is_member {
            return None;
        }
        self.resolve(module, place, MAX_IMPORTS)
    }

    fn resolve(&self, module: &Module, place: &Place, imports: usize) -> Option<Node> {
        if let Some(path) = path_in_crate(module, place) {
            return self.declared(&path, imports);
        }
        let declarations = &self.declarations[module];
        let (first, rest) = place.words.split_first()?;
        if first == "self" {
            return self.declared(&[module, rest].concat(), imports);
        }
        let path = [module.as_slice(), &place.words].concat();
        // A name may be that of a submodule and of an imported function.
        let is_in_submodule = !rest.is_empty() && self.paths.contains_key(&path[..=module.len()]);
        if is_in_submodule || declarations.items.contains_key(first) {
            return self.declared(&path, imports);
        }
        if let Some(target) = declarations.imports.get(first) {
            return self.follow(module, target, rest, imports);
        }
        let mut globs = declarations.globs.iter();
        globs.find_map(|glob| self.follow(module, glob, &place.words, imports))
    }

    /// What `rest` is below an imported path.
    fn follow(
        &self,
        module: &Module,
        target: &[String],
        rest: &[String],
        imports: usize,
    ) -> Option<Node> {
        let place = Place {
            words: [target, rest].concat(),
            line: 0,
            depth: 0,
            is_member: false,
        };
        // An import of a name from itself, as of a crate, ends here.
        let is_own =
            target.len() == 1 && self.declarations[module].imports.contains_key(&target[0]);
        if is_own {
            return None;
        }
        self.resolve(module, &place, imports.checked_sub(1)?)
    }

    /// What a path from the crate's root is declared by.
    fn declared(&self, path: &[String], imports: usize) -> Option<Node> {
        let length = (0..=path.len())
            .rev()
            .find(|length| self.paths.contains_key(&path[..*length]))?;
        let (module, rest) = path.split_at(length);
        let module = module.to_vec();
        let file = (!self.has_submodules(&module)).then(|| (module.clone(), None));
        let Some((name, below)) = rest.split_first() else {
            return file;
        };
        let declarations = &self.declarations[&module];
        if declarations.items.contains_key(name) {
            return file.or_else(|| Some((module, Some(name.clone()))));
        }
        if let Some(target) = declarations.imports.get(name) {
            return self.follow(&module, target, below, imports);
        }
        let mut globs = declarations.globs.iter();
        globs
            .find_map(|glob| self.follow(&module, glob, rest, imports))
            .or(file)
    }
}

fn text((module, item): &Node) -> String {
    let words: Vec<&str> = module.iter().chain(item).map(String::as_str).collect();
    format!("`{}`", words.join("::"))
}

fn reachable<'a>(from: &Node, graph: &'a Graph) -> BTreeSet<&'a Node> {
    let mut reached = BTreeSet::new();
    let mut pending: Vec<&Node> = graph.get(from).into_iter().flatten().collect();
    while let Some(node) = pending.pop() {
        if reached.insert(node) {
            pending.extend(graph.get(node).into_iter().flatten());
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "cargo-union/src";

    fn problems_of(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<(String, &str)> = files
            .iter()
            .map(|(path, text)| (format!("{SOURCE}/{path}"), *text))
            .collect();
        let files: Vec<(&str, &str)> = files
            .iter()
            .map(|(path, text)| (path.as_str(), *text))
            .collect();
        problems(&Tree::from_files(&files), SOURCE)
    }

    #[test]
    fn cycle_is_reported_once_with_all_its_files() {
        let files = [
            (
                "build/mod.rs",
                "pub mod a; pub mod b; pub mod c; struct Request;",
            ),
            ("build/a.rs", "use super::b::B; use super::Request;"),
            ("build/b.rs", "use crate::build::c::C;"),
            ("build/c.rs", "fn f() { super::a::g() }"),
            (
                "build/d.rs",
                "use super::a::A; #[cfg(test)] mod tests { use super::super::e::E; }",
            ),
            ("build/e.rs", "use super::d::D;"),
        ];
        assert_eq!(
            problems_of(&files),
            ["cargo-union/src/build/a.rs: a cycle of `build::a`, `build::b`, `build::c`"]
        );
    }

    #[test]
    fn reexports_are_followed_to_the_declaring_file() {
        for reexport in [
            "mod a; mod b; pub use a::{A, a};",
            "mod a; mod b; pub use self::a::A as A;",
            "mod a; mod b; pub use a::*;",
            "mod a; mod b; pub mod c { } use crate::build::a::A;",
        ] {
            let cycle = [
                ("build/mod.rs", reexport),
                ("build/a.rs", "use super::b::B; pub struct A; pub fn a() {}"),
                ("build/b.rs", "use super::A; pub struct B(A);"),
            ];
            assert_eq!(
                problems_of(&cycle),
                ["cargo-union/src/build/a.rs: a cycle of `build::a`, `build::b`"],
                "{reexport}"
            );
            let without_cycle = [
                ("build/mod.rs", reexport),
                ("build/a.rs", "pub struct A; pub fn a() {}"),
                ("build/b.rs", "use super::A; pub struct B(A);"),
            ];
            assert_eq!(problems_of(&without_cycle), [""; 0], "{reexport}");
        }
    }

    #[test]
    fn submodule_uses_no_item_of_a_parent_that_uses_it() {
        let child = ("build/a.rs", "impl super::Request { fn f() {} }");
        for parent in [
            "mod a; use a::A; struct Request { a: A }",
            "mod a; struct Request; impl Request { fn g() { a::h() } }",
            "mod a; struct Request(Inner); type Inner = [a::A; 2];",
        ] {
            assert_eq!(
                problems_of(&[("build/mod.rs", parent), child]).len(),
                1,
                "{parent}"
            );
        }
        for parent in [
            "mod a; pub use a::A; struct Request { a: u8 }",
            "mod a; struct Request; fn g(request: Request) { a::h(request) }",
            "mod a; use a::f; struct Request { f: u8 } impl Request { fn g(&self) { self.f() } }",
        ] {
            assert_eq!(
                problems_of(&[("build/mod.rs", parent), child]),
                [""; 0],
                "{parent}"
            );
        }
    }

    #[test]
    fn sibling_modules_form_no_cycle_with_what_is_below_them() {
        let files = [
            ("build/mod.rs", "mod a; mod b;"),
            ("build/a/mod.rs", "mod inner; struct A;"),
            ("build/a/inner.rs", "use crate::build::b::B;"),
            ("build/b.rs", "use super::a::A;"),
        ];
        assert_eq!(
            problems_of(&files),
            ["cargo-union/src/build/a/mod.rs: a cycle of `build::a`, `build::b`"]
        );
    }
}
