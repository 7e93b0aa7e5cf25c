//! `run --remote`: from the inputs to the outputs.

use union_tests::Outcome;
use union_tests::registry::Registry;
use union_tests::stub::Stub;

use crate::setup::{Setup, TYPED};

const RUN: [&str; 6] = ["run", "--remote", "hello", "--", "--x=21", "--name=Ada"];
const JSON: [&str; 8] = [
    "run",
    "--remote",
    "--format",
    "json",
    "hello",
    "--",
    "--x=21",
    "--name=Ada",
];

/// A second task beside the usual one, with something of every kind.
const MANY: &str = "[package.metadata.union.tasks.many]\ninputs = { x = \"integer\", fields = \"struct\", xs = \"list[float]\", \
    at = \"datetime\", wait = \"duration\", seed = \"optional[integer]\", data = \"file\" }\n\
    outputs = { x = \"integer\", fields = \"struct\", at = \"datetime\", wait = \"duration\", data = \"file\" }\n";

/// The name of the run of an outcome.
fn name(outcome: &Outcome) -> String {
    outcome.json()["run"]["name"].as_str().unwrap().to_owned()
}

#[test]
fn run_registers_a_task_and_uses_that_version() {
    let setup = Setup::new();
    let project = setup.hello(TYPED);
    let outcome = project
        .run(RUN)
        .succeeds()
        .stdout_is("greeting = \"hello Ada\"\n");
    let outcome = outcome
        .stderr_has("Registered hello ")
        .stderr_has("Created u")
        .stderr_has("/v2/domain/development/project/flytesnacks/runs/u");
    let outcome = outcome
        .stderr_has("Queued u")
        .stderr_has("Waiting u")
        .stderr_has("for resources")
        .stderr_has("Starting u");
    outcome
        .stderr_has("Running u")
        .stderr_has("\nattempt 1 begins\nand goes on\n")
        .stderr_has("attempt 1 ends\n")
        .stderr_has("Succeeded u");
    assert_eq!(setup.backend.runs().len(), 1);
    assert!(
        !setup
            .backend
            .calls()
            .iter()
            .any(|call| call.get("invalid").is_some()),
        "the rules are kept"
    );

    // Once more: nothing is built and nothing written, and there is another run.
    let again = project
        .run(JSON)
        .succeeds()
        .compiles_nothing()
        .stderr_has("Unchanged hello ")
        .json();
    assert_eq!((setup.backend.writes(), setup.backend.runs().len()), (1, 2));
    assert_eq!(
        again["outputs"],
        serde_json::json!({ "greeting": "hello Ada" })
    );
    assert_eq!(
        (&again["command"], &again["package"], &again["task"]),
        (&"run".into(), &"hello".into(), &"hello".into())
    );
    assert!(
        again["image"].as_str().unwrap().contains("@sha256:")
            && again["run"]["console"]
                .as_str()
                .unwrap()
                .contains("/runs/u")
    );
    let version = again["run"]["version"].as_str().unwrap();
    let shown = setup
        .backend
        .official_in_project(["get", "run"], &[again["run"]["name"].as_str().unwrap()]);
    assert!(
        shown.contains(version) && shown.to_lowercase().contains("succeeded"),
        "{shown}"
    );
}

#[test]
fn named_version_runs_without_a_build() {
    let setup = Setup::new();
    let project = setup.hello(TYPED);
    project.run(["register", "--version", "v1"]).succeeds();
    // The local task has one more input than that version.
    project.edit(
        "Cargo.toml",
        "x = \"integer\", name",
        "x = \"integer\", y = \"float\", name",
    );
    let of_version = |version: &str, words: &[&str]| {
        project.run(
            [
                &["run", "--remote", "--version", version, "hello", "--"],
                words,
            ]
            .concat(),
        )
    };
    of_version("v1", &["--x=1", "--name=Ada"])
        .succeeds()
        .stdout_is("greeting = \"hello Ada\"\n")
        .compiles_nothing();
    of_version("v1", &["--y=1", "--name=Ada"])
        .exits(2)
        .fails_with("U0801")
        .stderr_has("It takes `name: string`, `x: integer`.");
    let unknown = of_version("v2", &["--x=1", "--name=Ada"])
        .exits(1)
        .fails_with("U0714")
        .compiles_nothing();
    unknown
        .stderr_has("there is no version `v2` of task `hello`")
        .stderr_has("the latest in flytesnacks/development is `v1`");
    project.edit(
        "Cargo.toml",
        "[package.metadata.union.tasks.hello]",
        "[package.metadata.union.tasks.other]",
    );
    let unknown = project
        .run(["run", "--remote", "--version", "v1", "other", "--", "--x=1"])
        .exits(1)
        .fails_with("U0714");
    unknown.stderr_has("there is no task of this name in flytesnacks/development");
    assert_eq!(setup.backend.runs().len(), 1);
}

