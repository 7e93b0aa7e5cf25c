//! Bases move only when the user says so.

use union_tests::base::{debian_base, layout_of, push};
use union_tests::http::{Reply, Server};
use union_tests::registry::Registry;

use crate::world::{BASE, hello, pinned, registry_with_base};

/// The same tag on other content: the base, with one label more.
fn move_base(registry: &Registry) {
    let layout = tempfile::tempdir().unwrap();
    let config = serde_json::json!({ "Labels": { "moved": "yes" }, "Cmd": ["bash"] });
    layout_of(&debian_base(), &config, layout.path());
    push(layout.path(), &format!("{}/{BASE}", registry.host()));
}

#[test]
fn a_moving_tag_changes_nothing_before_update() {
    let registry = registry_with_base();
    let project = hello(&registry);
    let first = pinned(project.run(["build"]).succeeds().stdout());
    let lock = project.read("Union.lock");
    move_base(&registry);
    assert_eq!(pinned(project.run(["build"]).succeeds().compiles_nothing().stdout()), first);
    project.run(["update", "--dry-run"]).succeeds().stderr_has("gcr.io/distroless/cc-debian13").stderr_has(" → ");
    assert_eq!(project.read("Union.lock"), lock);
    project.run(["update"]).succeeds();
    assert_ne!(project.read("Union.lock"), lock);
    project.run(["plan"]).succeeds().stdout_has("build its environment").stdout_has("base-image linux/amd64: sha256:");
    assert_ne!(pinned(project.run(["build"]).succeeds().stdout()), first);
    project.run(["update"]).succeeds().stderr_has("Unchanged Union.lock");
}

#[test]
fn a_base_that_is_missing_denied_or_for_another_platform_is_named() {
    let registry = registry_with_base();
    let missing = hello(&registry);
    missing.append("Cargo.toml", &format!("base-image = \"{}/no/such:1\"\n", registry.host()));
    missing.run(["build"]).fails_with("U0301").stderr_has("no/such").compiles_nothing();
    let other = hello(&registry);
    other.append("Cargo.toml", "platforms = [\"linux/arm64\"]\n");
    other.run(["plan"]).fails_with("U0304").stderr_has("linux/amd64").compiles_nothing();
    let closed = Registry::htpasswd("ann", "secret");
    let denied = hello(&registry);
    denied.append("Cargo.toml", &format!("base-image = \"{}/base:1\"\n", closed.host()));
    denied.run(["build"]).fails_with("U0302").stderr_has(closed.host()).stderr_has("docker login").compiles_nothing();
}

#[test]
fn a_base_whose_manifest_lies_is_not_built_upon() {
    let registry = registry_with_base();
    let liar = Server::start(|_, _| {
        Reply::status(200).with("docker-content-digest", format!("sha256:{}", "0".repeat(64))).body("{\"schemaVersion\":2}")
    });
    let project = hello(&registry);
    project.append("Cargo.toml", &format!("base-image = \"{}/base:1\"\n", liar.host()));
    project.run(["build"]).fails_with("U0306").stderr_has(&liar.host()).compiles_nothing();
}
