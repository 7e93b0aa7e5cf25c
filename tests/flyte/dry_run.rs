//! Requests as files: equal to those that are sent, and readable with the official messages.

use std::fs;

use union_tests::stub::official_python;

use crate::interfaces::{self, DESCRIPTION, worker};
use crate::setup::{Setup, TYPED, task};

/// Reads both files with the official messages, requires that they are one, and prints some of it.
const READ: &str = "
import sys, protovalidate
from google.protobuf import json_format
from flyteidl2.task.task_service_pb2 import DeployTaskRequest
binary = DeployTaskRequest.FromString(open(sys.argv[1] + '.pb', 'rb').read())
text = json_format.Parse(open(sys.argv[1] + '.json').read(), DeployTaskRequest())
assert binary == text, (binary, text)
protovalidate.validate(binary)
print(binary.task_id.name, binary.task_id.version, binary.spec.task_template.container.image)
print(binary.SerializeToString(deterministic=True) == open(sys.argv[1] + '.pb', 'rb').read())
";

#[test]
fn dry_run_writes_the_requests_and_changes_nothing() {
    let setup = Setup::new();
    let more = format!(
        "{TYPED}secrets = [\"openai\", {{ key = \"tok\", group = \"grp\", file = true }}]\ntimeout = {{ runtime = \"90s\", deadline = \"1h\" }}\n\
         cache = {{ version = \"v7\", max-age = \"1d\" }}\nretries = {{ count = 2, backoff = \"1500ms\", factor = 1.5, max-backoff = \"1m\" }}\n\
         [package.metadata.union.tasks.hello.triggers.t]\nevery = \"15m\"\ninputs = {{ x = 7, name = \"é\" }}\n"
    );
    let project = setup.hello(&more);
    let dry = project
        .run([
            "register",
            "--dry-run",
            "--output",
            "requests",
            "--format",
            "json",
        ])
        .succeeds()
        .stderr_has("Would send hello ");
    let reported = task(&dry);
    assert_eq!(
        project.files_below("requests"),
        [
            "flytesnacks/development/hello.json",
            "flytesnacks/development/hello.pb"
        ]
    );
    let read = official_python(
        READ,
        &[project
            .path("requests/flytesnacks/development/hello")
            .to_str()
            .unwrap()],
    );
    let (version, image) = (
        reported["version"].as_str().unwrap(),
        reported["image"].as_str().unwrap(),
    );
    assert_eq!(read, format!("hello {version} {image}\nTrue\n"));
    assert_eq!(
        (setup.backend.writes(), setup.registry.writes()),
        (0, vec![])
    );
    assert!(!project.path("Union.lock").exists() && !project.path("target/union/results").exists());

    // The real run sends the same, with the same digest.
    let before = fs::read(project.path("requests/flytesnacks/development/hello.pb")).unwrap();
    let sent = task(
        &project
            .run(["register", "--output", "requests", "--format", "json"])
            .succeeds(),
    );
    assert_eq!(
        (&sent["version"], &sent["image"], &sent["state"]),
        (&reported["version"], &reported["image"], &"new".into())
    );
    assert_eq!(
        fs::read(project.path("requests/flytesnacks/development/hello.pb")).unwrap(),
        before
    );
}

#[test]
fn unneeded_request_writes_no_file() {
    let setup = Setup::new();
    let project = setup.hello(TYPED);
    project.run(["register", "--output", "requests"]).succeeds();
    assert_eq!(project.files_below("requests").len(), 2);
    project
        .run(["register", "--dry-run", "--output", "requests"])
        .succeeds()
        .stderr_has("Unchanged");
    assert_eq!(project.files_below("requests"), [""; 0]);
}

#[test]
fn dry_run_without_a_backend_writes_all_requests() {
    let setup = Setup::new();
    let project = setup.hello(TYPED);
    project
        .run(["register", "--dry-run", "--output", "requests"])
        .succeeds();
    let known = fs::read(project.path("requests/flytesnacks/development/hello.pb")).unwrap();
    let project = project.without_env("FLYTE_ADMIN_ENDPOINT");
    let dry = project
        .run([
            "register",
            "--dry-run",
            "--output",
            "alone",
            "--format",
            "json",
        ])
        .succeeds();
    let reported = task(
        &dry.stderr_has("no backend is configured")
            .stderr_has("Would send hello "),
    );
    assert_eq!(
        (
            &reported["state"],
            reported["console"].is_null(),
            reported["problem"].is_null()
        ),
        (&"new".into(), true, true)
    );
    assert_eq!(
        fs::read(project.path("alone/flytesnacks/development/hello.pb")).unwrap(),
        known
    );
    // Only a dry run works without a backend.
    project.run(["register"]).fails_with("U0754");
}

#[test]
fn names_that_escape_the_directory_are_refused() {
    let setup = Setup::new();
    let project = setup.hello(TYPED);
    for flag in ["--project", "--domain"] {
        let outcome = project.run([
            "register",
            "--dry-run",
            "--output",
            "requests",
            flag,
            "../../outside",
        ]);
        outcome
            .exits(2)
            .fails_with("U0104")
            .stderr_has("../../outside");
    }
    // A binary describes its name as well.
    let named = DESCRIPTION.replace("my_task", "../../../outside");
    let project = interfaces::project(&setup, &worker(&named), "");
    let outcome = project
        .run(["register", "--dry-run", "--output", "requests"])
        .fails_with("U0704");
    outcome.stderr_has("`../../../outside` is not a task name");
    assert_eq!(
        (
            project.files_below("requests"),
            project.path("outside.pb").exists()
        ),
        (vec![], false)
    );
}
