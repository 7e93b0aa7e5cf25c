//! Triggers at Flyte 1: a workflow of one node and launch plans, of which only the declared ones are active.

use crate::setup::{Setup, TYPED, task};

fn with_triggers(triggers: &str) -> String {
    format!("{TYPED}{triggers}")
}

fn trigger(name: &str, schedule: &str) -> String {
    format!("triggers.{name} = {{ {schedule}, inputs = {{ x = 1, name = \"Ada\" }} }}\n")
}

#[test]
fn declared_triggers_are_activated_and_others_deactivated() {
    let setup = Setup::new();
    let two = trigger("nightly", "cron = \"0 3 * * *\"") + &trigger("often", "every = \"5m\"");
    let project = setup.hello(&with_triggers(&two));
    let version =
        |outcome: &union_tests::Outcome| task(outcome)["version"].as_str().unwrap().to_owned();
    let register = ["register", "--format", "json"];
    let first = version(&project.run(register).succeeds());
    let plan = |name: &str, version: &str| {
        format!("flytesnacks/development/hello.triggers.{name}/{version}")
    };
    assert_eq!(
        setup.backend.active_plans(),
        [plan("nightly", &first), plan("often", &first)]
    );
    // A second run only reads.
    let writes = setup.backend.writes().len();
    project.run(register).succeeds();
    assert_eq!(setup.backend.writes().len(), writes);
    // One is missing, and the other has another schedule.
    project.edit("Cargo.toml", "0 3 * * *", "0 4 * * *");
    project.edit("Cargo.toml", &trigger("often", "every = \"5m\""), "");
    let outcome = project
        .run(register)
        .succeeds()
        .stderr_has("Deactivated hello/often, which is not declared");
    let second = version(&outcome);
    assert_eq!(setup.backend.active_plans(), [plan("nightly", &second)]);
    project.edit(
        "Cargo.toml",
        &trigger("nightly", "cron = \"0 4 * * *\""),
        "",
    );
    project.run(register).succeeds();
    assert_eq!(setup.backend.active_plans(), [""; 0]);
}

#[test]
fn triggers_of_removed_tasks_are_deactivated() {
    let setup = Setup::new();
    let removed = "[package.metadata.union.tasks.gone.triggers.hourly]\nevery = \"1h\"\n";
    let project = setup.hello(&format!("{TYPED}{removed}"));
    project.run(["register"]).succeeds();
    assert_eq!(setup.backend.active_plans().len(), 1);
    project.edit("Cargo.toml", removed, "");
    let registered = project.run(["register", "--format", "json"]).succeeds();
    let registered = registered.stderr_has("Deactivated gone/hourly, whose task is not declared");
    assert_eq!(
        registered.json()["deactivated"],
        serde_json::json!(["gone/hourly"])
    );
    assert_eq!(setup.backend.active_plans(), [""; 0]);
}

#[test]
fn triggers_are_listed_deactivated_and_activated_again() {
    let setup = Setup::new();
    let two = trigger("nightly", "cron = \"0 3 * * *\"") + &trigger("often", "every = \"5m\"");
    let project = setup.hello(&with_triggers(&two));
    project.run(["register"]).succeeds();
    let listed = |project: &union_tests::Project| {
        let outcome = project
            .run(["get", "triggers", "--format", "json"])
            .succeeds();
        let triggers = outcome.json()["triggers"].clone();
        let row = |row: &serde_json::Value| {
            let text = |key: &str| row[key].as_str().unwrap().to_owned();
            (
                text("name"),
                text("schedule"),
                row["active"].as_bool().unwrap(),
            )
        };
        triggers
            .as_array()
            .unwrap()
            .iter()
            .map(row)
            .collect::<Vec<_>>()
    };
    let nightly = ("nightly".to_owned(), "0 3 * * * (UTC)".to_owned(), true);
    let often = |active| ("often".to_owned(), "every 5 minutes".to_owned(), active);
    assert_eq!(listed(&project), [nightly.clone(), often(true)]);
    project.run(["trigger", "deactivate", "often"]).succeeds();
    assert_eq!(listed(&project), [nightly.clone(), often(false)]);
    // A registration of the same content does not undo that.
    project.run(["register"]).succeeds();
    assert_eq!(listed(&project), [nightly.clone(), often(false)]);
    project
        .run(["trigger", "activate", "hello/often"])
        .succeeds();
    assert_eq!(listed(&project), [nightly, often(true)]);
}

#[test]
fn inactive_trigger_starts_no_run() {
    let setup = Setup::new();
    let project = setup.hello(&with_triggers(&trigger(
        "nightly",
        "cron = \"0 3 * * *\", active = false",
    )));
    project.run(["register"]).succeeds();
    assert_eq!(setup.backend.count("POST", "api/v1/launch_plans"), 1);
    assert_eq!(setup.backend.count("PUT", "api/v1/launch_plans"), 0);
}

#[test]
fn interrupted_activation_is_repeated() {
    let setup = Setup::behaving("deny-activation");
    let project = setup.hello(&with_triggers(&trigger("often", "every = \"5m\"")));
    project
        .run(["register"])
        .exits(1)
        .stderr_has("could not activate the triggers of the task `hello`")
        .stderr_has("Run `cargo union register` again");
    assert_eq!(setup.backend.active_plans(), [""; 0]);
    project.run(["register"]).succeeds();
    assert_eq!(setup.backend.active_plans().len(), 1);
    assert_eq!(setup.backend.count("POST", "api/v1/launch_plans"), 1);
}

#[test]
fn schedule_of_a_refused_task_is_not_activated() {
    let setup = Setup::behaving("refuse=hello");
    let project = setup.hello(&with_triggers(&trigger("often", "every = \"5m\"")));
    project
        .run(["register"])
        .exits(1)
        .fails_with("U0760")
        .stderr_has("this task is not wanted");
    assert_eq!(setup.backend.count("POST", "api/v1/workflows"), 0);
    assert_eq!(setup.backend.count("PUT", "api/v1"), 0);
}

#[test]
fn other_time_zone_is_refused() {
    let setup = Setup::new();
    let zone = trigger(
        "nightly",
        "cron = \"0 3 * * *\", timezone = \"Europe/Berlin\"",
    );
    setup
        .hello(&with_triggers(&zone))
        .run(["register"])
        .exits(2)
        .fails_with("U0790")
        .stderr_has("write the times of `cron` in UTC");
}
