//! How the program is found and started, and what it inherits.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Command;

use crate::setup::{RunningProcess, command, executable, launch, launcher, shell};

#[test]
fn exit_code_is_passed_on_silently() {
    for code in [0, 1, 2, 65, 77, 124, 125, 126, 127, 128, 143, 255] {
        shell(&[], &format!("exit {code}")).is(code, &[]);
    }
}

#[test]
fn signal_that_ended_the_program_is_named() {
    for (signal, message) in [
        (1, "error: killed by signal 1 (hangup)"),
        (4, "error: killed by signal 4 (illegal instruction)"),
        (6, "error: killed by signal 6 (aborted)"),
        (8, "error: killed by signal 8 (arithmetic error)"),
        (9, "error: killed by signal 9 (out of memory?)"),
        (11, "error: killed by signal 11 (segmentation fault)"),
        (13, "error: killed by signal 13 (broken pipe)"),
        (15, "error: killed by signal 15 (terminated)"),
        (31, "error: killed by signal 31 (forbidden system call)"),
        (40, "error: killed by signal 40"),
    ] {
        shell(&[], &format!("kill -{signal} $$")).is(128 + signal, &[message]);
    }
}

#[test]
fn invalid_arguments_of_the_launcher_are_refused() {
    let types = "with a type that copilot supports: integer, float, string, boolean, datetime, duration, struct, file, directory";
    for (arguments, message) in [
        (&[][..], "`--` and a program are missing".to_owned()),
        (&["--"], "the program after `--` is missing".to_owned()),
        (
            &["true"],
            "`true` is not an option; `--` stands before the program".to_owned(),
        ),
        (
            &["--help"],
            "`--help` is not an option; `--` stands before the program".to_owned(),
        ),
        (&["--timeout"], "`--timeout` needs a value".to_owned()),
        (
            &["--timeout", "1"],
            "`--` and a program are missing".to_owned(),
        ),
        (
            &["--timeout", "-1", "--", "true"],
            "`--timeout` needs a whole number of seconds, and got `-1`".to_owned(),
        ),
        (
            &["--timeout", "", "--", "true"],
            "`--timeout` needs a whole number of seconds, and got ``".to_owned(),
        ),
        (
            &["--timeout", "+1", "--", "true"],
            "`--timeout` needs a whole number of seconds, and got `+1`".to_owned(),
        ),
        (
            &["--grace", "18446744073709551616", "--", "true"],
            "`--grace` needs a whole number of seconds, and got `18446744073709551616`".to_owned(),
        ),
        (
            &["--grace", "1.5\u{1b}[2J", "--", "true"],
            "`--grace` needs a whole number of seconds, and got `1.5\\x1b[2J`".to_owned(),
        ),
        (
            &["--output", "n", "--", "true"],
            format!("`n` is not NAME=TYPE {types}"),
        ),
        (
            &["--output", "n=list[integer]", "--", "true"],
            format!("`n=list[integer]` is not NAME=TYPE {types}"),
        ),
        (
            &["--output", "n=Integer", "--", "true"],
            format!("`n=Integer` is not NAME=TYPE {types}"),
        ),
        (
            &["--output", "=file", "--", "true"],
            "`` is not the name of an output".to_owned(),
        ),
        (
            &["--output", "../n=file", "--", "true"],
            "`../n` is not the name of an output".to_owned(),
        ),
        (
            &["--output", "..=file", "--", "true"],
            "`..` is not the name of an output".to_owned(),
        ),
        (
            &["--empty-output", ".", "--", "true"],
            "`.` is not the name of an output".to_owned(),
        ),
        (
            &["--output", "n=file", "--", "true"],
            "`--output-directory` is missing, and there is an output `n`".to_owned(),
        ),
        (
            &["--empty-output", "n", "--", "true"],
            "`--output-directory` is missing, and there is an output `n`".to_owned(),
        ),
    ] {
        let mut command = Command::new(launcher());
        command.args(arguments);
        RunningProcess::start(command)
            .wait()
            .is(125, &[&format!("error: {message}")]);
    }
    let mut command = Command::new(launcher());
    command.args([
        OsStr::from_bytes(b"--out\xffput\n"),
        OsStr::new("--"),
        OsStr::new("true"),
    ]);
    RunningProcess::start(command).wait().is(
        125,
        &["error: `--out\\xffput\\n` is not an option; `--` stands before the program"],
    );
}

