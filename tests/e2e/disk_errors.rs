//! Full disks and directories that cannot be written.
//!
//! The small and the read-only disks are mounted in a name space of the run alone: they vanish with it.

use union_tests::{Outcome, Project};

use crate::default_build::scratch;
use crate::setup::Setup;

/// Runs `cargo-union build` after a line of shell, both in a separate mount namespace.
fn build_after(project: &Project, line: &str) -> Outcome {
    let tool = union_tests::project::tool();
    project.shell(&format!(
        "exec unshare --map-root-user --mount sh -ec '{line}; exec {} build'",
        tool.display()
    ))
}

#[test]
fn full_disk_is_named_and_build_continues_with_free_space() {
    let setup = Setup::new();
    let project = scratch(&setup).locked();
    let cache = project.cache().display().to_string();
    let outcome = build_after(
        &project,
        &format!("mount -t tmpfs -o size=32k tmpfs {cache}"),
    );
    outcome.fails_with("U0006").stderr_has(&cache).stdout_is("");
    assert!(setup.tags("team/hello").is_empty());
    project
        .run(["build"])
        .succeeds()
        .compiles_nothing()
        .stderr_has("Published");
}

#[test]
fn unwritable_target_directory_is_named() {
    let setup = Setup::new();
    let project = scratch(&setup).locked();
    std::fs::create_dir_all(project.path("target")).unwrap();
    let target = project.path("target").display().to_string();
    let outcome = build_after(
        &project,
        &format!("mount --bind {target} {target}; mount -o remount,bind,ro {target}"),
    );
    outcome
        .fails_with("U0005")
        .stderr_has(&target)
        .compiles_nothing();
    assert!(setup.tags("team/hello").is_empty());
}

#[test]
fn file_in_place_of_a_directory_is_named() {
    let setup = Setup::new();
    let project = scratch(&setup).locked();
    project.write("target/union", "not a directory");
    project
        .run(["build"])
        .fails_with("U0005")
        .stderr_has("target/union")
        .compiles_nothing();
    assert_eq!(project.read("target/union"), "not a directory");
}
