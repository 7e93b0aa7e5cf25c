//! From a crate to a running container, and nothing the second time.

use union_tests::Project;
use union_tests::engine::Engine;
use union_tests::registry::Registry;

use crate::world::{self, hello, pinned, registry_with_base, run, tags};

/// One of several checkouts: the wrapper that counts compiles stands elsewhere in each, and wrappers are inputs.
fn checkout(registry: &Registry) -> Project {
    hello(registry).without_env("RUSTC_WRAPPER")
}

#[test]
fn the_default_base_runs_the_binary_and_a_second_build_does_nothing() {
    let registry = registry_with_base();
    let project = hello(&registry);
    let first = project.run(["build"]).succeeds().compiles(["hello"]);
    let reference = pinned(first.stdout());
    assert!(project.read("Union.lock").contains("gcr.io/distroless/cc-debian13"), "{}", project.read("Union.lock"));
    assert_eq!(run(&reference, &[]), "hello");
    // The base is Debian with a shell as its command: it must not be ours.
    let command = Engine::shared().docker(&["inspect", "--format", "{{.Config.Entrypoint}} {{.Config.Cmd}}", &reference]);
    assert_eq!(command, "[] [/union/bin/hello]");
    let second = project.run(["build", "--format", "json"]).succeeds().compiles_nothing().stderr_has("Unchanged default").json();
    assert_eq!((second["images"][0]["sent"].as_u64(), second["images"][0]["pinned"].as_str()), (Some(0), Some(reference.as_str())));
}

#[test]
fn an_edit_sends_the_code_layer_and_nothing_of_the_base() {
    let registry = registry_with_base();
    let project = hello(&registry);
    let sent = |outcome: union_tests::Outcome| outcome.succeeds().json()["images"][0]["sent"].as_u64().unwrap();
    project.run(["build"]).succeeds();
    project.edit("src/main.rs", "hello", "hello again");
    project.run(["plan"]).succeeds().stdout_has("src/main.rs: ").stdout_lacks("of base layers");
    let edit = sent(project.run(["build", "--format", "json"]));
    let binary = std::fs::metadata(project.path("target/x86_64-unknown-linux-gnu/release/hello")).unwrap().len();
    assert!(edit > 0 && edit < binary + 20_000, "{edit} bytes were sent for a binary of {binary}");
}

#[test]
fn a_fresh_checkout_finds_what_is_there_and_compiles_nothing() {
    let registry = registry_with_base();
    let one = checkout(&registry);
    let there = pinned(one.run(["build"]).succeeds().stdout());
    let two = checkout(&registry).file("Union.lock", one.read("Union.lock"));
    let found = two.run(["build", "--locked"]).succeeds().stderr_lacks("Compiling").stderr_has("Unchanged");
    assert_eq!(pinned(found.stdout()), there);
    assert_eq!(two.files_below("target/union/references").len(), 1);
    two.run(["images"]).succeeds().stdout_has(there.split('@').nth(1).unwrap());
}

#[test]
fn two_builds_at_once_give_one_image() {
    let registry = registry_with_base();
    let (one, two) = (checkout(&registry), checkout(&registry));
    let (first, second) = (one.start(["build"]), two.start(["build"]));
    let (first, second) = (first.wait().succeeds(), second.wait().succeeds());
    assert_eq!(pinned(first.stdout()), pinned(second.stdout()));
    assert_eq!(tags(&registry, "acme/hello").len(), 1);
}

#[test]
fn copying_into_a_linked_folder_leaves_the_shell_where_it_is() {
    let registry = registry_with_base();
    let project = hello(&registry).file("tool.sh", "#!/bin/sh\necho tool of $(id -u)\n");
    project.shell("chmod 755 tool.sh").succeeds();
    project.append(
        "Cargo.toml",
        "copy = [{ from = \"tool.sh\", to = \"/bin/tool\" }]\nuser = \"nobody\"\nenv = { GREETING = \"hi\" }\nlabels = { team = \"a\" }\n",
    );
    let reference = pinned(project.run(["build"]).succeeds().stdout());
    assert_eq!(run(&reference, &["/bin/tool"]), "tool of 65534");
    let config = Engine::shared().docker(&["inspect", "--format", "{{.Config.User}} {{.Config.Labels.team}} {{.Config.Env}}", &reference]);
    assert!(config.starts_with("65534") && config.contains(" a ") && config.contains("GREETING=hi"), "{config}");
}