#[test]
fn all_invalid_inputs_are_reported_before_the_compile() {
    let setup = Setup::new();
    let project = setup.hello(MANY);
    let words = [
        "run",
        "--remote",
        "many",
        "--",
        "--x",
        "one",
        "--data",
        "data.csv",
        "--xs=1",
        "--fields",
        "{\"n\": 9007199254740993}",
    ];
    let outcome = project
        .run(words)
        .exits(2)
        .fails_with("U0801")
        .compiles_nothing()
        .stdout_is("");
    let outcome = outcome
        .stderr_has("`--x`: `one` is not a whole number")
        .stderr_has("`at` is missing")
        .stderr_has("`wait` is missing");
    let outcome = outcome.stderr_has("/data.csv` cannot be read: No such file");
    outcome
        .stderr_has("`9007199254740993` is too large for a number in a struct")
        .stderr_has("It takes `at: datetime`, `data: file`");
    project
        .run(["run", "--remote", "trian"])
        .exits(2)
        .fails_with("U0204");
    assert_eq!((setup.backend.runs().len(), setup.backend.writes()), (0, 0));
}

#[test]
fn local_files_are_uploaded_once() {
    const FILES: &str = "[package.metadata.union.tasks.files]\ninputs = { data = \"list[file]\", conf = \"optional[directory]\" }\n\
        outputs = { data = \"file\" }\n";
    let registry = Registry::open();
    let backend = Stub::building(registry.host(), "expired-once");
    let setup = Setup { registry, backend };
    let project = setup.hello(FILES).file("data/a.csv", "1,2\n");
    let words = [
        "run",
        "--remote",
        "files",
        "--",
        "--data",
        "data/a.csv",
        "--data=s3://bucket/b.csv",
        "--data=data/a.csv",
    ];
    let refused = project
        .run([&words[..], &["--conf=data/a.csv"]].concat())
        .exits(2)
        .fails_with("U0801")
        .compiles_nothing();
    refused.stderr_has("/data/a.csv` is a file, not a directory");
    assert_eq!(setup.backend.puts(), [""; 0]);

    let outcome = project
        .run(words)
        .succeeds()
        .stderr_has("Uploaded ")
        .stderr_lacks("TOPSECRET");
    let address = std::fs::read(setup.backend.stored("a.csv"))
        .map(|content| (content == b"1,2\n").then_some("s3://bucket/uploads/"));
    let (address, end) = (
        address.unwrap().expect("the store has what the file holds"),
        "/a.csv\",\"s3://bucket/b.csv\",\"",
    );
    let outcome = outcome
        .stdout_has(&format!("data = [\"{address}"))
        .stdout_has(end);
    assert_eq!(outcome.stdout().matches("/a.csv").count(), 2);
    assert_eq!(
        setup.backend.puts().len(),
        2,
        "one to an address that had expired"
    );
}

#[test]
fn outputs_of_all_types_are_shown_as_in_a_local_run() {
    let setup = Setup::new();
    let project = setup.hello(MANY).file(
        "in.toml",
        "x = 1\nfields = { a = [1, 0.5, true] }\nwait = \"90m\"\n",
    );
    let more = [
        "--x=7",
        "--xs=1",
        "--xs=0.5",
        "--at=2030-01-31T12:00:00+02:00",
        "--data=s3://bucket/data.csv",
    ];
    let outcome = project
        .run(
            [
                &["run", "--remote", "--inputs", "in.toml", "many", "--"],
                &more[..],
            ]
            .concat(),
        )
        .succeeds();
    outcome.stdout_is(
        "at = \"2030-01-31T10:00:00Z\"\ndata = \"s3://bucket/data.csv\"\nfields = {\"a\":[1,0.5,true]}\nwait = \"1h30m0s\"\nx = 7\n",
    );
}

