//! Architecture tests: module dependencies, effect boundaries, unique type names, and texts that must not be in the
//! repository.
//!
//! They read the source and do not run the tool. Every check is a function from source to problems, and has a test with
//! bad source.

mod codes;
mod cycles;
mod dependencies;
mod documents;
mod effects;
mod items;
mod links;
mod manifests;
mod names;
mod source;
mod texts;

use source::Tree;

#[test]
fn modules_depend_only_on_allowed_modules() {
    report(
        Tree::of_repository()
            .rust("cargo-union/src")
            .flat_map(dependencies::problems),
    );
}

#[test]
fn type_names_are_unique() {
    report(names::problems(&Tree::of_repository()));
}

#[test]
fn modules_are_named_by_nouns() {
    report(names::module_problems(&Tree::of_repository()));
}

#[test]
fn files_have_no_dependency_cycles() {
    let tree = Tree::of_repository();
    report(
        ["cargo-union/src", "union-build/src"]
            .into_iter()
            .flat_map(|source| cycles::problems(&tree, source)),
    );
}

#[test]
fn effects_are_used_only_in_their_modules() {
    let tree = Tree::of_repository();
    report(
        tree.rust("cargo-union/src")
            .chain(tree.rust("union-build/src"))
            .flat_map(effects::problems),
    );
}

#[test]
fn error_codes_are_used_and_tested() {
    let tree = Tree::of_repository();
    report(codes::problems(&tree, &codes::declared()));
}

#[test]
fn versions_are_declared_once() {
    report(manifests::problems(&Tree::of_repository()));
}

#[test]
fn names_in_documents_exist() {
    report(documents::problems(&Tree::of_repository()));
}

#[test]
fn links_in_documents_lead_somewhere() {
    report(links::problems(&Tree::of_repository()));
}

#[test]
fn files_contain_no_unfinished_work_and_no_machine_paths() {
    let tree = Tree::of_repository();
    report(
        tree.files()
            .flat_map(|file| texts::problems(file, &texts::machine_directories())),
    );
}

#[test]
fn files_do_not_exceed_the_maximum_length() {
    let tree = Tree::of_repository();
    report(tree.rust("").flat_map(texts::too_long));
}

/// Fails with all problems at once.
#[track_caller]
fn report(problems: impl IntoIterator<Item = String>) {
    let problems: Vec<_> = problems.into_iter().collect();
    assert!(
        problems.is_empty(),
        "{} problems:\n{}",
        problems.len(),
        problems.join("\n")
    );
}
