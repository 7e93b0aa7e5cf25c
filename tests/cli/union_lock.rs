//! Union.lock without a registry: invalid, outdated or incomplete.

use union_tests::Project;

const BASE: &str = "[package.metadata.union.images.default]\nbase-image = \"127.0.0.1:1/base:1\"\n";

#[test]
fn unlocked_base_is_an_error_with_locked() {
    let project = Project::package("hello").union(BASE).locked();
    project
        .run(["build", "--locked"])
        .fails_with("U0211")
        .stderr_has("127.0.0.1:1/base:1")
        .stderr_has("cargo union update")
        .compiles_nothing();
}

#[test]
fn unreachable_base_names_host_and_repository() {
    let project = Project::package("hello").union(BASE).locked();
    project
        .run(["build"])
        .fails_with("U0303")
        .stderr_has("127.0.0.1:1/base")
        .compiles_nothing();
    assert!(
        !project.path("Union.lock").exists(),
        "nothing half-known is written"
    );
}

#[test]
fn invalid_lock_file_is_named_with_its_line() {
    let project = Project::package("hello")
        .union(BASE)
        .file("Union.lock", "version = 1\nbases = 7\n")
        .locked();
    project
        .run(["plan"])
        .fails_with("U0212")
        .stderr_has("Union.lock:2");
}

#[test]
fn update_renews_an_environment() {
    let project = Project::package("hello")
        .union("[package.metadata.union.images.default]\nbase-image = \"scratch\"\n")
        .locked();
    let tag =
        || project.run(["plan", "--format", "json"]).succeeds().json()["images"][0]["tag"].clone();
    let before = tag();
    project
        .run(["update", "--packages", "default", "--dry-run"])
        .succeeds();
    assert!(!project.path("Union.lock").exists());
    project
        .run(["update", "--packages", "default"])
        .succeeds()
        .stderr_has("generation 1");
    assert_ne!(tag(), before);
    project
        .run(["update", "--packages", "gpu"])
        .fails_with("U0105")
        .stderr_has("`default`");
}
