//! Signals, orphans, deadlines and terminals, also as process 1 of a namespace.

use std::io::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::setup::{ProcessResult, RunningProcess, command, launcher, shell};

/// A program that writes `ready`, and then runs until a trap ends it. The shell's remarks about its children are not shown.
fn waiting(traps: &str) -> String {
    format!("exec 2>/dev/null; {traps}; echo ready; while :; do sleep 0.05; done")
}

fn start(options: &[&str], script: &str) -> RunningProcess {
    let mut running = RunningProcess::start(command(options, &["sh", "-c", script]));
    running.wait_for("ready");
    running
}

/// Runs a command of a shell by the launcher as process 1 of a namespace of its own.
fn start_as_process_1(options: &[&str], script: &str) -> RunningProcess {
    let mut command = Command::new("unshare");
    command
        .args(["--pid", "--fork", "--kill-child", "--mount-proc"])
        .arg(launcher())
        .args(options)
        .args(["--", "sh", "-c", script]);
    RunningProcess::start(command)
}

/// Sends a signal to process 1 of the namespace.
fn send_to_process_1(unshare: &RunningProcess, signal: Signal) {
    let process_1 = Pid::from_raw(unshare.children()[0]).unwrap();
    rustix::process::kill_process(process_1, signal).unwrap();
}

#[test]
fn signals_are_forwarded_to_the_program() {
    for (signal, name) in [
        (Signal::HUP, "HUP"),
        (Signal::INT, "INT"),
        (Signal::QUIT, "QUIT"),
        (Signal::ABORT, "ABRT"),
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
        (Signal::ALARM, "ALRM"),
        (Signal::TERM, "TERM"),
        (Signal::CONT, "CONT"),
        (Signal::WINCH, "WINCH"),
        (Signal::POWER, "PWR"),
    ] {
        let mut running = start(
            &[],
            &waiting(&format!("trap 'echo got {name}; exit 3' {name}")),
        );
        running.send(signal);
        let ended = running.wait();
        ended.is(3, &[]);
        assert_eq!(ended.stdout, format!("got {name}\n"));
    }
}

#[test]
fn signal_reaches_the_whole_group_and_the_program_that_has_left_its_group() {
    let child = waiting("trap 'echo child; exit' TERM");
    let script = format!(
        "exec 2>/dev/null; trap 'wait; echo parent; exit 5' TERM; ({child}) & while :; do sleep 0.05; done"
    );
    let mut running = start(&[], &script);
    running.send(Signal::TERM);
    let ended = running.wait();
    ended.is(5, &[]);
    assert_eq!(ended.stdout, "child\nparent\n");
    // A job of an interactive shell gets a group of its own, into which the program moves.
    let perl = "use POSIX; my $child = fork // die; if (!$child) { POSIX::setpgid(0, 0); sleep 9 } select undef, undef, undef, 0.1;
        POSIX::setpgid(0, $child) or die; $SIG{USR1} = sub { kill 9, $child; exit 6 }; $| = 1; print \"ready\\n\"; sleep 9";
    let mut running = RunningProcess::start(command(&[], &["perl", "-e", perl]));
    running.wait_for("ready");
    running.send(Signal::USR1);
    running.wait().is(6, &[]);
}

#[test]
fn forwarded_signal_is_named_as_the_cause() {
    for (signal, code, message) in [
        (
            Signal::TERM,
            143,
            "ended by the forwarded signal 15 (terminated)",
        ),
        (
            Signal::INT,
            130,
            "ended by the forwarded signal 2 (interrupt)",
        ),
        (Signal::HUP, 129, "ended by the forwarded signal 1 (hangup)"),
    ] {
        let mut running = start(&[], &waiting(":"));
        running.send(signal);
        running.wait().is(code, &[message]);
    }
}

