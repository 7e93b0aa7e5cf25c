//! The examples, as a user who copies them would run them.

use std::path::Path;

use union_tests::Project;
use union_tests::engine::Engine;
use union_tests::project::repository;

use crate::site::{DEFAULT_BASE, Site};

/// A project with an example's files, on the `union-build` of this repository.
fn copied(example: &str) -> Project {
    let folder = repository().join("examples").join(example);
    let union_build = repository().join("union-build");
    add(Project::empty(), &folder, &folder, union_build.to_str().unwrap())
}

fn add(project: Project, top: &Path, folder: &Path, union_build: &str) -> Project {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| !path.ends_with("target")).fold(project, |project, path| {
        if path.is_dir() {
            return add(project, top, &path, union_build);
        }
        let text = std::fs::read_to_string(&path).unwrap().replace("../../../union-build", union_build);
        project.file(path.strip_prefix(top).unwrap().to_str().unwrap(), text)
    })
}

#[test]
fn two_tasks_know_their_own_images() {
    let site = Site::new().with_debian(DEFAULT_BASE);
    let project = copied("two-tasks");
    project.append("Cargo.toml", "\n");
    project.edit("Cargo.toml", "[workspace.metadata.union]\n", &site.settings("workspace"));
    let built = project.run(["build", "--format", "json"]).succeeds().json();
    let images = built["images"].as_array().unwrap();
    assert_eq!(images.len(), 2, "{built}");
    let engine = Engine::shared();
    for (image, task) in images.iter().zip(["predict", "train"]) {
        assert_eq!(image["binaries"], serde_json::json!([task]));
        let said = engine.docker(&["run", "--rm", "--network", "none", image["pinned"].as_str().unwrap()]);
        let reference = format!("{task}: image {}", image["destination"].as_str().unwrap());
        assert!(said.contains(&reference) && said.contains(&format!("{task}: running in it: true")), "{said}\n{reference}");
    }
    // One compile of one's own after each new tag, and no more.
    project.cargo(["build", "--offline"]).succeeds();
    project.cargo(["build", "--offline"]).succeeds().compiles_nothing();
    project.run(["build"]).succeeds().compiles_nothing();
    project.cargo(["build", "--offline"]).succeeds().compiles_nothing();
    project.cargo(["run", "--offline", "--quiet", "--bin", "train"]).succeeds().stdout_has("running in it: false");
}

#[test]
fn hello_needs_nothing() {
    let project = copied("hello").env("DOCKER_HOST", Engine::shared().address());
    let made = project.run(["build", "--output", "docker:"]).succeeds();
    let name = made.stdout().trim().trim_start_matches("docker:").to_owned();
    let said = Engine::shared().docker(&["run", "--rm", "--network", "none", &name]);
    assert!(said.to_lowercase().contains("hello"), "{said}");
}