#[test]
fn message_length_is_bounded() {
    let long = "é\u{1b}".repeat(30_000);
    let ended = launch(&[&long], &["true"]);
    assert_eq!((ended.code, ended.stderr.lines().count()), (Some(125), 1));
    assert!(
        ended.stderr.len() <= 4096 && ended.stderr.ends_with("...\n"),
        "{} bytes",
        ended.stderr.len()
    );
    let ended = launch(&[], &[&long]);
    assert_eq!((ended.code, ended.stderr.lines().count()), (Some(127), 1));
}

#[test]
fn program_is_looked_up_as_by_execvp() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for name in ["first", "second", "third", "work"] {
        std::fs::create_dir(path(name)).unwrap();
    }
    std::fs::write(path("first/tool"), "#!/bin/sh\necho first\n").unwrap();
    std::fs::create_dir(path("first/tool-2")).unwrap();
    executable(&path("second/tool"), b"#!/bin/sh\necho second $1\n");
    executable(&path("second/tool-2"), b"#!/bin/sh\necho tool-2\n");
    executable(&path("third/tool"), b"#!/bin/sh\necho third\n");
    executable(&path("work/here"), b"#!/bin/sh\necho here\n");
    let run = |search: Option<&str>, program: &[&str]| {
        let mut command = command(&[], program);
        command.env_clear().current_dir(path("work"));
        if let Some(search) = search {
            command.env(
                "PATH",
                search.replace('@', directory.path().to_str().unwrap()),
            );
        }
        RunningProcess::start(command).wait()
    };
    let long = format!("/{}:@/second", "x".repeat(5_000));
    for (search, program, stdout) in [
        (
            Some("@/first:@/second:@/third"),
            &["tool", "a b"][..],
            "second a b\n",
        ),
        (Some("@/first:@/second"), &["tool-2"], "tool-2\n"),
        (Some("@/first/tool:@/missing:@/third"), &["tool"], "third\n"),
        (Some(long.as_str()), &["tool"], "second\n"),
        (Some(""), &["here"], "here\n"),
        (Some("@/first::@/second"), &["here"], "here\n"),
        (Some("@/first"), &["./here"], "here\n"),
        (None, &["sh", "-c", "echo usual"], "usual\n"),
    ] {
        let ended = run(search, program);
        ended.is(0, &[]);
        assert_eq!(ended.stdout, stdout, "{search:?} {program:?}");
    }
    let shown = |text: &str| text.replace('@', directory.path().to_str().unwrap());
    for (search, program, code, message) in [
        (
            Some("@/third:/none"),
            "nothing",
            127,
            "`nothing` was not found in the PATH `@/third:/none`",
        ),
        (
            None,
            "no-such",
            127,
            "`no-such` was not found in the PATH `/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`",
        ),
        (
            Some("@/third:@/first"),
            "tool-2",
            126,
            "`@/first/tool-2` is a directory",
        ),
        (
            Some("@/first"),
            "tool",
            126,
            "`@/first/tool` cannot be started: Permission denied (os error 13)",
        ),
        (Some("@/first"), "", 127, "the name of the program is empty"),
    ] {
        run(search, &[program]).is(code, &[&format!("error: {}", shown(message))]);
    }
}

#[test]
fn unstartable_program_has_a_reason() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let elf = std::fs::read("/bin/true").unwrap();
    let with = |offset: usize, bytes: &[u8]| {
        let mut elf = elf.clone();
        elf[offset..offset + bytes.len()].copy_from_slice(bytes);
        elf
    };
    let loader = elf.windows(4).position(|bytes| bytes == b"/ld-").unwrap();
    let files: &[(&str, &[u8])] = &[
        ("bad-interpreter", b"#! /no/such/interpreter -x\n"),
        ("bad-loader", &with(loader, b"/no-")),
        ("other-processor", &with(18, b"\x12\x34")),
        ("empty", b""),
        ("binary", b"\x01\x02\x00\x03"),
    ];
    for (name, bytes) in files {
        executable(Path::new(&path(name)), bytes);
    }
    std::fs::write(path("plain"), "text").unwrap();
    std::os::unix::fs::symlink("nowhere", path("dangling")).unwrap();
    for (name, code, message) in [
        ("nothing", 127, "was not found"),
        (
            "plain/below",
            126,
            "cannot be started: Not a directory (os error 20)",
        ),
        ("dangling", 127, "was not found"),
        (
            "bad-interpreter",
            126,
            "was found, but not the interpreter `/no/such/interpreter` that it needs",
        ),
        (
            "plain",
            126,
            "cannot be started: Permission denied (os error 13)",
        ),
        ("empty", 126, "is empty"),
        (
            "other-processor",
            126,
            &format!(
                "is not a program for this processor ({})",
                std::env::consts::ARCH
            ),
        ),
        ("binary", 126, "is not a program"),
    ] {
        launch(&[], &[&path(name)]).is(code, &[&format!("error: `{}` {message}", path(name))]);
    }
    launch(&[], &["/"]).is(126, &["error: `/` is a directory"]);
    let ended = launch(&[], &[&path("bad-loader")]);
    assert_eq!(ended.code, Some(126));
    assert!(
        ended.stderr.contains("was found, but not the loader `/"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("/no-"), "{}", ended.stderr);
}

