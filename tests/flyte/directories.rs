//! Directories as inputs of runs on the backend.

use union_tests::Project;
use union_tests::registry::Registry;
use union_tests::stub::Stub;

use crate::setup::Setup;

const TASK: &str = "[package.metadata.union.tasks.read]\ninputs = { data = \"directory\", more = \"optional[list[directory]]\" }\n\
    outputs = { data = \"directory\" }\n";

fn setup(behaviour: &str) -> Setup {
    let registry = Registry::open();
    let backend = Stub::building(registry.host(), behaviour);
    Setup { registry, backend }
}

fn project(setup: &Setup) -> Project {
    setup
        .hello(TASK)
        .file("data/a.csv", "1,2\n")
        .file("data/deep/b c é.csv", "3\n")
        .file("data/deep/empty", "")
}

#[test]
fn directory_is_uploaded_file_by_file_below_one_address() {
    let setup = setup("expired-once,busy");
    let project = project(&setup);
    std::fs::create_dir(project.path("data/nothing")).unwrap();
    std::os::unix::fs::symlink("../a.csv", project.path("data/deep/link.csv")).unwrap();
    std::os::unix::fs::symlink("..", project.path("data/deep/above")).unwrap();
    let run = || {
        project
            .run(["run", "--remote", "read", "--", "--data", "data"])
            .succeeds()
    };
    let outcome = run()
        .stderr_has("/data (4 files, 10 B) to s3://bucket/uploads/flytesnacks/development/")
        .stderr_lacks("TOPSECRET");
    let address = outcome
        .stdout()
        .trim()
        .strip_prefix("data = \"s3://bucket/")
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap()
        .to_owned();
    let prefix = format!("{address}/").replace('/', "%");
    let mut stored: Vec<(String, String)> = setup
        .backend
        .store()
        .into_iter()
        .map(|(name, content)| (name.strip_prefix(&prefix).unwrap().to_owned(), content))
        .collect();
    stored.sort();
    let expected = [
        ("a.csv", "1,2\n"),
        ("deep%b c é.csv", "3\n"),
        ("deep%empty", ""),
        ("deep%link.csv", "1,2\n"),
    ];
    assert_eq!(
        stored,
        expected.map(|(name, content)| (name.to_owned(), content.to_owned()))
    );

    // Equal content has an equal address, so that a cached result is found.
    assert_eq!(run().stdout(), outcome.stdout());
    project.write("data/deep/empty", "x");
    assert_ne!(run().stdout(), outcome.stdout());
    setup.backend.assert_all_valid();
}

#[test]
fn invalid_directories_are_refused_before_the_compile() {
    let setup = setup("");
    let project = project(&setup);
    std::fs::create_dir_all(project.path("nothing/deep")).unwrap();
    let refused = project
        .run([
            "run",
            "--remote",
            "read",
            "--",
            "--data=nothing",
            "--more=data/a.csv",
        ])
        .exits(2)
        .fails_with("U0801")
        .compiles_nothing();
    refused
        .stderr_has("/nothing` has no files, and the backend's store has no empty directories")
        .stderr_has("/data/a.csv` is a file, not a directory");
    assert_eq!(setup.backend.puts(), [""; 0]);
}

#[test]
fn special_file_in_a_directory_is_refused_unopened() {
    let setup = setup("");
    let project = project(&setup);
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("a"), "1").unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(directory.path().join("socket")).unwrap();
    let directory = directory.path().to_str().unwrap();
    let refused = project.run(["run", "--remote", "read", "--", "--data", directory]);
    refused
        .stderr_has("/socket`: it is neither a file nor a directory")
        .stdout_is("");
    assert_eq!(setup.backend.puts(), [""; 0]);
}

#[test]
fn file_name_changed_by_the_backend_is_an_error() {
    let setup = setup("");
    let project = project(&setup).file("data/what?.csv", "1");
    let failed = project
        .run(["run", "--remote", "read", "--", "--data=data"])
        .exits(1)
        .fails_with("U0757");
    failed
        .stderr_has("could not send `what?.csv`")
        .stderr_has("under another name")
        .stderr_has("Rename the file");
    assert_eq!(setup.backend.runs(), [""; 0]);
}

#[test]
fn changes_during_the_upload_are_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let grown = directory.path().join("data/grown.log");
    std::fs::create_dir(directory.path().join("data")).unwrap();
    std::fs::write(&grown, "1").unwrap();
    let run = |input: &str| {
        let setup = setup(&format!("grows={}", grown.display()));
        let project = setup.hello(&format!(
            "{TASK}[package.metadata.union.tasks.one]\ninputs = {{ data = \"file\" }}\n"
        ));
        let task = if input.ends_with("log") {
            "one"
        } else {
            "read"
        };
        let failed = project
            .run(["run", "--remote", task, "--", "--data", input])
            .exits(1)
            .fails_with("U0780");
        failed.stderr_has("it changed while it was read");
        assert_eq!(setup.backend.runs(), [""; 0]);
    };
    run(grown.parent().unwrap().to_str().unwrap());
    run(grown.to_str().unwrap());
}
