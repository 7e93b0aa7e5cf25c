//! The generation of a backend: requested once, cached by endpoint, and refreshed after a contradiction.

use union_tests::Project;
use union_tests::flyte1::ControlPlane;
use union_tests::stub::Stub;

use crate::setup::{Setup, TYPED};

const PROBE: &str = "flyteidl2.task.TaskService/GetTaskDetails";

fn runs_of(project: &Project) -> union_tests::Outcome {
    project.run([
        "get",
        "runs",
        "--project",
        "flytesnacks",
        "--domain",
        "development",
    ])
}

#[test]
fn generation_is_requested_once() {
    let setup = Setup::new();
    let project = setup.with_backend(Project::empty());
    runs_of(&project).succeeds();
    assert_eq!(setup.backend.count("POST", PROBE), 1);
    assert_eq!(setup.backend.calls().len(), 2);
    runs_of(&project).succeeds();
    project
        .run(["whoami"])
        .succeeds()
        .stdout_is("Ada <ada@example.test>\n");
    assert_eq!(setup.backend.count("POST", PROBE), 1);
}

#[test]
fn named_generation_sends_no_request() {
    let setup = Setup::new();
    let project = setup
        .with_backend(Project::empty())
        .env("UNION_BACKEND", "flyte1");
    runs_of(&project).succeeds();
    let project = setup.with_backend(Project::empty());
    let words = [
        "get",
        "runs",
        "--project",
        "flytesnacks",
        "--domain",
        "development",
        "--backend",
        "flyte1",
    ];
    project.run(words).succeeds();
    assert_eq!(setup.backend.count("POST", PROBE), 0);
    let project = setup.hello(TYPED);
    project.edit(
        "Cargo.toml",
        "project = \"flytesnacks\"",
        "backend = \"flyte1\"\nproject = \"flytesnacks\"",
    );
    project.run(["get", "tasks"]).succeeds();
    assert_eq!(setup.backend.count("POST", PROBE), 0);
    project
        .run(["get", "tasks", "--backend", "flyte3"])
        .exits(2)
        .stderr_has("flyte1");
    let project = Project::empty().env("UNION_BACKEND", "flyte3");
    runs_of(&project)
        .exits(2)
        .fails_with("U0008")
        .stderr_has("UNION_BACKEND is `flyte3`");
}

#[test]
fn cached_generation_is_refreshed_after_a_contradiction() {
    let second = Stub::start();
    let front = ControlPlane::start();
    // The cached generation of one endpoint is moved to another, as if its backend had been replaced.
    let home = Project::empty().env("FLYTE_TASK_ORG", "acme");
    let note_of = |endpoint: &str| {
        let words = [
            "--project",
            "flytesnacks",
            "--domain",
            "development",
            "--endpoint",
        ];
        home.run([&["get", "runs"], &words[..], &[endpoint]].concat())
    };
    note_of(&front.endpoint()).succeeds();
    note_of(&second.endpoint()).succeeds();
    let notes = home.cache().join("notes/backends-1");
    for entry in std::fs::read_dir(&notes).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let (_, json) = text.split_at(64);
        let swapped = if json.contains("flyte1") {
            json.replace("flyte1", "flyte2")
        } else {
            json.replace("flyte2", "flyte1")
        };
        let hash = cargo_union::sys::digest::Digest::of(swapped.as_bytes()).hex();
        std::fs::write(&path, format!("{hash}{swapped}")).unwrap();
    }
    for endpoint in [front.endpoint(), second.endpoint()] {
        note_of(&endpoint).succeeds();
        note_of(&endpoint).succeeds();
    }
    assert_eq!(front.count("POST", PROBE), 2, "{:?}", front.calls());
}

#[test]
fn server_of_neither_generation_is_reported() {
    let setup = Setup::behaving("page");
    let project = setup.with_backend(Project::empty());
    runs_of(&project)
        .exits(1)
        .fails_with("U0757")
        .stderr_has("supports the protocol of neither Flyte 1 nor Flyte 2")
        .stderr_has("a web page");
    let project = setup
        .with_backend(Project::empty())
        .env("UNION_BACKEND", "flyte1");
    runs_of(&project)
        .exits(1)
        .fails_with("U0757")
        .stderr_has("a web page");
}