#[test]
fn script_without_an_interpreter_is_run_by_a_shell() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("script");
    executable(&script, b"echo \"$0 $# $1 $2\"\n");
    let path = script.to_str().unwrap();
    let ended = launch(&["--timeout", "9"], &[path, "a b", "c"]);
    ended.is(0, &[]);
    assert_eq!(ended.stdout, format!("{path} 2 a b c\n"));
    let mut by_name = command(&[], &["script"]);
    by_name.env("PATH", format!("/none:{}", directory.path().display()));
    assert_eq!(
        RunningProcess::start(by_name).wait().stdout,
        format!("{path} 0  \n")
    );
}

#[test]
fn program_sees_arguments_environment_directory_and_input_as_the_launcher_got_them() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = command(
        &["--timeout", "9", "--grace", "9"],
        &["sh", "-c", "printf '<%s>' \"$@\"; pwd; env; cat", "name"],
    );
    command.args([
        OsStr::new(""),
        OsStr::new("--"),
        OsStr::new("a\nb"),
        OsStr::new("--timeout"),
        OsStr::from_bytes(b"\xff"),
    ]);
    command
        .env_clear()
        .envs([("PATH", "/usr/bin:/bin"), ("A", "1=2"), ("EMPTY", "")])
        .current_dir(directory.path());
    let mut running = RunningProcess::start(command);
    running.write("from stdin");
    let ended = running.wait();
    ended.is(0, &[]);
    let here = directory.path().canonicalize().unwrap();
    let mut lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines.remove(0), "<><--><a");
    assert_eq!(
        lines.remove(0),
        format!("b><--timeout><\u{fffd}>{}", here.display())
    );
    assert_eq!(lines.pop(), Some("from stdin"));
    lines.retain(|line| !line.starts_with("PWD="));
    lines.sort_unstable();
    assert_eq!(lines, ["A=1=2", "EMPTY=", "PATH=/usr/bin:/bin"]);
}

#[test]
fn program_inherits_mask_and_dispositions_of_signals_and_the_open_files() {
    // `env` of coreutils sets them for what it starts. A shell would change them.
    for settings in [
        &[][..],
        &["--ignore-signal=HUP,CHLD,TTOU,USR1"],
        &["--block-signal=USR2,TERM,CHLD"],
    ] {
        let seen = |launcher: &[&str]| {
            [
                &["grep", "^Sig[BI]", "/proc/self/status"][..],
                &["ls", "/proc/self/fd"],
                &["sh", "-c", "exit 7"],
            ]
            .map(|program| {
                let mut command = Command::new("env");
                command.args(settings).args(launcher).args(program);
                RunningProcess::start(command).wait()
            })
        };
        let direct = seen(&[]);
        assert_eq!(direct[2].code, Some(7));
        assert_eq!(
            seen(&[launcher().to_str().unwrap(), "--"]),
            direct,
            "{settings:?}"
        );
    }
}

#[test]
fn program_is_in_a_group_of_its_own_and_the_launcher_stays_in_its_own() {
    let ended = shell(
        &[],
        "cut -d' ' -f5 /proc/$$/stat; echo $$; cut -d' ' -f5 /proc/$PPID/stat; echo $PPID",
    );
    let numbers: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!((numbers[0], numbers[2]), (numbers[1], numbers[3]));
}

#[test]
fn messages_do_not_fail_on_a_closed_stderr() {
    let script =
        "\"$0\" -- no-such-program 2>&-; echo $?; \"$0\" -- no-such-program 2>/dev/full; echo $?";
    let mut closed = Command::new("sh");
    closed.args(["-c", script]).arg(launcher());
    let ended = RunningProcess::start(closed).wait();
    assert_eq!(
        (ended.code, ended.stdout.as_str(), ended.stderr.as_str()),
        (Some(0), "127\n127\n", "")
    );
}
