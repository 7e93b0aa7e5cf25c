//! Tasks of kind `rust`: binaries describe their interface, and the image stores it.

use std::fs;

use union_tests::Project;

use crate::setup::{Setup, task};

/// A worker with the command line of the `flyte` crate, which prints a description.
pub(crate) fn worker(description: &str) -> String {
    format!(
        "fn main() {{\n    if std::env::args().nth(1).as_deref() == Some(\"describe-interface\") {{\n        println!(\"{{}}\", {description:?});\n    }}\n}}\n"
    )
}

pub(crate) const DESCRIPTION: &str = r#"{"flyte_interface_version":1,"task":"my_task","inputs":[{"name":"x","type":"integer","required":true},{"name":"label","type":"string","required":true}],"outputs":[{"name":"o0","type":"string"}]}"#;

/// A package `hello` that depends on a crate of the right name.
pub(crate) fn project(setup: &Setup, main: &str, more: &str) -> Project {
    let manifest = format!(
        "[dependencies]\nflyte = {{ path = \"flyte\" }}\n{}{more}",
        setup.settings("package")
    );
    setup.with_backend(
        Project::package("hello")
            .union(&manifest)
            .file("src/main.rs", main)
            .file(
                "flyte/Cargo.toml",
                "[package]\nname = \"flyte\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
            )
            .file("flyte/src/lib.rs", "")
            .locked(),
    )
}

#[test]
fn worker_is_registered_with_its_described_interface() {
    let setup = Setup::new();
    let project = project(&setup, &worker(DESCRIPTION), "");
    let registered = task(&project.run(["register", "--format", "json"]).succeeds());
    assert_eq!(
        (&registered["name"], &registered["environment"]),
        (&"my_task".into(), &"hello_env".into())
    );
    let version = registered["version"].as_str().unwrap();
    let shown = setup
        .backend
        .official_in_project(["get", "task"], &["my_task", version]);
    for expected in [
        "rust-task",
        "label",
        "o0",
        "/union/bin/hello",
        "{{.outputPrefix}}",
        registered["image"].as_str().unwrap(),
    ] {
        assert!(shown.contains(expected), "no `{expected}` in {shown}");
    }
}

#[test]
fn fresh_checkout_reads_the_interface_from_the_image() {
    let setup = Setup::new();
    let project = project(&setup, &worker(DESCRIPTION), "");
    let first = task(&project.run(["register", "--format", "json"]).succeeds());
    for directory in [project.path("target"), project.cache()] {
        fs::remove_dir_all(directory).unwrap();
    }
    let pushes = setup.registry.writes();
    let again = task(
        &project
            .run(["register", "--format", "json"])
            .succeeds()
            .compiles_nothing(),
    );
    assert_eq!(
        (&again["state"], &again["version"], &again["name"]),
        (&"unchanged".into(), &first["version"], &"my_task".into())
    );
    assert_eq!(
        (setup.backend.writes(), setup.registry.writes()),
        (1, pushes)
    );
    // The interface is cached: the image is not read again.
    let requests = setup.registry.requests().len();
    project.run(["register"]).succeeds().compiles_nothing();
    let asked = setup.registry.requests().split_off(requests);
    assert!(
        !asked.iter().any(|request| request.contains("/blobs/")),
        "{asked:?}"
    );
}

#[test]
fn image_without_interface_labels_is_compiled_and_not_pushed() {
    let setup = Setup::new();
    // Without the kind, the image is built as that of any program, and has no label.
    let project = project(
        &setup,
        &worker(DESCRIPTION),
        "[package.metadata.union.tasks.hello]\nkind = \"container\"\n",
    );
    let image = project.run(["build"]).succeeds();
    let pushes = setup.registry.writes();
    project.edit("Cargo.toml", "kind = \"container\"", "kind = \"rust\"");
    fs::remove_dir_all(project.path("target")).unwrap();
    let registered = task(
        &project
            .run(["register", "--format", "json"])
            .succeeds()
            .compiles(["flyte", "hello"]),
    );
    assert_eq!(
        (&registered["name"], registered["image"].as_str().unwrap()),
        (&"my_task".into(), image.stdout().trim())
    );
    assert_eq!(setup.registry.writes(), pushes);
    project.run(["register"]).succeeds().compiles_nothing();
}

