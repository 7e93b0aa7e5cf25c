//! Images and tasks that a manifest does not declare, and defaults of their keys.

use super::*;
use crate::spec::Link;

#[test]
fn empty_table_gives_one_image_and_the_sole_binary_as_its_task() {
    let spec = table("").spec();
    assert_eq!(spec.images.keys().collect::<Vec<_>>(), ["default"]);
    let image = &spec.images["default"];
    assert_eq!(image.name.value, "app");
    assert_eq!(image.tag_format.value, "{spec-hash}");
    assert_eq!(
        image
            .platforms
            .iter()
            .map(|platform| platform.value.as_str())
            .collect::<Vec<_>>(),
        ["linux/amd64"]
    );
    assert!(
        matches!(&image.base, Base::Reference(base) if base.value == "gcr.io/distroless/cc-debian13" && base.origin == Origin::Default)
    );
    assert_eq!(
        (
            image.build.profile.as_str(),
            image.build.default_features.value
        ),
        ("release", true)
    );
    assert_eq!(
        (
            image.build.link.value,
            image.effective_link(true),
            image.effective_link(false)
        ),
        (Link::Auto, Link::Static, Link::Dynamic)
    );
    let task = &spec.tasks["app"];
    assert_eq!(
        (
            task.kind.value,
            task.image.as_str(),
            task.bin.as_deref().map(String::as_str)
        ),
        (TaskKind::Container, "default", Some("app"))
    );
    assert_eq!(task.retries.count, 0);
}

#[test]
fn default_base_has_a_shell_when_something_runs() {
    for line in [
        "apt-packages = [\"curl\"]",
        "commands = [\"true\"]",
        "pip-packages = [\"numpy\"]",
        "env = { A = \"b\" }",
        "requirements = [\"Cargo.lock\"]",
    ] {
        let spec = table(&format!("images.default.{line}")).spec();
        let Base::Reference(base) = &spec.images["default"].base else {
            panic!("a reference")
        };
        let runs = !spec.images["default"].needs_to_run().is_empty();
        assert_eq!(
            base.value,
            if runs {
                "debian:trixie-slim"
            } else {
                "gcr.io/distroless/cc-debian13"
            },
            "{line}"
        );
        assert_eq!(
            runs,
            !line.starts_with("env") && !line.starts_with("requirements"),
            "{line}"
        );
    }
}

#[test]
fn image_name_defaults_to_package_and_image_key() {
    let mut project = table(
        "[package.metadata.union.images.default]\n[package.metadata.union.images.my-gpu]\n[package.metadata.union.images.other]\nname = \"team/x\"",
    );
    project.facts.package = "My__App_".to_owned();
    let spec = project.spec();
    let names: Vec<&str> = spec
        .images
        .values()
        .map(|image| image.name.as_str())
        .collect();
    assert_eq!(names, ["my-app", "my-app-my-gpu", "team/x"]);
}

#[test]
fn image_carries_the_binaries_of_all_its_tasks() {
    let spec =
        table("[package.metadata.union.images.gpu]\n[package.metadata.union.tasks.a]\nbin = \"one\"\n[package.metadata.union.tasks.two]\n")
            .bins(&["one", "two", "three"])
            .spec();
    assert_eq!(
        spec.binaries_of("gpu").into_iter().collect::<Vec<_>>(),
        ["one", "two"]
    );
}

#[test]
fn default_run_is_the_task_when_none_is_declared() {
    let spec = table("").bins(&["a", "b"]).default_run("b").spec();
    assert_eq!(spec.tasks.keys().collect::<Vec<_>>(), ["b"]);
}

#[test]
fn package_without_a_binary_may_declare_environments() {
    let spec = table("images.base.base-image = \"scratch\"")
        .bins(&[])
        .spec();
    assert!(spec.tasks.is_empty() && matches!(spec.images["base"].base, Base::Scratch(_)));
    assert!(spec.binaries_of("base").is_empty());
}

#[test]
fn task_kind_defaults_to_rust_when_the_package_depends_on_flyte() {
    assert_eq!(
        table("").flyte().spec().tasks["app"].kind.value,
        TaskKind::Rust
    );
    assert_eq!(
        table("tasks.app.kind = \"container\"").flyte().spec().tasks["app"]
            .kind
            .value,
        TaskKind::Container
    );
}

#[test]
fn container_task_may_run_the_entrypoint_of_its_image() {
    let spec =
        table("images.default.entrypoint = [\"/bin/sh\"]\n[package.metadata.union.tasks.shell]")
            .bins(&["a", "b"])
            .spec();
    assert_eq!(spec.tasks["shell"].bin, None);
}
