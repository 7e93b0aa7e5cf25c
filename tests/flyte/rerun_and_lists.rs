//! `abort`, `rerun` and the lists of `get`.

use serde_json::Value;
use union_tests::Project;
use union_tests::stub::Stub;

use crate::setup::{Setup, TYPED};

/// Starts a run of the usual task; returns its name.
fn start(project: &Project) -> String {
    let words = ["run", "--remote", "--detach", "hello", "--"];
    let outcome = project.run(words.into_iter().chain(["--x=21", "--name=Ada"]));
    outcome.succeeds().stdout().trim().to_owned()
}

#[test]
fn second_abort_of_a_run_is_no_error() {
    let setup = Setup::with(Stub::behaving("hold"));
    let project = setup.hello(TYPED);
    let run = start(&project);
    let aborted = project.run(["abort", &run, "--reason", "wrong data", "--format", "json"]);
    let aborted = aborted.succeeds().stderr_has("Aborted").json();
    assert_eq!(
        (
            &aborted["command"],
            &aborted["run"],
            &aborted["aborted"],
            &aborted["phase"]
        ),
        (
            &"abort".into(),
            &run.as_str().into(),
            &true.into(),
            &"aborted".into()
        )
    );
    assert_eq!(setup.backend.aborted(&run).as_deref(), Some("wrong data"));
    let again = project.run(["abort", &run, "--format", "json"]).succeeds();
    let again = again.stderr_has("has ended: aborted").json();
    assert_eq!(again["aborted"], false);
    assert_eq!(setup.backend.count("AbortRun"), 1);
    project
        .run(["abort", "unknown"])
        .exits(1)
        .fails_with("U0761")
        .stderr_has("could not look up the run `unknown` in flytesnacks/development");
    setup.backend.assert_all_valid();
}

#[test]
fn ended_run_is_not_aborted() {
    let setup = Setup::new();
    let project = setup.hello(TYPED);
    project
        .run(["run", "--remote", "hello", "--", "--x=1", "--name=Ada"])
        .succeeds();
    let run = setup.backend.runs()[0].clone();
    let ended = project.run(["abort", &run, "--format", "json"]).succeeds();
    assert_eq!(ended.json()["phase"], "succeeded");
    assert_eq!(setup.backend.aborted(&run), None);
}

#[test]
fn rerun_uses_old_inputs_and_current_sources() {
    let setup = Setup::new();
    let project = setup.hello(TYPED);
    let run = start(&project);
    project.edit("Cargo.toml", "cpu = 1", "cpu = 2");
    let outcome = project.run(["rerun", &run, "--format", "json"]).succeeds();
    let outcome = outcome
        .stderr_has("Registered hello ")
        .stderr_has("Created u")
        .stderr_has("Succeeded u")
        .json();
    assert_eq!(
        (&outcome["command"], &outcome["task"], &outcome["package"]),
        (&"rerun".into(), &"hello".into(), &"hello".into())
    );
    assert_eq!(outcome["outputs"]["greeting"], "hello Ada");
    assert_ne!(outcome["run"]["name"], run.as_str());
    assert_eq!((setup.backend.writes(), setup.backend.runs().len()), (2, 2));
    setup.backend.assert_all_valid();
}

#[test]
fn rerun_of_a_version_needs_no_sources_and_keeps_settings() {
    let setup = Setup::new();
    let project = setup.hello(&format!("{TYPED}queue = \"gpu\"\n"));
    let run = start(&project);
    // Without the package.
    let elsewhere = setup
        .with_backend(Project::empty())
        .env("FLYTE_TASK_PROJECT", "flytesnacks")
        .env("FLYTE_TASK_DOMAIN", "development");
    let repeated = elsewhere.run(["rerun", &run, "--same-version"]).succeeds();
    repeated
        .stdout_is("greeting = \"hello Ada\"\n")
        .stderr_has("Created u");
    let detached = elsewhere
        .run(["rerun", &run, "--same-version", "--detach"])
        .succeeds();
    let new = detached.stdout().trim();
    assert!(setup.backend.runs().iter().any(|run| run == new), "{new}");
    let spec = setup.backend.request_of_run(new);
    assert!(
        spec.contains("queue: \"gpu\"")
            && spec.contains("relation_type: RELATION_TYPE_RERUN")
            && spec.contains(&format!("name: \"{run}\"")),
        "{spec}"
    );
    let without = elsewhere.run(["rerun", &run]).exits(2).fails_with("U0202");
    without.stderr_has("--same-version");
    elsewhere
        .run(["rerun", "unknown", "--same-version"])
        .exits(1)
        .fails_with("U0761");
    assert_eq!(setup.backend.writes(), 1);
    setup.backend.assert_all_valid();
}

