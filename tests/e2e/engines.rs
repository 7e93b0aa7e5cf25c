//! Images in an engine: pulled from a registry, or loaded without one.

use union_tests::Project;
use union_tests::engine::Engine;

use crate::setup::{Setup, config, line};

const RUN: [&str; 4] = ["run", "--rm", "--network", "none"];

fn scratch(name: &str) -> Project {
    Project::package(name)
        .union("[package.metadata.union.images.default]\nbase-image = \"scratch\"\n")
        .locked()
}

#[test]
fn copy_to_bin_keeps_the_shell_and_user_is_numeric() {
    let setup = Setup::new().with_debian("library/debian:bookworm");
    let more =
        "copy = [{ from = \"tool\", to = \"/bin/tool\", mode = \"0755\" }]\nuser = \"nobody\"\n";
    let project = setup
        .on("library/debian:bookworm", more)
        .file("tool", "#!/bin/sh\necho tool of $(id -u):$(id -g)\n")
        .locked();
    let pinned = line(&project.run(["build"]).succeeds());
    assert_eq!(config(&pinned)["config"]["User"], "65534:65534");
    let engine = Engine::shared();
    assert_eq!(
        engine.docker(&[&RUN[..], &[&pinned, "/bin/tool"]].concat()),
        "tool of 65534:65534"
    );
    assert_eq!(
        engine.docker(
            &[
                &RUN[..],
                &[
                    &pinned,
                    "/bin/sh",
                    "-c",
                    "/usr/bin/tool && ls -ld /bin | cut -c1"
                ]
            ]
            .concat()
        ),
        "tool of 65534:65534\nl"
    );
}

#[test]
fn unknown_user_of_the_base_is_an_error() {
    let setup = Setup::new().with_base("base:1", "one");
    let project = setup.on("base:1", "user = \"postgres\"\n").locked();
    project
        .run(["build"])
        .fails_with("U0307")
        .stderr_has("`postgres`")
        .stderr_has(&setup.reference("base"));
    assert!(setup.tags("team/hello").is_empty());
}

#[test]
fn image_is_loaded_into_an_engine_and_found_there() {
    let engine = Engine::shared();
    let project = scratch("loaded").env("DOCKER_HOST", engine.address());
    let first = project
        .run(["build", "--output", "docker:"])
        .succeeds()
        .compiles(["loaded"]);
    let name = line(&first)
        .strip_prefix("docker:")
        .map(str::to_owned)
        .expect("stdout names the engine");
    assert!(name.starts_with("loaded:"), "{name}");
    assert_eq!(engine.docker(&[&RUN[..], &[&name]].concat()), "hello");
    let second = project
        .run(["build", "--output", "docker:"])
        .succeeds()
        .compiles_nothing()
        .stderr_has("Unchanged default");
    assert_eq!(second.stdout(), first.stdout());
}

#[test]
fn missing_engine_lists_tried_addresses_and_alternatives() {
    let project = scratch("hello");
    let nowhere = format!("unix://{}", project.temp().join("nowhere.sock").display());
    let outcome = project
        .env("DOCKER_HOST", nowhere.clone())
        .run(["build", "--output", "docker:"]);
    outcome
        .fails_with("U0414")
        .stderr_has(&nowhere)
        .stderr_has("another `--output`")
        .compiles_nothing();
}
