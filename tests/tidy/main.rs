//! Keeps the house in order: who may know whom, what stands only behind one door, and what must not
//! be in the repository at all.
//!
//! It reads the source, never runs the tool. Every check is a function from source to problems, and
//! has a test that feeds it something bad.

mod arrows;
mod codes;
mod cycles;
mod doors;
mod manifests;
mod names;
mod source;
mod texts;

use source::Tree;

#[test]
fn rooms_know_only_those_below_them() {
    report(Tree::of_the_repository().rust("cargo-union/src").flat_map(arrows::problems));
}

#[test]
fn a_type_name_has_one_meaning() {
    report(names::problems(&Tree::of_the_repository()));
}

#[test]
fn no_files_need_each_other() {
    report(cycles::problems(&Tree::of_the_repository()));
}

#[test]
fn every_effect_has_one_door() {
    let tree = Tree::of_the_repository();
    report(tree.rust("cargo-union/src").chain(tree.rust("union-build/src")).flat_map(doors::problems));
}

#[test]
fn every_code_is_used_and_tested() {
    let tree = Tree::of_the_repository();
    report(codes::problems(&tree, &codes::declared()));
}

#[test]
fn versions_stand_in_one_place() {
    report(manifests::problems(&Tree::of_the_repository()));
}

#[test]
fn no_file_is_unfinished_or_knows_the_machine_it_was_written_on() {
    let tree = Tree::of_the_repository();
    report(tree.files().flat_map(|file| texts::problems(file, &texts::machine())));
}

#[test]
fn no_file_is_too_long_to_read() {
    let tree = Tree::of_the_repository();
    report(tree.rust("").flat_map(texts::too_long));
}

/// Fails with all problems at once.
#[track_caller]
fn report(problems: impl IntoIterator<Item = String>) {
    let problems: Vec<_> = problems.into_iter().collect();
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}
