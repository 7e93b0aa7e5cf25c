//! `register` at Flyte 1: existing versions are read first, and never replaced.

use crate::setup::{Setup, TYPED, task};

const REGISTER: [&str; 3] = ["register", "--format", "json"];
const TASKS: &str = "POST api/v1/tasks 200";

#[test]
fn task_is_registered_once() {
    let setup = Setup::new();
    let project = setup.hello(TYPED);
    let first = task(&project.run(REGISTER).succeeds());
    assert_eq!(
        (&first["state"], &first["name"]),
        (&"new".into(), &"hello".into())
    );
    // One request for the generation, and one that registers the task.
    assert_eq!(setup.backend.writes().last().unwrap(), TASKS);
    let second = task(&project.run(REGISTER).succeeds().compiles_nothing());
    assert_eq!(
        (&second["state"], &second["version"]),
        (&"unchanged".into(), &first["version"])
    );
    assert_eq!(setup.backend.count("POST", "api/v1/tasks"), 1);
}

#[test]
fn changed_task_is_a_new_version_and_revert_is_the_latest() {
    let setup = Setup::new();
    let project = setup.hello(TYPED);
    let first = task(&project.run(REGISTER).succeeds());
    project.edit("Cargo.toml", "memory = \"1Gi\"", "memory = \"2Gi\"");
    let second = task(&project.run(REGISTER).succeeds().compiles_nothing());
    assert_eq!(
        (&second["state"], &second["latest"]),
        (&"updated".into(), &first["version"])
    );
    project.edit("Cargo.toml", "memory = \"2Gi\"", "memory = \"1Gi\"");
    let third = task(&project.run(REGISTER).succeeds());
    assert_eq!(third["state"], "again");
    assert_eq!(
        third["version"],
        format!("{}-2", first["version"].as_str().unwrap())
    );
    assert_eq!(
        task(&project.run(REGISTER).succeeds())["state"],
        "unchanged"
    );
    let listed = project.run(["get", "tasks", "--format", "json"]).succeeds();
    let listed = &listed.json()["tasks"];
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed[0]["version"], third["version"]);
}

#[test]
fn existing_version_is_never_replaced() {
    let setup = Setup::new();
    let project = setup.hello(TYPED);
    project.run(["register", "--version", "v1"]).succeeds();
    project.edit("Cargo.toml", "memory = \"1Gi\"", "memory = \"2Gi\"");
    project
        .run(["register", "--version", "v1"])
        .exits(1)
        .fails_with("U0708")
        .stderr_has("the backend has that version with other content");
    project
        .run(["register", "--version", "v1", "--replace"])
        .exits(1)
        .fails_with("U0790")
        .compiles_nothing()
        .stderr_has("Flyte 1 keeps each version as it was registered");
    assert_eq!(setup.backend.count("POST", "api/v1/tasks"), 1);
}

#[test]
fn dry_run_writes_the_requests_and_sends_none() {
    let setup = Setup::new();
    let project = setup.hello(&format!(
        "{TYPED}triggers.nightly = {{ cron = \"0 3 * * *\", inputs = {{ x = 1, name = \"Ada\" }} }}\n"
    ));
    project
        .run(["register", "--dry-run", "--output", "requests"])
        .succeeds()
        .stderr_has("Would send hello ");
    assert_eq!(setup.backend.count("POST", "api/v1"), 0);
    let directory = project.path("requests/flytesnacks/development");
    let mut names: Vec<String> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "hello.json",
            "hello.nightly.launch-plan.json",
            "hello.nightly.launch-plan.pb",
            "hello.pb",
            "hello.workflow.json",
            "hello.workflow.pb"
        ]
    );
    // The official messages read the same content from both files.
    let read = "import sys\nfrom flyteidl.admin.task_pb2 import TaskCreateRequest\nfrom google.protobuf.json_format import Parse\n\
                request = TaskCreateRequest.FromString(open(sys.argv[1] + '.pb', 'rb').read())\n\
                assert request == Parse(open(sys.argv[1] + '.json').read(), TaskCreateRequest())\n\
                print(request.spec.template.container.command[-1], request.spec.template.type)\n";
    let hello = directory.join("hello");
    let printed = union_tests::stub::official_python(read, &[hello.to_str().unwrap()]);
    assert_eq!(printed, "--x={{.inputs.x}} raw-container\n");
}

#[test]
fn dry_run_without_a_backend_uses_the_named_generation() {
    let project = union_tests::Project::package("hello")
        .union("[package.metadata.union]\nregistry = \"127.0.0.1:1/team\"\nproject = \"p\"\ndomain = \"d\"\nbackend = \"flyte1\"\n\
                [package.metadata.union.images.default]\nbase-image = \"scratch\"\n")
        .union(TYPED)
        .locked();
    project.run(["plan"]).stderr_lacks("panicked");
    let outcome = project.run(["check"]).succeeds();
    outcome.stderr_lacks("U0790");
}

#[test]
fn unsupported_keys_are_refused_before_the_build() {
    let setup = Setup::new();
    let project = setup.hello(&format!(
        "{TYPED}queue = \"q\"\ntimeout = {{ runtime = \"1h\", deadline = \"2h\" }}\ndescription = \"d\"\n"
    ));
    let refused = project
        .run(["register"])
        .exits(2)
        .fails_with("U0790")
        .compiles_nothing();
    refused
        .stderr_has("Flyte 1 does not support `queue` of task `hello`")
        .stderr_has("Flyte 1 does not support `timeout.deadline` of task `hello`")
        .stderr_has("Cargo.toml:")
        .stderr_has("remove it: runs start as soon as there is a node")
        .stderr_lacks("`description`");
    assert_eq!(setup.backend.count("POST", "api/v1"), 0);
    // `check` asks no backend, so it knows only a named generation.
    project.run(["check"]).succeeds();
    project
        .run(["check", "--backend", "flyte1"])
        .exits(2)
        .fails_with("U0790");
    project.run(["check", "--backend", "flyte2"]).succeeds();
    project.edit("Cargo.toml", "queue = \"q\"", "retries = 1");
    project.edit("Cargo.toml", ", deadline = \"2h\"", "");
    project
        .run(["register"])
        .succeeds()
        .stderr_has("Flyte 1 does not support `description`, which is left out");
}

#[test]
fn unknown_project_and_platform_limit_are_reported() {
    let setup = Setup::behaving("limit");
    let project = setup.hello(TYPED);
    project
        .run(["register", "--project", "flytesnack"])
        .exits(1)
        .fails_with("U0702")
        .compiles_nothing()
        .stderr_has("Did you mean `flytesnacks`?");
    project
        .run(["register", "--domain", "staging"])
        .exits(1)
        .fails_with("U0703");
    project.edit("Cargo.toml", "cpu = 1", "cpu = 4");
    project
        .run(["register"])
        .exits(1)
        .fails_with("U0759")
        .stderr_has("Requested CPU default [4] is greater than current limit")
        .stderr_has("`resources.cpu` is set at ")
        .stderr_has("Cargo.toml:");
}