#[test]
fn a_user_that_the_base_does_not_have_is_refused() {
    let registry = registry_with_base();
    let project = hello(&registry);
    project.append("Cargo.toml", "user = \"somebody\"\n");
    project.run(["build"]).fails_with("U0307").stderr_has("somebody");
    assert!(tags(&registry, "acme/hello").is_empty());
}

#[test]
fn a_rebuild_keeps_the_old_image_under_a_name_of_its_own() {
    let registry = registry_with_base();
    let project = hello(&registry);
    let first = pinned(project.run(["build"]).succeeds().stdout());
    // Another date in the config is another digest under the same key.
    let second = pinned(project.env("SOURCE_DATE_EPOCH", "86400").run(["build", "--rebuild"]).succeeds().stdout());
    assert_ne!(first, second);
    let tags = tags(&registry, "acme/hello");
    let old = &first.split("@sha256:").nth(1).unwrap()[..12];
    assert!(tags.len() == 2 && tags[1] == format!("{}-{old}", tags[0]), "{tags:?}");
}

#[test]
fn another_registry_has_the_same_tag() {
    let (one, two) = (registry_with_base(), registry_with_base());
    let project = hello(&one);
    project.run(["build"]).succeeds();
    let promoted = format!("{}/prod", two.host());
    project.run(["build", "--registry", &promoted]).succeeds();
    assert_eq!(tags(&one, "acme/hello"), tags(&two, "prod/hello"));
}

#[test]
fn an_engine_can_be_the_place() {
    let registry = Registry::open();
    let project = Project::package("straight")
        .union("[package.metadata.union.images.default]\nbase-image = \"scratch\"\n")
        .locked()
        .env("DOCKER_HOST", Engine::shared().address());
    let location = project.run(["build", "--output", "docker:"]).succeeds();
    let name = location.stdout().trim().trim_start_matches("docker:").to_owned();
    assert_eq!(Engine::shared().docker(&["run", "--rm", "--network", "none", &name]), "hello");
    project.run(["build", "--output", "docker:"]).succeeds().compiles_nothing().stderr_has("Unchanged");
    drop(registry);
}

#[test]
fn the_crate_knows_the_image_that_it_runs_in() {
    let registry = registry_with_base();
    let main = "include!(concat!(env!(\"OUT_DIR\"), \"/union_images.rs\"));\n\
                fn main() { println!(\"{} {}\", DEFAULT.reference().map(|reference| reference.to_string()).unwrap_or_default(), DEFAULT.is_current()); }";
    let project = Project::package("hello").union(&world::table(&registry)).file("src/main.rs", main).with_union_build("");
    let made = project.run(["build", "--format", "json"]).succeeds().json();
    let image = &made["images"][0];
    assert_eq!(run(image["pinned"].as_str().unwrap(), &[]), format!("{} true", image["location"].as_str().unwrap()));
    // The user's own build needs one compile for the new references, and no second one.
    project.cargo(["build", "--offline"]).succeeds();
    project.cargo(["build", "--offline"]).succeeds().compiles_nothing();
    project.run(["build"]).succeeds().compiles_nothing();
}

#[test]
fn the_example_of_two_tasks_builds_and_its_binaries_know_their_images() {
    let registry = registry_with_base();
    let repository = union_tests::project::repository();
    let project = Project::empty();
    project.shell(&format!("cp -r {}/examples/two-tasks/. . && rm -rf target", repository.display())).succeeds();
    let union_build = format!("path = {:?}", repository.join("union-build"));
    project.edit("pipeline/Cargo.toml", "path = \"../../../union-build\"", &union_build);
    let host = registry.host();
    let settings = format!("registry = \"{host}/acme\"\nmirrors = {{ \"gcr.io\" = \"{host}\" }}\nproject = \"flytesnacks\"");
    project.edit("Cargo.toml", "project = \"flytesnacks\"", &settings);
    let made = project.run(["build", "--workspace", "--format", "json"]).succeeds().json();
    for (image, task) in [(0, "predict"), (1, "train")] {
        let image = &made["images"][image];
        let said = run(image["pinned"].as_str().unwrap(), &[]);
        assert!(said.contains(task) && said.contains(image["location"].as_str().unwrap()) && said.contains("true"), "{said}");
    }
    project.run(["build", "--workspace"]).succeeds().compiles_nothing();
}
