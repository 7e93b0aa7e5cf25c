//! `logs` and `get run`: what the backend has of one run.

use serde_json::json;
use union_tests::Project;
use union_tests::stub::Stub;

use crate::setup::{Setup, TYPED};

const RUN: [&str; 6] = ["run", "--remote", "hello", "--", "--x=21", "--name=Ada"];

/// A run that has ended, that goes on with `hold`, or that has not started with `un…`.
fn run_at(behaviour: &str) -> (Setup, Project, String) {
    let setup = Setup::with(Stub::behaving(behaviour));
    let project = setup.hello(TYPED);
    let words = [&["run", "--remote", "--detach"], &RUN[2..]].concat();
    let run = project.run(words).succeeds().stdout().trim().to_owned();
    if behaviour.contains("hold") {
        let mut following = project.start(["run", "--follow", &run]);
        following.until_stderr_has(" begins");
        following.interrupt();
        following.wait().exits(130);
    } else if !behaviour.contains("un") {
        // Its end, however it ends.
        project.run(["run", "--follow", &run]);
    }
    (setup, project, run)
}

#[test]
fn logs_of_all_attempts_are_printed_on_stdout() {
    let (_setup, project, run) = run_at("retried");
    project
        .run(["logs", &run])
        .succeeds()
        .stdout_is(
            "attempt 1 begins\nand goes on\nattempt 1 ends\nattempt 2 begins\nand goes on\nattempt 2 ends\n",
        )
        .stderr_has("Attempt 2\n")
        .stderr_lacks("pulled the image");
    project
        .run(["logs", &run, "--attempt", "2", "-v"])
        .succeeds()
        .stdout_is("attempt 2 begins\nand goes on\nattempt 2 ends\n")
        .stderr_has("System pulled the image");
    let json = project
        .run(["logs", &run, "--format", "json"])
        .succeeds()
        .json();
    let lines = json["lines"].as_array().unwrap();
    assert_eq!(
        (&json["command"], &json["run"], &json["action"], lines.len()),
        (&json!("logs"), &json!(run), &json!("a0"), 8)
    );
    assert_eq!(
        (&lines[0], &lines[5]["attempt"]),
        (
            &json!({ "attempt": 1, "time": null, "source": "system", "text": "pulled the image" }),
            &json!(2)
        )
    );
    project
        .run(["logs", &run, "--attempt", "3"])
        .exits(1)
        .fails_with("U0761")
        .stdout_is("")
        .stderr_has("it has 2 attempts")
        .stderr_has(&format!("cargo union get run {run}"));
}

#[test]
fn missing_logs_are_an_error_unless_others_are_shown() {
    let (_setup, project, run) = run_at("pods-gone");
    for format in ["text", "json"] {
        project
            .run(["logs", &run, "--format", format])
            .exits(1)
            .fails_with("U0820")
            .stderr_has("no log context found")
            .stderr_has(&format!("/runs/{run}"));
    }
    let (_setup, project, run) = run_at("hold,retried,pods-gone");
    project
        .run(["logs", &run])
        .succeeds()
        .stdout_is("attempt 2 begins\nand goes on\n")
        .stderr_has(", attempt 1, cannot be shown");
}

#[test]
fn logs_of_a_running_program_are_printed_so_far_or_followed() {
    let (setup, project, run) = run_at("hold");
    let following = project.start(["logs", &run, "--follow"]);
    project
        .run(["logs", &run])
        .succeeds()
        .stdout_is("attempt 1 begins\nand goes on\n");
    setup.backend.let_go();
    following
        .wait()
        .succeeds()
        .stdout_is("attempt 1 begins\nand goes on\nattempt 1 ends\n");
}

#[test]
fn logs_of_a_waiting_or_unknown_run_are_an_error() {
    let (_setup, project, run) = run_at("hold");
    project
        .run(["logs", "unknown"])
        .exits(1)
        .fails_with("U0761")
        .stderr_has("could not look up the run `unknown` in flytesnacks/development")
        .stderr_has("cargo union get runs");
    project
        .run(["logs", &run, "--action", "step-9"])
        .exits(1)
        .fails_with("U0761")
        .stderr_has("the action `step-9` of the run")
        .stderr_has(&format!("cargo union get run {run}"));
    project.run(["logs", &run, "--attempt", "0"]).exits(2);
    let (_setup, project, run) = run_at("unstarted");
    project
        .run(["logs", &run])
        .succeeds()
        .stdout_is("")
        .stderr_has(&format!("there are no logs of {run}, which is queued"));
    let none = project.run(["logs", &run, "--format", "json"]).succeeds();
    assert_eq!(none.json()["lines"], json!([]));
}

