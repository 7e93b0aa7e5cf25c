//! Triggers: list, activation, and deactivation of undeclared ones by a registration.

use union_tests::Project;
use union_tests::stub::Stub;

use crate::setup::{Setup, task};

const TRIGGERS: &str = "[package.metadata.union.tasks.hello.triggers.nightly]\ncron = \"0 3 * * *\"\ntimezone = \"Europe/Berlin\"\n\
    [package.metadata.union.tasks.hello.triggers.often]\nevery = \"2h\"\nactive = false\n";

/// `name: active` of all triggers.
fn states(project: &Project) -> Vec<String> {
    let listed = project.run(["get", "triggers", "--format", "json"]);
    let listed = listed.succeeds().json();
    let state = |trigger: &serde_json::Value| {
        let path = [&trigger["task"], &trigger["name"]].map(|text| text.as_str().unwrap());
        format!("{}: {}", path.join("/"), trigger["active"])
    };
    let triggers = listed["triggers"].as_array().unwrap();
    triggers.iter().map(state).collect()
}

#[test]
fn triggers_are_listed_activated_and_deactivated() {
    let setup = Setup::new();
    let other = "[package.metadata.union.tasks.other.triggers.nightly]\ncron = \"0 4 * * *\"\n[package.metadata.union.tasks.hello]\n";
    let project = setup.hello(&format!("{other}{TRIGGERS}"));
    project.run(["register"]).succeeds();
    let table = project.run(["get", "triggers"]).succeeds();
    table
        .stdout_has("TASK   NAME     ACTIVE  SCHEDULE")
        .stdout_has("hello  nightly  yes     0 3 * * * (Europe/Berlin)")
        .stdout_has("hello  often    no      every 120 minutes");
    let of_other = project
        .run(["get", "triggers", "--task", "other"])
        .succeeds();
    of_other.stdout_lacks("hello");

    let words = ["trigger", "activate", "often", "--format", "json"];
    let activated = project.run(words).succeeds();
    let activated = activated.stderr_has("Activated hello/often").json();
    assert_eq!(
        (
            &activated["command"],
            &activated["task"],
            &activated["active"],
            &activated["changed"]
        ),
        (
            &"trigger".into(),
            &"hello".into(),
            &true.into(),
            &true.into()
        )
    );
    let again = project.run(words).succeeds();
    let again = again.stderr_has("`hello/often` is active already");
    assert_eq!(again.json()["changed"], false);
    project
        .run(["trigger", "deactivate", "nightly"])
        .exits(2)
        .fails_with("U0001")
        .stderr_has("`hello/nightly` and `other/nightly`");
    for words in [
        ["other/nightly", "--task=other"],
        ["nightly", "--task=hello"],
    ] {
        let words = [&["trigger", "deactivate"][..], &words].concat();
        project.run(words).succeeds().stderr_has("Deactivated");
    }
    assert_eq!(
        states(&project),
        [
            "hello/nightly: false",
            "hello/often: true",
            "other/nightly: false"
        ]
    );
    let unknown = project.run(["trigger", "activate", "weekly"]).exits(1);
    unknown.fails_with("U0761").stderr_has("`hello/often`");
    setup.backend.assert_all_valid();
}

