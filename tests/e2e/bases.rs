//! Base images that are missing, denied, for other platforms, or have a wrong digest.

use union_tests::Project;
use union_tests::engine::Engine;
use union_tests::faulty_registry::{FaultyRegistry, Reply};
use union_tests::registry::Registry;

use crate::setup::{Setup, line, push_base};

fn on(base: &str) -> Project {
    Project::package("hello")
        .union(&format!(
            "[package.metadata.union.images.default]\nbase-image = {base:?}\n"
        ))
        .locked()
}

#[test]
fn missing_base_is_named() {
    let setup = Setup::new().with_base("base:1", "one");
    for missing in ["base:2", "nothing:1"] {
        let base = setup.reference(missing);
        on(&base)
            .run(["build"])
            .fails_with("U0301")
            .stderr_has(&base)
            .compiles_nothing();
    }
}

#[test]
fn denied_base_names_the_login_command() {
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
fn base_without_the_platform_lists_its_platforms() {
    let setup = Setup::new().with_base("base:1", "one");
    let project = setup
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
fn base_with_a_wrong_digest_is_refused() {
    let registry = FaultyRegistry::start(|request, _| {
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

#[test]
fn panic_in_an_image_names_the_function() {
    let setup = Setup::new().with_debian("library/debian:bookworm");
    let main = "#[inline(never)]\nfn divides_the_work(by: usize) -> usize {\n    100 / by\n}\n\
                fn main() {\n    println!(\"{}\", divides_the_work(std::env::args().count() - 1));\n}\n";
    let debian = format!(
        "base-image = {:?}",
        setup.reference("library/debian:bookworm")
    );
    for base in ["base-image = \"scratch\"", &debian] {
        let project = Project::package("hello")
            .union(&setup.settings("package"))
            .union(&format!(
                "[package.metadata.union.images.default]\n{base}\n"
            ))
            .file("src/main.rs", main)
            .locked();
        let pinned = line(&project.run(["build"]).succeeds());
        let run = [
            "run",
            "--rm",
            "--network",
            "none",
            "-e",
            "RUST_BACKTRACE=1",
            &pinned,
        ];
        let output = Engine::shared().try_docker(&run);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(101), "{stderr}");
        assert!(
            stderr.contains("attempt to divide by zero")
                && stderr.contains("hello::divides_the_work"),
            "{base}: {stderr}"
        );
    }
}
