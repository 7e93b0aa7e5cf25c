//! `run --remote` and `run --follow` show why a run waits or fails, its logs in order, and its traces.

use serde_json::json;
use union_tests::stub::{Stub, official_python};
use union_tests::{Outcome, Project};

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

fn run_at(behaviour: &str) -> (Setup, Project, Outcome) {
    let setup = Setup::with(Stub::behaving(behaviour));
    let project = setup.hello(TYPED);
    let outcome = project.run(RUN);
    (setup, project, outcome)
}

/// The positions of words in a text, which must be in this order.
#[track_caller]
fn assert_order(text: &str, words: &[&str]) {
    let mut from = 0;
    for word in words {
        let at = text[from..].find(word);
        from += at.unwrap_or_else(|| panic!("`{word}` does not follow in {text}")) + word.len();
    }
}

#[test]
fn image_pull_failure_is_reported_once_with_code_and_advice() {
    let setup = Setup::with(Stub::behaving("unpullable"));
    let project = setup.hello(TYPED);
    let mut running = project.start(JSON);
    running.until_stderr_has("warning[U0821]");
    setup.backend.let_go();
    let outcome = running.wait().succeeds();
    assert_eq!(outcome.stderr().matches("U0821").count(), 1);
    assert_order(
        outcome.stderr(),
        &[
            "Starting u",
            "warning[U0821]: u",
            " waits: Failed: Failed to pull image \"registry.test/team/hello@sha256:00\"",
            "  = help: The registry does not have the image",
            "cargo union secret create --image-pull",
            "Succeeded u",
        ],
    );
    let event = &outcome.json()["run"]["events"][0];
    assert_eq!(
        (&event["code"], &event["reason"], &event["attempt"]),
        (&json!("U0821"), &json!("Failed"), &json!(1))
    );
    assert!(event["help"].as_str().unwrap().contains("secret create"));
    assert!(event["message"].as_str().unwrap().ends_with("not found"));
}

#[test]
fn unschedulable_run_is_reported_and_in_the_json_document() {
    let setup = Setup::with(Stub::behaving("unschedulable"));
    let project = setup.hello(TYPED);
    let mut running = project.start(JSON);
    running.until_stderr_has("warning[U0822]");
    let run = &setup.backend.runs()[0];
    setup.backend.official_in_project(["abort", "run"], &[run]);
    let outcome = running.wait().exits(1).fails_with("U0807");
    let outcome = outcome
        .stderr_has("0/1 nodes are available: 1 Insufficient cpu.[2J\n")
        .stderr_has("the task's `resources`")
        .stderr_lacks("\x1b");
    let problems = outcome.json()["problems"].clone();
    assert_eq!(
        (&problems[0]["code"], &problems[1]["code"]),
        (&json!("U0807"), &json!("U0822"))
    );
    assert_eq!(problems[1]["severity"], "warning");
}

#[test]
fn unknown_cluster_event_is_shown_unchanged() {
    let setup = Setup::with(Stub::behaving("slow"));
    let project = setup.hello(TYPED);
    let mut running = project.start(JSON);
    running.until_stderr_has("Pulling: Pulling image of 9 GB");
    setup.backend.let_go();
    let outcome = running.wait().succeeds().stderr_lacks("warning[");
    let event = &outcome.json()["run"]["events"][0];
    assert_eq!(
        (&event["code"], &event["help"], &event["reason"]),
        (&json!(null), &json!(null), &json!("Pulling"))
    );
}

#[test]
fn crash_loop_is_reported_once_with_its_log() {
    let setup = Setup::with(Stub::behaving("old"));
    let project = setup.hello(TYPED);
    let mut running = project.start(RUN);
    running.until_stderr_has("warning[U0826]");
    running.until_stderr_has("exit code 7 is near");
    running.interrupt();
    let outcome = running.wait().exits(130).stderr_has("aborted the run");
    assert_eq!(outcome.stderr().matches("U0826").count(), 1);
    outcome.stderr_has("abort it, and correct what its log shows");
}

#[test]
fn failure_of_a_known_cause_has_the_advice_of_that_cause() {
    let (_, _, outcome) = run_at("missing-secret");
    outcome
        .exits(1)
        .fails_with("U0806")
        .stderr_has("none of the secret managers injected secret [key:\"token\"]")
        .stderr_has("help: Create it with `cargo union secret create NAME`")
        .stderr_lacks("cannot be shown");
    let (_, _, outcome) = run_at("no-store");
    let outcome = outcome
        .exits(1)
        .fails_with("U0806")
        .stderr_has("outputs.pb: not found");
    for variable in [
        "AWS_ENDPOINT_URL",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_REGION",
        "FLYTE_AWS_*",
    ] {
        assert!(outcome.stderr().contains(variable), "{variable}");
    }
}