#[test]
fn run_is_shown_with_attempts_values_image_and_actions() {
    let (_setup, project, run) = run_at("retried,steps");
    let json = project
        .run(["get", "run", &run, "--format", "json"])
        .succeeds()
        .json();
    let shown = &json["run"];
    assert_eq!(
        (&json["command"], &json["project"], &shown["name"]),
        (&json!("get"), &json!("flytesnacks"), &json!(run))
    );
    assert_eq!(
        (&shown["phase"], &shown["task"], &shown["inputs"]),
        (
            &json!("succeeded"),
            &json!("hello"),
            &json!({ "x": 21, "name": "Ada" })
        )
    );
    assert_eq!(shown["outputs"], json!({ "greeting": "hello Ada" }));
    let digest = shown["digest"].as_str().unwrap();
    assert!(
        digest.starts_with("sha256:") && shown["image"].as_str().unwrap().ends_with(digest),
        "{shown}"
    );
    let attempts = shown["attempts"].as_array().unwrap();
    assert_eq!(
        (
            attempts.len(),
            &attempts[0]["phase"],
            &attempts[0]["error"]["message"],
            &attempts[1]["phase"]
        ),
        (
            2,
            &json!("failed"),
            &json!("exit code 7"),
            &json!("succeeded")
        )
    );
    assert_eq!(attempts[1]["phases"][3]["phase"], "running");
    assert!(attempts[1]["ended"].as_str().unwrap().ends_with('Z'));
    assert_eq!(attempts[1]["events"][0]["reason"], "Started");
    assert_eq!(shown["actions"][2]["parent"], "step-0");

    let text = project.run(["get", "run", &run]).succeeds();
    for line in [
        "phase     succeeded\n",
        "\ninputs\n  name = \"Ada\"\n  x = 21\n",
        "\noutputs\n  greeting = \"hello Ada\"\n",
        "\nattempt 1  failed\n",
        "  user error Exit: exit code 7\n",
        "  running\n",
        "  Started: Started container a\n",
        "\nactions\n  a0 task hello: succeeded",
        "\n    step-0 trace function_0: succeeded in 1.50 s\n      step-1 trace",
    ] {
        assert!(text.stdout().contains(line), "{line}: {}", text.stdout());
    }
}

#[test]
fn failed_aborted_and_waiting_runs_are_shown() {
    let (_setup, project, run) = run_at("fail");
    project
        .run(["get", "run", &run])
        .succeeds()
        .stdout_has("error     user error ValueError: boom\n            at line 3\n")
        .stdout_lacks("outputs");
    let (setup, project, run) = run_at("unschedulable");
    let shown = project
        .run(["get", "run", &run, "--format", "json"])
        .succeeds()
        .json();
    assert_eq!(
        (
            &shown["run"]["attempts"][0]["events"][0]["code"],
            &shown["run"]["outputs"]
        ),
        (&json!("U0822"), &json!(null))
    );
    setup.backend.official_in_project(["abort", "run"], &[&run]);
    let aborted = project.run(["get", "run", &run, "--format", "json"]).json();
    assert_eq!(aborted["run"]["phase"], "aborted");
    project
        .run(["get", "run", "unknown"])
        .exits(1)
        .fails_with("U0761")
        .stderr_has("cargo union get runs");
}

#[test]
fn run_of_a_thousand_actions_is_shown_page_by_page() {
    let (setup, project, run) = run_at("hold,crowd");
    let before = setup.backend.count("ListActions");
    let shown = project.run(["get", "run", &run]).succeeds();
    assert_eq!(shown.stdout().matches(" trace function_").count(), 1000);
    assert_eq!(setup.backend.count("ListActions") - before, 6);
    setup.backend.assert_all_valid();
}