#[test]
fn rerun_refuses_unknown_inputs_before_the_compile() {
    let setup = Setup::new();
    let project = setup.hello(TYPED);
    let run = start(&project);
    project.edit(
        "Cargo.toml",
        "x = \"integer\", name = \"string\"",
        "x = \"integer\", name = \"list[string]\", y = \"float\", seed = \"optional[integer]\"",
    );
    project
        .run(["rerun", &run])
        .exits(2)
        .fails_with("U0801")
        .compiles_nothing()
        .stderr_has("`name` was `string`, and is `list[string]` now; `y: float` is new")
        .stderr_has("--same-version");
    project
        .run(["rerun", &run, "--same-version"])
        .succeeds()
        .stdout_is("greeting = \"hello Ada\"\n");
    assert_eq!(setup.backend.writes(), 1);
}

#[test]
fn rerun_leaves_a_new_optional_input_unset() {
    let setup = Setup::new();
    let project = setup.hello(TYPED);
    let run = start(&project);
    project.edit(
        "Cargo.toml",
        "name = \"string\" }",
        "name = \"string\", seed = \"optional[integer]\" }",
    );
    let again = project.run(["rerun", &run, "--detach"]).succeeds();
    let new = again.stdout().trim();
    let inputs = setup.backend.inputs_of_run(new);
    assert!(
        inputs.contains("name: \"seed\"") && inputs.contains("none_type"),
        "{inputs}"
    );
}

#[test]
fn rerun_reads_inputs_by_address_when_outputs_are_missing() {
    let setup = Setup::with(Stub::behaving("no-data"));
    let project = setup.hello(TYPED);
    let run = start(&project);
    let again = project.run(["rerun", &run, "--detach"]).succeeds();
    let new = again.stdout().trim();
    let request = setup.backend.request_of_run(new);
    assert!(
        request.contains("s3://bucket/offloaded-inputs/"),
        "{request}"
    );
    setup.backend.assert_all_valid();
}

/// The names of listed runs.
fn names(document: &Value) -> Vec<&str> {
    let runs = document["runs"].as_array().unwrap();
    runs.iter()
        .map(|run| run["name"].as_str().unwrap())
        .collect()
}

#[test]
fn run_list_is_filtered_and_read_from_all_pages() {
    for behaviour in ["small-pages", "small-pages,no-filters"] {
        let setup = Setup::with(Stub::behaving(behaviour));
        let other = "[package.metadata.union.tasks.other]\ninputs = { x = \"integer\" }\noutputs = { x = \"integer\" }\n";
        let project = setup.hello(&format!("{TYPED}{other}"));
        let mut started: Vec<String> = (0..5).map(|_| start(&project)).collect();
        started.reverse();
        project
            .run(["run", "--remote", "other", "--", "--x=1"])
            .succeeds();
        let list = |more: &[&str]| {
            let words = [&["get", "runs", "--format", "json"], more].concat();
            project.run(words).succeeds().json()
        };
        assert_eq!(names(&list(&["--task", "hello"])), started, "{behaviour}");
        let all = list(&[]);
        assert_eq!(names(&all).len(), 6);
        assert_eq!(names(&list(&["--limit", "3"])), names(&all)[..3]);
        let succeeded = list(&["--phase", "succeeded", "--task", "other"]);
        assert_eq!(names(&succeeded), names(&all)[..1]);
        let phases = ["--phase", "aborted", "--phase", "failed"];
        assert_eq!(names(&list(&phases)), [""; 0]);
        assert_eq!(names(&list(&["--since", "1h"])).len(), 6);
        assert_eq!(names(&list(&["--since", "2999-01-01T00:00:00Z"])), [""; 0]);
        setup.backend.assert_all_valid();
    }
    Project::empty()
        .run(["get", "runs", "--since", "yesterday"])
        .exits(2)
        .fails_with("U0008")
        .stderr_has("`2h`");
}

