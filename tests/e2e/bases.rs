//! Base images that are missing, denied, for other platforms, or not what they claim to be.

use union_tests::Project;
use union_tests::hostile::{Hostile, Reply};
use union_tests::registry::Registry;

use crate::site::{Site, push_base};

fn on(base: &str) -> Project {
    Project::package("hello")
        .union(&format!(
            "[package.metadata.union.images.default]\nbase-image = {base:?}\n"
        ))
        .locked()
}

#[test]
fn a_missing_base_is_named() {
    let site = Site::new().with_base("base:1", "one");
    for missing in ["base:2", "nothing:1"] {
        let base = site.reference(missing);
        on(&base)
            .run(["build"])
            .fails_with("U0301")
            .stderr_has(&base)
            .compiles_nothing();
    }
}

#[test]
fn a_denied_base_comes_with_the_command_to_run() {
    let registry = Registry::htpasswd("me", "secret");
    let base = format!("{}/base:1", registry.host());
    push_base(&base, "one", &["--dest-creds", "me:secret"]);
    on(&base)
        .run(["build"])
        .fails_with("U0302")
        .stderr_has(&base)
        .stderr_has(&format!("docker login {}", registry.host()))
        .compiles_nothing();
}

#[test]
fn a_base_for_other_platforms_comes_with_the_list() {
    let site = Site::new().with_base("base:1", "one");
    let project = site
        .on("base:1", "platforms = [\"linux/arm64\"]\n")
        .locked();
    project
        .run(["build"])
        .fails_with("U0304")
        .stderr_has("`linux/arm64`")
        .stderr_has("`linux/amd64`")
        .compiles_nothing();
    assert!(!project.path("Union.lock").exists());
}

#[test]
fn a_base_that_is_not_what_its_digest_promises_is_refused() {
    let registry = Hostile::start(|request, _| {
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let lie = Reply::status(200).with("Content-Type", kind).with(
            "Docker-Content-Digest",
            format!("sha256:{}", "0".repeat(64)),
        );
        request
            .path
            .contains("/manifests/")
            .then(|| lie.body("{\"schemaVersion\":2}").into())
    });
    let base = format!("{}/base", registry.host());
    for reference in [
        format!("{base}:1"),
        format!("{base}@sha256:{}", "0".repeat(64)),
    ] {
        on(&reference)
            .run(["build"])
            .fails_with("U0306")
            .stderr_has(&base)
            .compiles_nothing();
    }
}
