//! `run --remote` with failed runs, interrupted connections and Ctrl-C.

use union_tests::stub::{Stub, official_python};
use union_tests::{Outcome, Project};

use crate::setup::{Setup, TYPED};

const RUN: [&str; 6] = ["run", "--remote", "hello", "--", "--x=21", "--name=Ada"];
const GREETING: &str = "greeting = \"hello Ada\"\n";

fn run_at(behaviour: &str) -> (Setup, Project, Outcome) {
    let setup = Setup::with(Stub::behaving(behaviour));
    let project = setup.hello(TYPED);
    let outcome = project.run(RUN);
    (setup, project, outcome)
}

#[test]
fn failed_run_shows_error_and_console_url() {
    let (_setup, project, outcome) = run_at("fail");
    let outcome = outcome
        .exits(1)
        .fails_with("U0806")
        .stdout_is("")
        .stderr_has("attempt 1 ends")
        .stderr_has("Failed u");
    outcome
        .stderr_has("of task `hello` failed")
        .stderr_has("  user error `ValueError`: boom\n    at line 3")
        .stderr_has("/runs/u");
    let json = project
        .run([
            "run",
            "--remote",
            "--format",
            "json",
            "hello",
            "--",
            "--x=21",
            "--name=Ada",
        ])
        .exits(1)
        .json();
    assert_eq!(
        (&json["command"], &json["problems"][0]["code"]),
        (&"failed".into(), &"U0806".into())
    );
    run_at("late")
        .2
        .exits(1)
        .fails_with("U0806")
        .stderr_has("took longer than it may")
        .stderr_has("Timed out u");
}

#[test]
fn aborted_run_is_reported() {
    let setup = Setup::with(Stub::behaving("hold"));
    let project = setup.hello(TYPED);
    let mut running = project.start(RUN);
    running.until_stderr_has("attempt 1 begins");
    let run = &setup.backend.runs()[0];
    setup.backend.official_in_project(["abort", "run"], &[run]);
    running
        .wait()
        .exits(1)
        .fails_with("U0807")
        .stderr_has("was aborted")
        .stderr_has("Aborted u");
}

#[test]
fn followed_run_survives_a_server_restart() {
    let mut setup = Setup::with(Stub::behaving("hold"));
    let project = setup.hello(TYPED);
    let mut running = project.start(RUN);
    running.until_stderr_has("attempt 1 begins");
    setup.backend.kill();
    running.until_stderr_has("Retrying");
    setup.backend.start_again();
    setup.backend.let_go();
    let outcome = running
        .wait()
        .succeeds()
        .stdout_is(GREETING)
        .stderr_has("Succeeded u");
    assert_eq!(
        outcome.stderr().matches("attempt 1 begins").count(),
        1,
        "{}",
        outcome.stderr()
    );
    assert_eq!(setup.backend.runs().len(), 1);
}

#[test]
fn interrupted_stream_is_resumed() {
    run_at("cut-watch")
        .2
        .succeeds()
        .stdout_is(GREETING)
        .stderr_has("Retrying to follow u");
    // Streams that end early are not reported.
    run_at("short-watch")
        .2
        .succeeds()
        .stdout_is(GREETING)
        .stderr_lacks("Retrying");
}

#[test]
fn lost_create_response_creates_no_second_run() {
    for behaviour in ["cut-create", "cut-create,taken"] {
        let (setup, _, outcome) = run_at(behaviour);
        outcome
            .succeeds()
            .stdout_is(GREETING)
            .stderr_has("Retrying RunService/CreateRun");
        assert_eq!(
            (setup.backend.runs().len(), setup.backend.count("CreateRun")),
            (1, 2),
            "{behaviour}"
        );
    }
}

#[test]
fn unreachable_backend_names_the_follow_command() {
    let mut setup = Setup::with(Stub::behaving("hold"));
    let project = setup.hello(TYPED);
    let mut running = project.start(RUN);
    running.until_stderr_has("Running u");
    let run = setup.backend.runs()[0].clone();
    setup.backend.kill();
    let outcome = running.wait().exits(1).fails_with("U0755").stdout_is("");
    outcome
        .stderr_has(&format!("could not follow the run `{run}`"))
        .stderr_has(&format!("cargo union run --follow {run}"));
}

#[test]
fn ctrl_c_without_terminal_aborts_only_created_runs() {
    let setup = Setup::with(Stub::behaving("hold"));
    let project = setup.hello(TYPED);
    let mut running = project.start(RUN);
    running.until_stderr_has("Running u");
    let run = setup.backend.runs()[0].clone();
    let mut following = project.start(["run", "--follow", &run]);
    following.until_stderr_has("Running u");
    following.interrupt();
    following
        .wait()
        .exits(130)
        .fails_with("U0007")
        .stderr_has("left the run")
        .stderr_has(&format!("cargo union run --follow {run}"));
    assert_eq!(setup.backend.aborted(&run), None);
    running.interrupt();
    running
        .wait()
        .exits(130)
        .fails_with("U0007")
        .stderr_has("Aborting u")
        .stderr_has("aborted the run");
    assert!(setup.backend.aborted(&run).unwrap().contains("Ctrl-C"));
}

/// Runs a program on a terminal, presses Ctrl-C after each of the words, and prints all output.
const ON_A_TERMINAL: &str = "
import os, pty, signal, sys
signal.alarm(120)
words, command = sys.argv[1].split('|'), sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    os.execv(command[0], command)
seen = b''
while True:
    try:
        read = os.read(terminal, 4096)
    except OSError:
        break
    if not read:
        break
    seen += read
    while words and words[0].encode() in seen:
        seen, before = seen.split(words[0].encode(), 1)[1], seen.split(words[0].encode(), 1)[0]
        sys.stdout.write((before + words.pop(0).encode()).decode())
        os.write(terminal, b'\\x03')
sys.stdout.write(seen.decode())
print('exit', os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";

#[test]
fn ctrl_c_on_a_terminal_detaches_then_aborts() {
    let setup = Setup::with(Stub::behaving("hold"));
    let project = setup.hello(TYPED);
    let follow = project
        .run([
            "run",
            "--remote",
            "--detach",
            "hello",
            "--",
            "--x=21",
            "--name=Ada",
        ])
        .succeeds();
    let run = follow.stdout().trim();
    let on_terminal = |words: &str| {
        let place = ["--project", "flytesnacks", "--domain", "development"];
        let tool = union_tests::project::tool();
        let command = [
            &[
                words,
                tool.to_str().unwrap(),
                "run",
                "--follow",
                run,
                "--endpoint",
                &setup.backend.endpoint(),
                "--org",
                "acme",
            ],
            &place[..],
        ];
        official_python(ON_A_TERMINAL, &command.concat())
    };
    let left = on_terminal("attempt 1 begins");
    assert!(
        left.contains("goes on; press Ctrl-C once more to abort it")
            && left.contains("left the run")
            && left.contains("exit 130"),
        "{left}"
    );
    assert_eq!(setup.backend.aborted(run), None);
    let aborted = on_terminal("attempt 1 begins|press Ctrl-C once more");
    assert!(
        aborted.contains("aborted the run") && aborted.contains("exit 130"),
        "{aborted}"
    );
    assert!(setup.backend.aborted(run).is_some());
}
