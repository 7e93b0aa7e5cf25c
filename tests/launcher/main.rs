//! The launcher as a program: each behaviour that its documentation promises.

#![allow(clippy::unwrap_used)]

mod outputs;

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use cargo_union::workspace::launcher::{OPTIONS, RUST_LLD, SOURCES};
use tempfile::TempDir;

/// The launcher for this machine, compiled once.
fn launcher() -> &'static Path {
    static PROGRAM: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    &PROGRAM
        .get_or_init(|| {
            let directory = tempfile::tempdir().unwrap();
            compile(directory.path());
            let program = directory.path().join("launcher");
            (directory, program)
        })
        .1
}

fn compile(directory: &Path) {
    for (name, text) in SOURCES {
        std::fs::write(directory.join(name), text).unwrap();
    }
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new("rustc")
        .args(["--target", &target])
        .args(OPTIONS)
        .args(RUST_LLD)
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The launcher with its own options, and a program with its arguments.
fn command(options: &[&str], program: &[&str]) -> Command {
    let mut command = Command::new(launcher());
    command.args(options).arg("--").args(program);
    command
}

fn run(options: &[&str], program: &[&str]) -> (Option<i32>, String) {
    outcome(&command(options, program).output().unwrap())
}

/// Exit code and stderr.
fn outcome(output: &Output) -> (Option<i32>, String) {
    (
        output.status.code(),
        String::from_utf8(output.stderr.clone()).unwrap(),
    )
}

/// A shell script below the launcher that has written `ready` to its stdout.
fn start(options: &[&str], script: &str) -> Child {
    let script = format!("{script}\n");
    let mut child = command(options, &["sh", "-c", &script])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = [0; 6];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
    child
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    rustix::process::kill_process(rustix::process::Pid::from_child(child), signal).unwrap();
}

#[test]
fn exit_code_is_that_of_the_program() {
    for code in [0, 1, 7, 65, 124, 255] {
        assert_eq!(
            run(&[], &["sh", "-c", &format!("exit {code}")]),
            (Some(code), String::new())
        );
    }
}

#[test]
fn program_killed_by_a_signal_is_explained() {
    for (signal, code, explanation) in [
        (9, 137, "killed by signal 9 (out of memory?)"),
        (11, 139, "killed by signal 11 (segmentation fault)"),
        (6, 134, "killed by signal 6 (aborted)"),
    ] {
        let (found, stderr) = run(&[], &["sh", "-c", &format!("kill -{signal} $$")]);
        assert_eq!(found, Some(code));
        assert_eq!(
            stderr,
            format!("cargo union launcher: error: the program was {explanation}\n")
        );
    }
}

#[test]
fn program_that_cannot_be_started_is_126_or_127_as_in_a_shell() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode: u32| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (plain, loader, other) = (
        file("plain", "", 0o644),
        file("loader", "#!/no/such/interpreter\n", 0o755),
        file("other", "\x7fELF nonsense \0", 0o755),
    );
    let missing = directory.path().join("missing");
    for (program, code, text) in [
        (
            "no-such-program",
            127,
            "the program `no-such-program` was not found in PATH, which is `",
        ),
        (missing.to_str().unwrap(), 127, "no such file or directory"),
        (&plain, 126, "permission denied"),
        (directory.path().to_str().unwrap(), 126, "permission denied"),
        (
            &loader,
            126,
            "the loader or interpreter that it names does not",
        ),
    ] {
        let (found, stderr) = run(&[], &[program]);
        assert_eq!(found, Some(code), "{program}: {stderr}");
        assert!(
            stderr.starts_with("cargo union launcher: error: ") && stderr.contains(text),
            "{stderr}"
        );
    }
    // The shell decides on what is neither a program nor names an interpreter.
    assert_ne!(run(&[], &[&other]).0, Some(0));
}

#[test]
fn program_is_found_in_path_and_scripts_without_interpreter_are_run_by_the_shell() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("script");
    std::fs::write(&script, "echo \"$0 $# $2\"\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("/nowhere:{}:/bin:/usr/bin", directory.path().display());
    let output = command(&[], &["script", "a", "b c"])
        .env("PATH", path)
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        format!("{} 2 b c\n", script.display())
    );
    // Without PATH the usual directories are searched.
    assert_eq!(
        outcome(&command(&[], &["true"]).env_remove("PATH").output().unwrap()),
        (Some(0), String::new())
    );
}

#[test]
fn invalid_options_of_the_launcher_end_with_125() {
    for (options, text) in [
        (&["--unknown", "x"][..], "unexpected argument `--unknown`"),
        (
            &["--output-directory", "/tmp", "--output", "n=int"],
            "`n=int` is not a value of `--output`",
        ),
        (
            &["--output", "n=integer"],
            "`--output-directory` is missing",
        ),
        (
            &["--output-directory", "/tmp", "--empty-output", "a/b"],
            "`a/b` is not a value of `--empty-output`",
        ),
        (&["--timeout", "-1"], "`-1` is not a value of `--timeout`"),
        (
            &["--timeout", "99999999999999999999"],
            "is not a value of `--timeout`",
        ),
    ] {
        let (code, stderr) = run(options, &["true"]);
        assert_eq!(code, Some(125), "{options:?}");
        assert!(stderr.contains(text), "{stderr}");
    }
    let bare = Command::new(launcher()).output().unwrap();
    assert_eq!(
        outcome(&bare),
        (
            Some(125),
            "cargo union launcher: error: expected `-- PROGRAM [ARGUMENT...]`\n".to_owned()
        )
    );
}

