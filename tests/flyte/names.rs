//! Tasks are selected by the keys of their tables and by their names on the backend.

use crate::interfaces::{DESCRIPTION, project as rust_project, worker};
use crate::setup::{Setup, task};

const RENAMED: &str = "[package.metadata.union.tasks.flyte-task]\nname = \"describe\"\ninputs = { x = \"integer\" }\noutputs = { x = \"integer\" }\n\
    triggers.often.every = \"1h\"\ntriggers.often.inputs.x = 1\n";

#[test]
fn both_names_of_a_task_are_accepted_everywhere() {
    let setup = Setup::new();
    let project = setup.hello(RENAMED);
    for name in ["flyte-task", "describe"] {
        let registered = project.run(["register", "--task", name, "--format", "json"]);
        let registered = task(&registered.succeeds());
        assert_eq!(
            (&registered["task"], &registered["name"]),
            (&"flyte-task".into(), &"describe".into())
        );
        let run = ["run", "--remote", name, "--format", "json", "--", "--x=21"];
        let run = project.run(run).succeeds().json();
        assert_eq!(
            (&run["task"], &run["outputs"]["x"]),
            (&"flyte-task".into(), &21.into())
        );
        let version = registered["version"].as_str().unwrap();
        project
            .run(["run", "--remote", "--version", version, name, "--", "--x=1"])
            .succeeds();
        let shown = project.run(["get", "task", name]).succeeds();
        shown.stdout_has("task         describe\n");
        let runs = ["get", "runs", "--task", name, "--format", "json"];
        let runs = project.run(runs).succeeds().json();
        assert!(!runs["runs"].as_array().unwrap().is_empty(), "{name}");
        let triggers = project.run(["get", "triggers", "--task", name]).succeeds();
        triggers.stdout_has("describe  often");
        let trigger = ["trigger", "activate", "often", "--task", name];
        project.run(trigger).succeeds();
        project.run(["build", "--task", name]).succeeds();
        project.run(["plan", "--task", name]).succeeds();
    }
    let run = setup.backend.runs()[0].clone();
    let rerun = project.run(["rerun", &run, "--format", "json"]).succeeds();
    assert_eq!(rerun.json()["task"], "flyte-task");
    project
        .run(["register", "--task", "descibe"])
        .exits(2)
        .fails_with("U0204");
}

#[test]
fn described_name_is_accepted_after_the_build() {
    let setup = Setup::new();
    let project = rust_project(&setup, &worker(DESCRIPTION), "");
    project
        .run(["register", "--task", "my_task"])
        .exits(2)
        .fails_with("U0204")
        .stderr_has("`hello`");
    project.run(["register"]).succeeds();
    let words = ["register", "--task", "my_task", "--format", "json"];
    let registered = task(&project.run(words).succeeds());
    assert_eq!(
        (&registered["task"], &registered["state"]),
        (&"hello".into(), &"unchanged".into())
    );
    let shown = project.run(["get", "task", "hello"]).succeeds();
    shown.stdout_has("task         my_task\n");
    let run = ["run", "--remote", "--detach", "my_task", "--"];
    let run = [&run[..], &["--x=1", "--label=a"]].concat();
    project.run(run).succeeds();
}

#[test]
fn ambiguous_task_name_lists_the_tasks() {
    let setup = Setup::new();
    let more = "[package.metadata.union.tasks.one]\nname = \"two\"\n[package.metadata.union.tasks.two]\nname = \"one\"\n";
    let project = setup.hello(more);
    for words in [
        &["register", "--task", "one"][..],
        &["run", "--remote", "one"],
        &["run", "one"],
        &["get", "task", "one"],
        &["get", "runs", "--task", "one"],
    ] {
        project
            .run(words)
            .exits(2)
            .fails_with("U0001")
            .stderr_has("`one` of package `hello`, which the backend calls `two`; `two` of package `hello`, which the backend calls `one`");
    }
}