#[test]
fn logs_of_later_attempts_are_shown_when_the_pod_of_the_first_is_gone() {
    for behaviour in ["hold,retried,pods-gone", "hold,retried,pods-lost"] {
        let setup = Setup::with(Stub::behaving(behaviour));
        let project = setup.hello(TYPED);
        let mut running = project.start(RUN);
        running.until_stderr_has("attempt 2 begins");
        setup.backend.let_go();
        let outcome = running.wait().succeeds();
        assert_order(
            outcome.stderr(),
            &[
                "warning: the logs of u",
                ", attempt 1, cannot be shown",
                "attempt 2 begins",
                "attempt 2 ends",
                "Succeeded u",
            ],
        );
        outcome
            .stderr_lacks("attempt 1 begins")
            .stderr_lacks("attempt 2, cannot be shown");
    }
}

#[test]
fn logs_are_shown_between_start_and_end_without_a_warning() {
    for behaviour in ["fail,pods-gone", "fail,pods-lost", "fail"] {
        let (_, _, outcome) = run_at(behaviour);
        let outcome = outcome.exits(1).stderr_lacks("cannot be shown");
        assert_order(
            outcome.stderr(),
            &[
                "Starting u",
                "Running u",
                "attempt 1 begins",
                "attempt 1 ends",
                "Failed u",
            ],
        );
    }
}

#[test]
fn log_control_sequences_are_removed_and_colours_need_a_terminal() {
    let (_setup, project, outcome) = run_at("wild-logs");
    let text = "\nred\n␛]0;owned␇\nup␛[1A\n10%␍20%\nwww";
    let outcome = outcome.succeeds().stderr_lacks("\x1b").stderr_has(text);
    assert!(outcome.stderr().contains(&"w".repeat(300_000)));
    let coloured = project.run([&["--color", "always"][..], &RUN].concat());
    coloured
        .succeeds()
        .stderr_has("\x1b[1;31mred\x1b[0m\x1b[0m\n")
        .stderr_lacks("\x1b]0")
        .stderr_lacks("\x1b[1A");
}

#[test]
fn task_without_outputs_succeeds_by_its_launcher_only() {
    const PLAIN: &str =
        "[package.metadata.union.tasks.hello]\ninputs = { x = \"integer\", name = \"string\" }\n";
    let setup = Setup::new();
    let project = setup.hello(PLAIN);
    let outcome = project.run(JSON).succeeds();
    assert_eq!(outcome.json()["outputs"], json!({}));
    let run = outcome.json()["run"]["name"].as_str().unwrap().to_owned();
    project
        .run(["get", "run", &run])
        .succeeds()
        .stdout_has("x = 21")
        .stdout_lacks("union_none");
    project.edit(
        "Cargo.toml",
        "base-image = \"scratch\"\n",
        "base-image = \"scratch\"\nlauncher = false\n",
    );
    project
        .run(RUN)
        .exits(1)
        .fails_with("U0806")
        .stderr_has("failed to read data from s3://bucket/a0/1/outputs.pb: not found");
}

#[test]
fn trace_actions_are_reported_when_they_end() {
    let setup = Setup::with(Stub::behaving("steps"));
    let outcome = setup.hello(TYPED).run(JSON).succeeds();
    assert_order(
        outcome.stderr(),
        &[
            "Traced function_0 in 1.50 s",
            "Traced function_1 in 1.50 s",
            "Succeeded u",
        ],
    );
    let actions = outcome.json()["run"]["actions"].clone();
    assert_eq!(actions.as_array().unwrap().len(), 2);
    assert_eq!(
        (
            &actions[1]["name"],
            &actions[1]["parent"],
            &actions[1]["kind"],
            &actions[1]["seconds"]
        ),
        (
            &json!("step-1"),
            &json!("step-0"),
            &json!("trace"),
            &json!(1.5)
        )
    );
}

/// Runs a program and prints its largest resident size in MiB.
const PEAK: &str = "
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
";

#[test]
fn large_logs_use_little_memory() {
    let setup = Setup::with(Stub::behaving("big-logs"));
    let project = setup.hello(TYPED);
    let outcome = project.run([&["run", "--remote", "--detach"], &RUN[2..]].concat());
    let run = outcome.succeeds().stdout().trim().to_owned();
    for words in [vec!["run", "--follow", &run], vec!["logs", &run]] {
        let tool = union_tests::project::tool();
        let endpoint = setup.backend.endpoint();
        let mut command = vec![tool.to_str().unwrap()];
        command.extend(words);
        command.extend(["--endpoint", &endpoint, "--org", "acme"]);
        command.extend(["--project", "flytesnacks", "--domain", "development"]);
        let peak = official_python(PEAK, &command);
        assert!(peak.trim().parse::<u64>().unwrap() < 64, "{peak} MiB");
    }
}