#[test]
fn project_list_needs_no_package() {
    let setup = Setup::new();
    let project = setup.with_backend(Project::empty());
    let listed = project
        .run(["get", "projects", "--format", "json"])
        .succeeds()
        .json();
    let ids: Vec<&str> = listed["projects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|project| project["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["another", "flytesnacks"]);
    assert_eq!(
        listed["projects"][0]["domains"],
        serde_json::json!(["development", "production"])
    );
    let table = project.run(["get", "projects"]).succeeds();
    table.stdout_has("ID           NAME         DOMAINS                  DESCRIPTION\nanother");
}

#[test]
fn task_is_shown_with_versions_without_the_hidden_output() {
    let setup = Setup::with(Stub::behaving("small-pages"));
    let task = "[package.metadata.union.tasks.hello]\ndescription = \"Says hello\"\ninputs = { x = \"integer\", names = \"list[string]\" }\n";
    let project = setup.hello(task);
    for version in ["v1", "v2", "v3"] {
        project.run(["register", "--version", version]).succeeds();
    }
    let shown = project.run(["get", "task", "hello"]).succeeds();
    shown
        .stdout_has("task         hello\nversion      v3\ndescription  Says hello\n")
        .stdout_has("inputs       names: list[string], x: integer\noutputs      -\n")
        .stdout_has("VERSIONS  REGISTERED\nv3  ")
        .stdout_lacks("union_none");
    let words = ["get", "task", "hello", "--version", "v1", "--limit", "2"];
    let document = project.run([&words[..], &["--format", "json"]].concat());
    let document = document.succeeds().json();
    let task = &document["task"];
    assert_eq!(
        (&document["command"], &task["version"], &task["outputs"]),
        (&"get".into(), &"v1".into(), &serde_json::json!({}))
    );
    assert!(task["image"].as_str().unwrap().contains("@sha256:"));
    assert_eq!(task["versions"].as_array().unwrap().len(), 2);
    let unknown = ["get", "task", "hello", "--version", "v9"];
    project.run(unknown).exits(1).fails_with("U0714");
    let missing = project.run(["get", "task", "helo"]).exits(1);
    missing.fails_with("U0761").stderr_has("get tasks");
    setup.backend.assert_all_valid();
}

#[test]
fn whoami_reports_a_backend_without_authentication() {
    let setup = Setup::new();
    let project = setup.with_backend(Project::empty());
    let who = project.run(["whoami", "--format", "json"]).succeeds();
    let who = who.stderr_has("does not use authentication").json();
    assert_eq!(who["user"], Value::Null);
    let who = project.run(["whoami"]).succeeds();
    who.stdout_is("").stderr_lacks("cargo union login");
}

#[test]
fn completion_lists_tasks_and_runs_without_errors() {
    let setup = Setup::new();
    let project = setup.hello(TYPED);
    let run = start(&project);
    let tool = union_tests::project::tool();
    let directory = tool.parent().unwrap().display().to_string();
    // The call of bash for an empty word.
    let complete = |project: &Project, words: &str| {
        let count = words.split(' ').count();
        let previous = words.rsplit(' ').next().unwrap();
        let line = format!(
            "PATH={directory}:$PATH; source <(cargo-union completions bash); COMP_WORDS=({words} ''); COMP_CWORD={count}; \
             _cargo__union cargo-union '' {previous}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        project.shell(&line).succeeds()
    };
    complete(&project, "cargo-union run").stdout_has("\nhello\n");
    complete(&project, "cargo-union register --task").stdout_is("hello\n");
    complete(&project, "cargo-union get runs --task").stdout_is("hello\n");
    complete(&project, "cargo-union abort").stdout_has(&format!("\n{run}\n"));
    complete(&project, "cargo-union run --follow").stdout_is(format!("{run}\n"));
    let nowhere = Project::empty().env("FLYTE_ADMIN_ENDPOINT", "http://127.0.0.1:1");
    for words in ["complete runs", "complete tasks"] {
        let begin = std::time::Instant::now();
        let silent = nowhere.run(words.split(' ')).succeeds();
        silent.stdout_is("");
        assert!(begin.elapsed().as_secs() < 10, "{:?}", begin.elapsed());
    }
}