#[test]
fn program_that_ignores_sigterm_is_killed_after_the_grace_period() {
    let mut running = start(&["--grace", "1"], &waiting("trap '' TERM"));
    running.send(Signal::TERM);
    std::thread::sleep(Duration::from_millis(600));
    // Another one does not give it more time.
    running.send(Signal::TERM);
    let ended = ended_between(
        running,
        Duration::from_millis(900),
        Duration::from_millis(1_500),
    );
    ended.is(
        137,
        &["error: the program did not end within 1 s after SIGTERM, and is killed"],
    );
}

#[test]
fn program_without_a_handler_ends_at_once() {
    let mut running = start(&[], &waiting(":"));
    let before = running.elapsed();
    running.send(Signal::TERM);
    ended_between(running, Duration::ZERO, before + Duration::from_secs(1))
        .is(143, &["ended by the forwarded signal 15 (terminated)"]);
}

#[test]
fn stopped_program_is_killed_after_the_grace_period() {
    let mut running = start(&["--grace", "1"], &waiting(":"));
    running.send(Signal::TSTP);
    std::thread::sleep(Duration::from_millis(200));
    running.send(Signal::TERM);
    running.wait().is(
        137,
        &["error: the program did not end within 1 s after SIGTERM, and is killed"],
    );
}

fn ended_between(running: RunningProcess, earliest: Duration, latest: Duration) -> ProcessResult {
    let started = Instant::now() - running.elapsed();
    let ended = running.wait();
    let took = started.elapsed();
    assert!(
        (earliest..latest).contains(&took),
        "it took {took:?}: {ended:?}"
    );
    ended
}

#[test]
fn program_is_ended_after_its_timeout() {
    for (options, script, latest, messages) in [
        (
            &["--timeout", "1"][..],
            "exec sleep 9",
            2,
            &["error: timed out after 1 s"][..],
        ),
        (
            &["--timeout", "1"],
            &waiting("trap 'exit 0' TERM"),
            2,
            &["error: timed out after 1 s"],
        ),
        (
            &["--timeout", "1", "--grace", "1"],
            &waiting("trap '' TERM"),
            4,
            &[
                "error: timed out after 1 s",
                "error: the program did not end within 1 s after SIGTERM, and is killed",
            ],
        ),
        (
            &["--timeout", "1"],
            &waiting("trap 'kill -11 $$' TERM"),
            2,
            &[
                "error: timed out after 1 s",
                "error: killed by signal 11 (segmentation fault)",
            ],
        ),
    ] {
        let running = RunningProcess::start(command(options, &["sh", "-c", script]));
        ended_between(running, Duration::from_secs(1), Duration::from_secs(latest))
            .is(124, messages);
    }
}

#[test]
fn unread_full_stderr_does_not_delay_the_end() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let stderr = writer.try_clone().unwrap();
    let filler = std::thread::spawn(move || writer.write_all(&[0; 1 << 20]));
    std::thread::sleep(Duration::from_millis(200));
    let started = Instant::now();
    let mut command = command(&["--timeout", "1"], &["sleep", "9"]);
    let status = command.stderr(stderr).status().unwrap();
    let took = started.elapsed();
    assert_eq!(status.code(), Some(124));
    assert!(took < Duration::from_secs(5), "it took {took:?}");
    drop((command, reader));
    assert!(filler.join().unwrap().is_err());
}

#[test]
fn timeout_of_a_program_that_ends_in_time_changes_nothing() {
    for timeout in ["0", "2", "18446744073709551615"] {
        shell(&["--timeout", timeout], "sleep 0.1; exit 3").is(3, &[]);
    }
    // It is being ended for another reason.
    let mut running = start(
        &["--timeout", "1", "--grace", "9"],
        &waiting("trap 'sleep 1.2; exit 4' TERM"),
    );
    running.send(Signal::TERM);
    running.wait().is(4, &[]);
}

