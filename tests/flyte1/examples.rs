//! The examples on backends of both generations; only the endpoint differs.

use std::path::Path;

use serde_json::{Value, json};
use union_tests::Project;
use union_tests::base::{debian_layout, push};
use union_tests::flyte1::ControlPlane;
use union_tests::project::repository;
use union_tests::registry::Registry;
use union_tests::stub::Stub;

/// A project with an example's files, on the `union-build` of this repository, that pushes to a registry.
fn copied(example: &str, registry: &Registry) -> Project {
    let directory = repository().join("examples").join(example);
    add(Project::empty(), &directory, &directory)
        .env("UNION_REGISTRY", format!("{}/team", registry.host()))
        .env("UNION_PROJECT", "flytesnacks")
        .env("UNION_DOMAIN", "development")
        .env("FLYTE_TASK_ORG", "acme")
}

fn add(project: Project, top: &Path, directory: &Path) -> Project {
    let union_build = repository().join("union-build");
    let entries = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .filter(|path| !path.ends_with("target"))
        .fold(project, |project, path| {
            if path.is_dir() {
                return add(project, top, &path);
            }
            let text = std::fs::read_to_string(&path)
                .unwrap()
                .replace("../../../union-build", union_build.to_str().unwrap());
            project.file(path.strip_prefix(top).unwrap().to_str().unwrap(), text)
        })
}

/// Registers an example's tasks, and runs one of them; returns its outputs.
fn register_and_run(project: &Project, endpoint: &str, task: &str, inputs: &[&str]) -> Value {
    let backend = ["--endpoint", endpoint];
    project
        .run([&["register"], &backend[..]].concat())
        .succeeds();
    let words = ["run", "--remote", "--format", "json", task];
    let outcome = project.run([&words[..], &backend, &["--"], inputs].concat());
    let document = outcome.succeeds().compiles_nothing().json();
    document["outputs"].clone()
}

#[test]
fn examples_register_and_run_on_both_generations() {
    let registry = Registry::open();
    push(
        &debian_layout(),
        &format!("{}/distroless/cc-debian13", registry.host()),
    );
    let (first, second) = (ControlPlane::start(), Stub::start());
    let hello = copied("hello", &registry);
    let any_program = copied("any-program", &registry);
    let two_tasks = copied("two-tasks", &registry);
    two_tasks.edit(
        "Cargo.toml",
        "[workspace.metadata.union]\n",
        &format!(
            "[workspace.metadata.union]\nmirrors = {{ \"gcr.io\" = \"{}\" }}\n",
            registry.host()
        ),
    );
    for endpoint in [first.endpoint(), second.endpoint()] {
        assert_eq!(
            register_and_run(&hello, &endpoint, "hello", &[]),
            json!({}),
            "{endpoint}"
        );
        assert_eq!(
            register_and_run(&two_tasks, &endpoint, "predict", &[]),
            json!({}),
            "{endpoint}"
        );
        let inputs = ["--text=s3://bucket/text.txt", "--at_least=2"];
        let outputs = register_and_run(&any_program, &endpoint, "count-words", &inputs);
        assert_eq!(outputs["words"], 4, "{endpoint}");
        assert!(outputs["longest"].is_string(), "{endpoint}: {outputs}");
    }
    let state = first.state();
    assert_eq!(state["tasks"].as_object().unwrap().len(), 4, "{state}");
    assert_eq!(state["executions"].as_object().unwrap().len(), 3);
    second.assert_all_valid();
}