#[test]
fn registration_deactivates_undeclared_triggers() {
    let setup = Setup::new();
    let project = setup.hello(TRIGGERS);
    project.run(["register"]).succeeds();
    project.run(["trigger", "activate", "often"]).succeeds();
    // One is created by hand, for the version that the tool has registered.
    setup
        .backend
        .official_in_project(["create", "trigger"], &["hello", "by-hand"]);
    project.edit(
        "Cargo.toml",
        "[package.metadata.union.tasks.hello.triggers.often]\nevery = \"2h\"\nactive = false\n",
        "",
    );
    let would = project.run(["register", "--dry-run"]).succeeds();
    would.stderr_has("Would stop hello/often, which is not declared");
    assert!(states(&project).contains(&"hello/often: true".to_owned()));
    let registered = project.run(["register", "--format", "json"]).succeeds();
    let registered = registered
        .stderr_has("Deactivated hello/often, which is not declared")
        .stderr_has("stay active: `by-hand`");
    assert_eq!(
        task(&registered)["deactivated"],
        serde_json::json!(["often"])
    );
    assert_eq!(
        states(&project),
        [
            "hello/by-hand: true",
            "hello/nightly: true",
            "hello/often: false"
        ]
    );
    // A trigger that a user has activated again is deactivated again; others do not change.
    project.run(["trigger", "activate", "often"]).succeeds();
    let unchanged = project.run(["register"]).succeeds();
    unchanged
        .stderr_has("Unchanged hello")
        .stderr_has("Deactivated hello/often")
        .stderr_lacks("by-hand");
    let unchanged = project.run(["register"]).succeeds();
    unchanged.stderr_lacks("Deactivated");
    setup.backend.assert_all_valid();
}

#[test]
fn backend_without_a_trigger_list_is_a_warning() {
    let setup = Setup::with(Stub::behaving("no-triggers"));
    let project = setup.hello(TRIGGERS);
    project.run(["register"]).succeeds();
    let manifest = project.read("Cargo.toml");
    let without = manifest.replace(TRIGGERS, "[package.metadata.union.tasks.hello]\n");
    project.write("Cargo.toml", without);
    project
        .run(["register"])
        .succeeds()
        .stderr_has("declares no triggers")
        .stderr_has("switch them off");
    let listed = project.run(["get", "triggers"]).exits(1);
    listed.fails_with("U0757");
}

/// A second task with a trigger, of the same package and binary.
const REMOVED: &str = "[package.metadata.union.tasks.gone.triggers.hourly]\nevery = \"1h\"\n";

#[test]
fn registration_deactivates_triggers_of_removed_tasks() {
    let setup = Setup::new();
    let project = setup.hello(&format!("{TRIGGERS}{REMOVED}"));
    project.run(["register"]).succeeds();
    let official = &setup.backend;
    official.official_in_project(["create", "trigger"], &["gone", "by-hand"]);
    // Another package with triggers in the same project and domain.
    let other = Project::package("other")
        .union(&setup.settings("package"))
        .union(&TRIGGERS.replace("tasks.hello", "tasks.stays"))
        .locked();
    let other = setup.with_backend(other);
    other.run(["register"]).succeeds();
    let manifest = project.read("Cargo.toml");
    project.write("Cargo.toml", manifest.replace(REMOVED, ""));

    let dry = project.run(["register", "--dry-run"]).succeeds();
    dry.stderr_has("Would stop gone/hourly, whose task is not declared");
    // Chosen tasks do not tell which ones exist.
    let chosen = project.run(["register", "--task", "hello"]).succeeds();
    chosen.stderr_lacks("gone");
    assert!(states(&project).contains(&"gone/hourly: true".to_owned()));

    let registered = project.run(["register", "--format", "json"]).succeeds();
    let registered = registered.stderr_has("Deactivated gone/hourly, whose task is not declared");
    assert_eq!(
        registered.json()["deactivated"],
        serde_json::json!(["gone/hourly"])
    );
    assert_eq!(
        states(&project),
        [
            "gone/by-hand: true",
            "gone/hourly: false",
            "hello/nightly: true",
            "hello/often: false",
            "stays/nightly: true",
            "stays/often: false"
        ]
    );
    let again = project.run(["register"]).succeeds();
    again.stderr_lacks("Deactivated");
    setup.backend.assert_all_valid();
}

#[test]
fn trigger_of_a_removed_task_stays_when_a_task_is_refused() {
    let setup = Setup::with(Stub::refusing("hello=not wanted"));
    let project = setup.hello(REMOVED);
    project.run(["register"]).succeeds();
    project.edit("Cargo.toml", REMOVED, TRIGGERS);
    let refused = project.run(["register"]).exits(1);
    refused.stderr_has("not wanted").stderr_lacks("gone");
    assert_eq!(states(&project), ["gone/hourly: true"]);
}
