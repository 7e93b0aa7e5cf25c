//! How many requests a command sends, and how many of them are sequential.

use union_tests::stub::Stub;

use crate::setup::{Setup, TYPED};

#[test]
fn hundred_tasks_are_registered_concurrently() {
    let setup = Setup::with(Stub::behaving("waves"));
    let tasks: String = (0..100)
        .map(|n| {
            format!(
                "[package.metadata.union.tasks.t{n}]\nretries = {}\n",
                n % 10
            )
        })
        .collect();
    let project = setup.hello(&tasks);
    project.run(["register", "--jobs", "1"]).succeeds();
    let waves = setup.backend.kept("waves");
    assert_eq!(setup.backend.writes(), 100);
    assert!(waves.len() <= 8, "{waves:?}");

    // Once more, only reads.
    let before = setup.backend.calls().len();
    project
        .run(["register", "--jobs", "1"])
        .succeeds()
        .stderr_lacks("Registered");
    let calls = &setup.backend.calls()[before..];
    let is_read = |method: &str| method.starts_with("Get") || method.starts_with("List");
    let writes: Vec<&str> = calls
        .iter()
        .filter_map(|call| call["method"].as_str())
        .filter(|method| !is_read(method))
        .collect();
    assert_eq!((writes, setup.backend.writes()), (vec![""; 0], 100));
    assert!(setup.backend.kept("waves").len() - waves.len() <= 8);
}

#[test]
fn run_of_an_unchanged_task_is_one_create_and_one_watch() {
    let setup = Setup::new();
    let project = setup.hello(TYPED);
    let words = ["run", "--remote", "hello", "--", "--x=21", "--name=Ada"];
    project.run(words).succeeds();
    let before = setup.backend.calls().len();
    project.run(words).succeeds().compiles_nothing();
    let calls = &setup.backend.calls()[before..];
    let count = |method: &str| calls.iter().filter(|call| call["method"] == method).count();
    for (method, expected) in [
        ("DeployTask", 0),
        ("GetProject", 1),
        ("ListTasks", 1),
        ("GetTaskDetails", 1),
        ("UploadInputs", 1),
        ("CreateRun", 1),
        ("WatchActionDetails", 1),
        ("GetActionData", 1),
        ("CreateUploadLocation", 0),
    ] {
        assert_eq!(count(method), expected, "{method}: {calls:?}");
    }
    // A log that ends before its run is opened again.
    assert!(calls.len() - count("TailLogs") <= 11, "{calls:?}");
}