#[test]
fn detached_run_can_be_followed_by_another_machine() {
    let setup = Setup::with(Stub::behaving("hold"));
    let project = setup.hello(TYPED);
    let left = project
        .run([&["run", "--remote", "--detach"], &RUN[2..]].concat())
        .succeeds()
        .stderr_has("Created u")
        .stderr_lacks("Queued");
    let run = left.stdout().trim().to_owned();
    assert_eq!(setup.backend.runs(), [run.as_str()]);
    setup.backend.let_go();
    let followed = project
        .run(["run", "--follow", &run])
        .succeeds()
        .compiles_nothing()
        .stdout_is("greeting = \"hello Ada\"\n");
    followed
        .stderr_has(&format!("Following {run} http"))
        .stderr_has("attempt 1 begins");
    // Without a package, with flags.
    let elsewhere = setup.with_backend(union_tests::Project::empty());
    let place = ["--project", "flytesnacks", "--domain", "development"];
    let reported = elsewhere
        .run([&["run", "--format", "json", "--follow", &run], &place[..]].concat())
        .succeeds();
    assert_eq!(
        (
            name(&reported),
            &reported.json()["task"],
            &reported.json()["package"]
        ),
        (run, &"hello".into(), &serde_json::Value::Null)
    );
    let detached = project
        .run([&["run", "--detach"], &JSON[1..]].concat())
        .succeeds()
        .json();
    assert_eq!(detached["outputs"], serde_json::Value::Null);
    project
        .run(["run", "--follow", "unknown"])
        .exits(1)
        .fails_with("U0761")
        .stderr_has("cargo union get runs");
}

#[test]
fn inputs_are_sent_inline_without_an_upload_service() {
    let setup = Setup::with(Stub::behaving("no-uploads,no-logs"));
    let outcome = setup
        .hello(TYPED)
        .run(RUN)
        .succeeds()
        .stdout_is("greeting = \"hello Ada\"\n");
    outcome
        .stderr_has("warning: the logs of u")
        .stderr_has("no such service")
        .stderr_has("help: look at http");
}

#[test]
fn attempts_and_missing_log_ends_are_reported_once() {
    let setup = Setup::with(Stub::behaving("retried,endless-logs,late-logs,cut-logs"));
    let outcome = setup
        .hello(TYPED)
        .run(RUN)
        .succeeds()
        .stderr_has(", attempt 2");
    for line in [
        "attempt 1 begins",
        "attempt 1 ends",
        "attempt 2 begins",
        "and goes on",
        "attempt 2 ends",
    ] {
        let expected = if line.contains("goes") { 2 } else { 1 };
        assert_eq!(
            outcome.stderr().matches(line).count(),
            expected,
            "{line}: {}",
            outcome.stderr()
        );
    }
    outcome.stderr_lacks("pulled the image");
}

#[test]
fn task_and_run_lists() {
    let setup = Setup::new();
    let project = setup.hello(&format!("{TYPED}{MANY}"));
    project
        .run(["get", "runs"])
        .succeeds()
        .stdout_is("")
        .stderr_has("there are no runs in flytesnacks/development");
    project.run(["register", "--version", "v1"]).succeeds();
    let runs = [
        name(&project.run(JSON).succeeds()),
        name(&project.run(JSON).succeeds()),
    ];
    let listed = project.run(["get", "runs"]).succeeds();
    let rows: Vec<Vec<&str>> = listed
        .stdout()
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        rows[0],
        ["NAME", "PHASE", "TASK", "VERSION", "STARTED", "ENDED"]
    );
    assert_eq!(
        [rows[1][0], rows[2][0]],
        [runs[1].as_str(), runs[0].as_str()]
    );
    assert_eq!(&rows[1][1..3], ["succeeded", "hello"]);
    let json = project
        .run(["get", "runs", "--limit", "1", "--format", "json"])
        .succeeds()
        .json();
    assert_eq!(
        (
            json["runs"].as_array().unwrap().len(),
            &json["runs"][0]["name"]
        ),
        (1, &runs[1].as_str().into())
    );
    let tasks = setup.with_backend(union_tests::Project::empty());
    let tasks = tasks
        .run([
            "get",
            "tasks",
            "--project",
            "flytesnacks",
            "--domain",
            "development",
            "--format",
            "json",
        ])
        .succeeds()
        .json();
    let names: Vec<_> = tasks["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| (&task["name"], &task["environment"]))
        .collect();
    assert_eq!(
        names[0],
        (&"hello".into(), &"hello_env".into()),
        "the last that was registered comes first"
    );
    assert_eq!((names.len(), &tasks["project"]), (2, &"flytesnacks".into()));
    assert!(
        tasks["tasks"][1]["registered"]
            .as_str()
            .unwrap()
            .ends_with('Z')
            && tasks["tasks"][1]["version"] == "v1"
    );
    let nowhere = setup.with_backend(union_tests::Project::empty());
    nowhere.run(["get", "tasks"]).fails_with("U0201");
}