#[test]
fn interface_change_changes_the_image() {
    let setup = Setup::new();
    let project = project(&setup, &worker(DESCRIPTION), "");
    let first = task(&project.run(["register", "--format", "json"]).succeeds());
    project.write(
        "src/main.rs",
        worker(&DESCRIPTION.replace(r#""label","type":"string""#, r#""label","type":"float""#)),
    );
    let second = task(&project.run(["register", "--format", "json"]).succeeds());
    assert_ne!(
        (&first["version"], &first["image"]),
        (&second["version"], &second["image"])
    );
}

#[test]
fn unsupported_description_stops_the_build_before_the_push() {
    let setup = Setup::new();
    for (description, code, why) in [
        (
            r#"{"flyte_interface_version":7,"task":"t","inputs":[],"outputs":[]}"#,
            "U0705",
            "interface description version 7 is not supported (expected 1)",
        ),
        (
            "hello",
            "U0704",
            "could not read how `hello` describes itself",
        ),
        (
            r#"{"flyte_interface_version":1,"task":"t","inputs":[{"name":"b","type":"unsupported","detail":"Blob","required":true}],"outputs":[]}"#,
            "U0706",
            "`b` has a type that is not supported outside of Rust: Blob",
        ),
    ] {
        let project = project(&setup, &worker(description), "");
        project
            .run(["register"])
            .exits(1)
            .fails_with(code)
            .stderr_has(why);
        assert_eq!(
            (
                setup
                    .registry
                    .writes()
                    .iter()
                    .filter(|request| request.contains("manifests"))
                    .count(),
                setup.backend.writes()
            ),
            (0, 0)
        );
    }
}

#[test]
fn failing_or_hanging_binary_is_named() {
    let setup = Setup::new();
    let failing = project(
        &setup,
        "fn main() { eprintln!(\"no controller\"); std::process::exit(3) }",
        "",
    );
    failing
        .run(["build"])
        .exits(1)
        .fails_with("U0704")
        .stderr_has("exit code 3")
        .stderr_has("no controller");
    let hanging = project(&setup, "fn main() { loop { std::thread::park() } }", "");
    hanging
        .run(["build"])
        .exits(1)
        .fails_with("U0704")
        .stderr_has("did not end within 10 s");
}

#[test]
fn describe_runs_the_binary_with_an_empty_environment() {
    let setup = Setup::new();
    let main = worker(DESCRIPTION).replacen(
        "fn main() {",
        "fn main() {\n    assert_eq!(std::env::vars_os().count(), 0);",
        1,
    );
    project(&setup, &main, "")
        .env("SOME", "thing")
        .run(["build"])
        .succeeds();
}

#[test]
fn triggers_must_match_the_described_interface() {
    let setup = Setup::new();
    let more = "[package.metadata.union.tasks.hello.triggers.t]\nevery = \"1h\"\ninputs = { x = \"seven\" }\n";
    let project = project(&setup, &worker(DESCRIPTION), more);
    project
        .run(["register"])
        .exits(1)
        .fails_with("U0713")
        .stderr_has("trigger `t`, input `x`: `\"seven\"` is not a whole number")
        .stderr_has("does not set `label`");
    assert_eq!(setup.backend.writes(), 0);
}

#[test]
fn workers_with_the_same_described_name_are_refused() {
    let setup = Setup::new();
    let more = "[package.metadata.union.tasks.a]\nbin = \"hello\"\n[package.metadata.union.tasks.b]\nbin = \"hello\"\n";
    let project = project(&setup, &worker(DESCRIPTION), more);
    project
        .run(["register"])
        .exits(1)
        .fails_with("U0710")
        .stderr_has("two tasks would be `my_task`")
        .stderr_has("task `b` of package `hello`");
    assert_eq!(setup.backend.writes(), 0);
}

#[test]
fn worker_is_run_by_its_described_types_and_name() {
    let setup = Setup::new();
    let project = project(&setup, &worker(DESCRIPTION), "");
    let words = |version: &[&str], inputs: &[&str]| {
        let words = [
            &["run", "--remote", "--format", "json"],
            version,
            &["hello", "--"],
            inputs,
        ]
        .concat();
        project.run(words)
    };
    words(&[], &["--x", "21"])
        .exits(2)
        .fails_with("U0801")
        .stderr_has("`label` is missing")
        .stderr_has("It takes `label: string`, `x: integer`.");
    let run = words(&[], &["--x", "21", "--label", "Ada"])
        .succeeds()
        .json();
    assert_eq!(
        (&run["task"], &run["outputs"]["o0"]),
        (&"hello".into(), &"hello Ada".into())
    );
    let version = run["run"]["version"].as_str().unwrap();
    words(&["--version", version], &["--x", "21", "--label", "Ada"])
        .succeeds()
        .compiles_nothing();
    // Only the binary knows the name, and in a fresh checkout it was not run yet.
    fs::remove_dir_all(project.path("target")).unwrap();
    let unknown = words(&["--version", version], &["--x", "21"])
        .exits(1)
        .fails_with("U0704")
        .compiles_nothing();
    unknown
        .stderr_has("the name of task `hello` at the backend is not known")
        .stderr_has("Give the task a `name`");
}