#[test]
fn stdin_environment_arguments_and_directory_are_those_of_the_program() {
    let mut child = command(
        &["--timeout", "100"],
        &[
            "sh",
            "-c",
            "cat; env; pwd; echo \"$@\"",
            "name",
            "--",
            "--timeout",
            "",
            "ä b",
        ],
    )
    .env_clear()
    .env("ONLY", "this")
    .current_dir("/usr")
    .stdin(Stdio::piped())
    .stdout(Stdio::piped())
    .spawn()
    .unwrap();
    child.stdin.take().unwrap().write_all(b"text\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(
        stdout.starts_with("text\n") && stdout.contains("ONLY=this\n"),
        "{stdout}"
    );
    assert!(stdout.ends_with("/usr\n-- --timeout  ä b\n"), "{stdout}");
}

#[test]
fn sigterm_reaches_the_program_and_its_children_at_once() {
    let begun = Instant::now();
    let child = start(&[], "sleep 100 & echo ready; wait");
    signal(&child, rustix::process::Signal::TERM);
    let output = child.wait_with_output().unwrap();
    assert_eq!(outcome(&output), (Some(143), String::new()));
    // Far less than the sleep, however busy the machine is.
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[test]
fn signals_are_forwarded_and_the_handler_decides() {
    for (name, forwarded) in [
        ("TERM", rustix::process::Signal::TERM),
        ("INT", rustix::process::Signal::INT),
        ("HUP", rustix::process::Signal::HUP),
        ("USR1", rustix::process::Signal::USR1),
        ("WINCH", rustix::process::Signal::WINCH),
    ] {
        let child = start(
            &[],
            &format!("trap 'exit 9' {name}; echo ready; while :; do sleep 0.05; done"),
        );
        signal(&child, forwarded);
        assert_eq!(
            outcome(&child.wait_with_output().unwrap()).0,
            Some(9),
            "{name}"
        );
    }
}

#[test]
fn program_that_ignores_sigterm_is_killed_after_the_grace_period() {
    let child = start(
        &["--grace", "1"],
        "trap '' TERM; echo ready; while :; do sleep 0.05; done",
    );
    signal(&child, rustix::process::Signal::TERM);
    let (code, stderr) = outcome(&child.wait_with_output().unwrap());
    assert_eq!(code, Some(137));
    assert_eq!(
        stderr,
        "cargo union launcher: error: killed 1 s after SIGTERM\n"
    );
}

#[test]
fn timeout_ends_the_program_with_124() {
    assert_eq!(
        run(&["--timeout", "1"], &["sleep", "100"]),
        (
            Some(124),
            "cargo union launcher: error: timed out after 1 s\n".to_owned()
        )
    );
    let (code, stderr) = run(
        &["--timeout", "1", "--grace", "1"],
        &["sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"],
    );
    assert_eq!(code, Some(124));
    assert_eq!(stderr.lines().count(), 2, "{stderr}");
    // One that ends in time is not touched.
    assert_eq!(
        run(&["--timeout", "100"], &["true"]),
        (Some(0), String::new())
    );
}

#[test]
fn as_process_1_it_reaps_orphans_and_ends_with_the_program() {
    // Each orphan ends after its parent, and is a zombie until process 1 has reaped it.
    let script = "for n in 1 2 3; do (sh -c 'sleep 0.1' & ); done; sleep 0.5; n=0; \
                  while ps -eo stat= | grep -q Z && [ $n -lt 100 ]; do n=$((n + 1)); done; \
                  ps -eo stat= | grep -c Z; ps -o comm= -p 1";
    let mut unshare = Command::new("unshare");
    unshare
        .args(["--pid", "--fork", "--mount-proc"])
        .arg(launcher())
        .args(["--", "sh", "-c", script]);
    let output = unshare.output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "0\nlauncher\n",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn launcher_survives_the_end_of_its_readers() {
    // Nobody reads stderr: the message is lost, and the exit code is not.
    let mut child = command(&["--timeout", "1"], &["sleep", "100"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(124));
}

#[test]
fn program_is_small_static_and_reproducible() {
    let bytes = std::fs::read(launcher()).unwrap();
    assert!(bytes.len() < 60_000, "{} bytes", bytes.len());
    let headers = Command::new("readelf")
        .args(["-lW"])
        .arg(launcher())
        .output()
        .unwrap();
    let headers = String::from_utf8(headers.stdout).unwrap();
    assert!(
        !headers.contains("INTERP") && !headers.contains("DYNAMIC") && !headers.contains("RWE"),
        "{headers}"
    );
    assert!(
        headers
            .lines()
            .any(|line| line.contains("GNU_STACK") && line.contains(" RW ")),
        "{headers}"
    );
    let elsewhere = tempfile::tempdir().unwrap();
    compile(elsewhere.path());
    assert!(
        bytes == std::fs::read(elsewhere.path().join("launcher")).unwrap(),
        "two compiles differ"
    );
}
