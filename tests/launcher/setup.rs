//! Compiles the launcher and runs it.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use cargo_union::sys::digest::Digest;
use cargo_union::workspace::launcher::{OPTIONS, RUST_LLD, SOURCES};
use rustix::process::{Pid, Signal};

/// The target of this machine.
pub(crate) fn triple() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

/// The launcher for this machine. A compiled one is kept among cargo's files for the tests, by its version and that of rustc.
pub(crate) fn launcher() -> &'static Path {
    static LAUNCHER: OnceLock<PathBuf> = OnceLock::new();
    LAUNCHER.get_or_init(|| {
        let rustc = text(&run(Command::new("rustc").arg("-vV")).stdout);
        let identity = format!("{SOURCES:?} {OPTIONS:?} {RUST_LLD:?} {rustc}");
        let name = format!("launcher-{}", Digest::of(identity).hex());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        if !path.exists() {
            let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            assert_eq!(compile(&triple(), directory.path(), &[]), "");
            std::fs::rename(directory.path().join("launcher"), &path).unwrap();
        }
        path
    })
}

/// Compiles the sources in a directory, where the program is called `launcher`, and returns what rustc has written to
/// stderr.
pub(crate) fn compile(triple: &str, directory: &Path, more: &[&str]) -> String {
    std::fs::create_dir_all(directory).unwrap();
    for (name, text) in SOURCES {
        std::fs::write(directory.join(name), text).unwrap();
    }
    let name_of = |option: &str| option.split('=').next().unwrap().to_owned();
    let is_overridden = |option: &&str| more.iter().any(|other| name_of(option) == name_of(other));
    let options = OPTIONS
        .iter()
        .copied()
        .filter(|option| option.starts_with("-C") || !is_overridden(option));
    let mut rustc = Command::new("rustc");
    rustc
        .args(["--target", triple])
        .args(options)
        .args(RUST_LLD)
        .args(more);
    if triple.ends_with("-musl") {
        rustc.arg("-Clink-self-contained=no");
    }
    text(&run(rustc.current_dir(directory)).stderr)
}

/// Whether the toolchain can compile for a target.
pub(crate) fn has_target(triple: &str) -> bool {
    let sysroot = text(&run(Command::new("rustc").args(["--print", "sysroot"])).stdout);
    Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(triple)
        .join("lib")
        .is_dir()
}

/// A call of the launcher with its own arguments, then `--`, then those of the program. Signals that the tests inherit as
/// ignored, as below `nohup`, are not ignored.
pub(crate) fn command(options: &[&str], program: &[&str]) -> Command {
    let mut command = Command::new("/usr/bin/env");
    command
        .arg("--default-signal")
        .arg(launcher())
        .args(options)
        .arg("--")
        .args(program);
    command
}

/// Runs the launcher to its end.
pub(crate) fn launch(options: &[&str], program: &[&str]) -> ProcessResult {
    RunningProcess::start(command(options, program)).wait()
}

/// Runs a command of a shell by the launcher.
pub(crate) fn shell(options: &[&str], script: &str) -> ProcessResult {
    launch(options, &["sh", "-c", script])
}

/// How a process ended, and what it has written.
#[derive(Debug, PartialEq)]
pub(crate) struct ProcessResult {
    /// The exit code, or the negative number of the signal that has ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl ProcessResult {
    /// Fails unless it ended with this code and these messages of the launcher, without their marker.
    #[track_caller]
    pub(crate) fn is(&self, code: i32, messages: &[&str]) {
        assert_eq!(
            (self.code, self.messages().as_slice()),
            (Some(code), messages),
            "{self:?}"
        );
    }

    /// The messages of the launcher, which alone may be on stderr.
    #[track_caller]
    pub(crate) fn messages(&self) -> Vec<&str> {
        let marked = |line| {
            str::strip_prefix(line, "cargo union launcher: ")
                .unwrap_or_else(|| panic!("no marker: {line}"))
        };
        self.stderr.lines().map(marked).collect()
    }
}

/// A running process with its descendants.
pub(crate) struct RunningProcess {
    child: Child,
    started: Instant,
}

impl RunningProcess {
    pub(crate) fn start(mut command: Command) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let started = Instant::now();
        Self {
            child: command.spawn().unwrap(),
            started,
        }
    }

    /// Waits for a line that the program writes when it is ready, and returns what it has written until then.
    pub(crate) fn wait_for(&mut self, line: &str) -> String {
        let mut seen = Vec::new();
        while !seen.ends_with(format!("{line}\n").as_bytes()) {
            let mut byte = [0];
            let stdout = self.child.stdout.as_mut().unwrap();
            stdout.read_exact(&mut byte).unwrap();
            seen.push(byte[0]);
        }
        text(&seen)
    }

    /// Sends a signal to the process alone.
    pub(crate) fn send(&mut self, signal: Signal) -> &mut Self {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).unwrap();
        self
    }

    /// The process numbers of its children.
    pub(crate) fn children(&self) -> Vec<i32> {
        let id = self.child.id();
        let list = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        list.split_whitespace()
            .map(|pid| pid.parse().unwrap())
            .collect()
    }

    pub(crate) fn write(&mut self, text: &str) {
        self.child
            .stdin
            .as_mut()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }

    /// How long it has been running.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Waits for its end. One that takes longer than half a minute is killed, and fails the test.
    pub(crate) fn wait(mut self) -> ProcessResult {
        drop(self.child.stdin.take());
        let launcher = Pid::from_child(&self.child).as_raw_nonzero().get();
        let (finished, outlives) = std::sync::mpsc::channel::<()>();
        let guard = std::thread::spawn(move || {
            // Processes that outlive the launcher still hold the pipes; they were listed before.
            let mut seen = BTreeSet::new();
            for _ in 0..60 {
                seen.extend(descendants(launcher));
                let waited = outlives.recv_timeout(Duration::from_millis(500));
                if waited != Err(RecvTimeoutError::Timeout) {
                    return false;
                }
            }
            for pid in seen.into_iter().filter_map(Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
            true
        });
        let output = self.child.wait_with_output().unwrap();
        drop(finished);
        assert!(!guard.join().unwrap(), "it did not end: {output:?}");
        ProcessResult::of(&output)
    }
}

impl ProcessResult {
    fn of(output: &Output) -> Self {
        Self {
            code: output
                .status
                .code()
                .or(output.status.signal().map(|signal| -signal)),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }
}

/// A process and all that it has started.
fn descendants(process: i32) -> Vec<i32> {
    let list = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
    let list = list.unwrap_or_default();
    let children = list.split_whitespace().filter_map(|pid| pid.parse().ok());
    std::iter::once(process)
        .chain(children.flat_map(descendants))
        .collect()
}

/// Writes a file that can be executed. Another process does it: a descriptor that is open for writing here could be inherited by
/// a process that another test starts, and the kernel does not execute such files.
pub(crate) fn executable(path: &Path, bytes: &[u8]) {
    let mut writer = Command::new("sh")
        .args(["-c", "cat >\"$0\" && chmod 755 \"$0\""])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    writer.stdin.take().unwrap().write_all(bytes).unwrap();
    assert!(writer.wait().unwrap().success());
}

pub(crate) fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        text(&output.stderr)
    );
    output
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
