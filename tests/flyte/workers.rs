//! `run` of tasks of kind `rust`: a worker with the official messages, and the local backend.

use serde_json::json;
use union_tests::project::repository;
use union_tests::stub::python;
use union_tests::{Outcome, Project, str};

const DESCRIPTION: &str = r#"{"flyte_interface_version":1,"task":"my_task","inputs":[{"name":"x","type":"integer","required":true},{"name":"label","type":"string","required":true},{"name":"rate","type":"float","required":true},{"name":"ok","type":"boolean","required":true},{"name":"fields","type":"struct","required":true}],"outputs":[{"name":"o0","type":"integer"},{"name":"o1","type":"struct"}]}"#;

/// A binary that describes itself as with the `flyte` crate, and runs the task in Python.
fn worker() -> Project {
    let (python, script) = (
        python("python"),
        repository().join("tests/flyte/stub/worker.py"),
    );
    let main = format!(
        "use std::os::unix::process::CommandExt as _;\n\nfn main() {{\n    let words: Vec<String> = std::env::args().skip(1).collect();\n    \
         if words[0] == \"describe-interface\" {{\n        return println!(\"{{}}\", {DESCRIPTION:?});\n    }}\n    \
         panic!(\"{{}}\", std::process::Command::new({python:?}).arg({script:?}).args(words).exec());\n}}\n"
    );
    let manifest = "[dependencies]\nflyte = { path = \"flyte\" }\n[package.metadata.union.images.default]\nbase-image = \"scratch\"\n\
                    [package.metadata.union.tasks.train]\nenv = { OWN = \"mine\" }\n";
    Project::package("hello")
        .union(manifest)
        .file("src/main.rs", main)
        .file(
            "flyte/Cargo.toml",
            "[package]\nname = \"flyte\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
        )
        .file("flyte/src/lib.rs", "")
        .locked()
        .env("DOCKER_HOST", "unix:///nowhere.sock")
        // With a key it would go to a backend elsewhere.
        .env("EAGER_API_KEY", "open-sesame")
        .env("_UNION_EAGER_API_KEY", "open-sesame")
}

fn run(project: &Project, format: &str, label: &str) -> Outcome {
    let words = [
        "run",
        "train",
        "--host",
        "--format",
        format,
        "--",
        "--x",
        "21",
        "--rate",
        "0.5",
        "--ok",
        "--fields",
        r#"{"a": [1, null]}"#,
    ];
    project.run(words.into_iter().chain(["--label", label]))
}

#[test]
fn worker_runs_locally_and_its_traces_are_reported() {
    let project = worker();
    let outcome = run(&project, "text", "demo")
        .succeeds()
        .compiles(["flyte", "hello"]);
    outcome
        .stdout_is(str![[r#"
o0 = 42
o1 = {"deep":[{"none":null},-7],"label":"demo","mean":10.5}

"#]])
        .stderr_has("Running train as ")
        .stderr_has("Traced double in 1.50 s")
        .stderr_has("demo 21 0.5 True {'a': [1, None]}")
        .stderr_has("key None None log info,flyte_controller_base=error own mine");
    let reported = run(&project, "json", "demo")
        .succeeds()
        .compiles_nothing()
        .json();
    assert_eq!(
        reported["outputs"],
        json!({ "o0": 42, "o1": { "deep": [{ "none": null }, -7], "label": "demo", "mean": 10.5 } })
    );
    let traces = json!([
        { "name": "double", "action": "double-1", "seconds": 1.5 },
        { "name": "describe", "action": "describe-1", "seconds": 1.5 },
    ]);
    assert_eq!(
        (&reported["traces"], reported["image"].is_null()),
        (&traces, true)
    );
    assert_eq!(
        project.files_below("target/union/run"),
        [""; 0],
        "nothing is left of a run"
    );
}

#[test]
fn user_log_settings_are_kept() {
    run(&worker().env("RUST_LOG", "debug"), "text", "demo")
        .succeeds()
        .stderr_has("log debug own");
}

#[test]
fn failed_task_shows_the_error_of_its_worker() {
    let outcome = run(&worker(), "text", "fail")
        .exits(1)
        .fails_with("U0804")
        .stdout_is("");
    outcome.stderr_has("task `train` failed\n\nCaused by:\n  Negative: 21 is below zero\n");
}

#[test]
fn missing_worker_outputs_are_reported() {
    let project = worker();
    run(&project, "text", "forget")
        .exits(1)
        .fails_with("U0805")
        .stderr_has("it wrote neither `outputs.pb` nor `error.pb`");
    run(&project, "text", "half")
        .exits(1)
        .fails_with("U0805")
        .stderr_has("`o1` is missing");
}

#[test]
fn all_wrong_inputs_are_reported_with_described_types() {
    let project = worker();
    let outcome = project
        .run([
            "run", "train", "--host", "--", "--x", "abc", "--lable", "demo", "--ok", "--fields",
            "{}",
        ])
        .exits(2);
    let expected = "Caused by:\n  \
        `--lable` is not an input; did you mean `--label`?\n  \
        `--x`: `abc` is not a whole number; an example is `--x 21`\n  \
        `label` is missing: it is text, such as `--label text`\n  \
        `rate` is missing: it is a number, such as `--rate 0.5`\n\n\
        help: It takes `fields: struct`, `label: string`, `ok: boolean`, `rate: float`, `x: integer`.\n";
    outcome
        .fails_with("U0801")
        .stdout_is("")
        .stderr_has(expected);
}