#[test]
fn orphans_are_adopted_and_reaped() {
    // The number of the parent of an orphan, twice the same; then no zombie among the children of the launcher.
    let script = "(sh -c 'sleep 0.2; cut -d\" \" -f4 /proc/$$/stat' &); sleep 0.6; echo $PPID; \
        for process in $(cat /proc/$PPID/task/$PPID/children); do cut -d' ' -f3 /proc/$process/stat; done; exit 9";
    let ended = shell(&[], script);
    ended.is(9, &[]);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(
        lines[0], lines[1],
        "an orphan has another parent than the launcher"
    );
    assert!(
        lines.len() == 3 && lines[2] != "Z",
        "more than the program is left: {lines:?}"
    );
}

#[test]
fn process_1_reaps_orphans_and_passes_the_code_on() {
    let script = "for i in 1 2 3; do (sleep 0.1 &); done; sleep 0.5; echo $PPID; cat /proc/[0-9]*/stat | grep -c ' Z '; exit 21";
    let ended = start_as_process_1(&[], script).wait();
    ended.is(21, &[]);
    assert_eq!(ended.stdout, "1\n0\n");
}

#[test]
fn process_1_forwards_sigterm_and_ends_at_once() {
    let mut running = start_as_process_1(&[], &waiting(":"));
    running.wait_for("ready");
    let before = running.elapsed();
    send_to_process_1(&running, Signal::TERM);
    ended_between(running, Duration::ZERO, before + Duration::from_secs(1))
        .is(143, &["ended by the forwarded signal 15 (terminated)"]);
}

#[test]
fn process_1_keeps_its_deadlines() {
    let running = start_as_process_1(
        &["--timeout", "1", "--grace", "0"],
        &waiting("trap '' TERM"),
    );
    ended_between(running, Duration::from_secs(1), Duration::from_secs(3)).is(
        124,
        &[
            "error: timed out after 1 s",
            "error: the program did not end within 0 s after SIGTERM, and is killed",
        ],
    );
}

/// A command of a shell with a terminal of its own at all three descriptors.
fn in_terminal(script: &str) -> RunningProcess {
    let mut command = Command::new("script");
    command
        .args(["--quiet", "--return", "--command"])
        .arg(script.replace('@', launcher().to_str().unwrap()))
        .arg("/dev/null");
    command.env("SHELL", "/bin/sh");
    RunningProcess::start(command)
}

#[test]
fn program_gets_the_terminal_and_its_interrupts() {
    // Group, and foreground group of the terminal.
    let script = "@ -- sh -c 'cut -d\" \" -f5,8 /proc/$$/stat; echo $$; echo ready'; read line; echo and $line";
    let mut running = in_terminal(script);
    let seen = running.wait_for("ready\r");
    let lines: Vec<&str> = seen.lines().collect();
    assert_eq!(lines[0], format!("{0} {0}", lines[1]), "{lines:?}");
    // The shell may read again.
    running.write("typed\n");
    let ended = running.wait();
    assert!(
        ended.stdout.contains("and typed"),
        "the terminal was not given back: {ended:?}"
    );
    let mut running = in_terminal("@ -- sh -c 'echo ready; exec sleep 9'; echo code $?");
    running.wait_for("ready\r");
    running.write("\u{3}");
    let ended = running.wait();
    assert!(
        ended
            .stdout
            .contains("cargo union launcher: error: killed by signal 2 (interrupt)\r\ncode 130"),
        "{ended:?}"
    );
}

#[test]
fn launcher_in_the_background_does_not_take_the_terminal() {
    let ended =
        in_terminal("set -m; @ -- sh -c 'cut -d\" \" -f5,8 /proc/$$/stat' & wait; echo done")
            .wait();
    let line = ended
        .stdout
        .lines()
        .find(|line| {
            line.split_whitespace()
                .all(|word| word.parse::<u32>().is_ok())
        })
        .unwrap();
    let numbers: Vec<&str> = line.split_whitespace().collect();
    assert_ne!(numbers[0], numbers[1], "{ended:?}");
    assert!(ended.stdout.contains("done"), "{ended:?}");
}
