//! A run of a program, and assertions on its outcome.
//!
//! A run has no standard input, its own process group and a timeout: a program that hangs is killed with its children,
//! and the test fails with its output so far.

use std::io::Read;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use snapbox::{IntoData, Redactions};

use crate::project::Compilations;
use crate::text;

/// A running program. It is killed when this is dropped.
#[derive(Debug)]
pub struct Running {
    command: String,
    child: Child,
    stdout: Stream,
    stderr: Stream,
    deadline: Instant,
    redactions: Redactions,
    compilations: Compilations,
}

impl Running {
    /// Starts a command.
    ///
    /// # Panics
    /// When there is no such program.
    #[track_caller]
    pub(crate) fn start(
        mut command: Command,
        limit: Duration,
        redactions: Redactions,
        compilations: Compilations,
    ) -> Self {
        let text = command_text(&command);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("could not start {text}: {error}"));
        Self {
            stdout: Stream::of(child.stdout.take().expect("stdout is piped")),
            stderr: Stream::of(child.stderr.take().expect("stderr is piped")),
            deadline: Instant::now() + limit,
            command: text,
            child,
            redactions,
            compilations,
        }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The stderr so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Waits until stderr contains a text.
    ///
    /// # Panics
    /// When the program exits or times out before.
    #[track_caller]
    pub fn until_stderr_has(&mut self, text: &str) {
        while !self.stderr.text().contains(text) {
            if self.has_exited() {
                self.stderr.finish();
                assert!(
                    self.stderr.text().contains(text),
                    "{}",
                    self.report(&format!("exited before stderr had {text:?}"))
                );
                return;
            }
            self.pause(&format!("stderr does not have {text:?}"));
        }
    }

    /// Sends SIGINT to the program and its children, as a terminal does on Ctrl-C.
    ///
    /// # Panics
    /// When the signal cannot be sent.
    #[track_caller]
    pub fn interrupt(&self) {
        assert!(
            signal_group("INT", self.id()),
            "could not interrupt {}",
            self.command
        );
    }

    /// Waits for the program to exit.
    ///
    /// # Panics
    /// When it times out.
    #[track_caller]
    pub fn wait(mut self) -> Outcome {
        // A stream that stays open belongs to a process that the program has left running.
        while !(self.has_exited() && self.stdout.has_ended() && self.stderr.has_ended()) {
            self.pause("it was killed");
        }
        let status = self
            .child
            .wait()
            .expect("a process that ended can be asked for its status");
        self.stdout.finish();
        self.stderr.finish();
        Outcome {
            command: self.command.clone(),
            status,
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
            redactions: self.redactions.clone(),
            compiled: self.compilations.since_the_mark(),
        }
    }

    /// Whether the program has exited.
    ///
    /// # Panics
    /// When the system does not know it.
    pub fn has_exited(&mut self) -> bool {
        self.child.try_wait().expect("the child is ours").is_some()
    }

    /// Sleeps briefly; after the timeout it kills the program and fails.
    #[track_caller]
    fn pause(&mut self, otherwise: &str) {
        if Instant::now() > self.deadline {
            self.kill();
            panic!("{}", self.report(&format!("timed out; {otherwise}")));
        }
        thread::sleep(Duration::from_millis(5));
    }

    fn kill(&mut self) {
        signal_group("KILL", self.id());
        // Both fail only when it has exited already.
        drop(self.child.kill());
        drop(self.child.wait());
    }

    fn report(&self, problem: &str) -> String {
        report(
            &self.command,
            problem,
            &self.stdout.text(),
            &self.stderr.text(),
        )
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.has_exited() {
            self.kill();
        }
    }
}

/// The outcome of a run. Every assertion returns the outcome, so that assertions can be chained.
#[derive(Clone, Debug)]
pub struct Outcome {
    command: String,
    status: ExitStatus,
    stdout: String,
    stderr: String,
    redactions: Redactions,
    compiled: Vec<String>,
}

impl Outcome {
    /// Asserts that it exited with 0.
    #[track_caller]
    pub fn succeeds(self) -> Self {
        self.check(self.status.success(), || "should have succeeded".to_owned());
        self
    }

    /// Asserts that it failed with an error code (`U0103`).
    #[track_caller]
    pub fn fails_with(self, code: &str) -> Self {
        let failed = self.status.code().is_some_and(|status| status != 0);
        self.check(failed, || format!("should have failed with {code}"));
        self.check(self.stderr.contains(code), || {
            format!("should have named {code}")
        });
        self
    }

    /// Asserts the exit code.
    #[track_caller]
    pub fn exits(self, number: i32) -> Self {
        self.check(self.status.code() == Some(number), || {
            format!("should have exited with {number}")
        });
        self
    }

    /// Asserts that stdout equals a snapshot.
    #[track_caller]
    pub fn stdout_is(self, expected: impl IntoData) -> Self {
        text::assert_matches(&self.redactions, &self.stdout, expected);
        self
    }

    /// Asserts that stderr equals a snapshot.
    #[track_caller]
    pub fn stderr_is(self, expected: impl IntoData) -> Self {
        text::assert_matches(&self.redactions, &self.stderr, expected);
        self
    }

    /// Asserts that stdout contains a text.
    #[track_caller]
    pub fn stdout_has(self, text: &str) -> Self {
        self.check(self.stdout.contains(text), || {
            format!("stdout should have {text:?}")
        });
        self
    }

    /// Asserts that stdout does not contain a text.
    #[track_caller]
    pub fn stdout_lacks(self, text: &str) -> Self {
        self.check(!self.stdout.contains(text), || {
            format!("stdout should not have {text:?}")
        });
        self
    }

    /// Asserts that stderr contains a text.
    #[track_caller]
    pub fn stderr_has(self, text: &str) -> Self {
        self.check(self.stderr.contains(text), || {
            format!("stderr should have {text:?}")
        });
        self
    }

    /// Asserts that stderr does not contain a text.
    #[track_caller]
    pub fn stderr_lacks(self, text: &str) -> Self {
        self.check(!self.stderr.contains(text), || {
            format!("stderr should not have {text:?}")
        });
        self
    }

    /// Asserts that rustc was called for no crate.
    #[track_caller]
    pub fn compiles_nothing(self) -> Self {
        self.check(self.compiled.is_empty(), || {
            format!(
                "should have compiled nothing, but compiled {:?}",
                self.compiled
            )
        });
        self
    }

    /// Asserts that rustc was called for exactly these crates, in any order. A build script is `build_script_build`.
    #[track_caller]
    pub fn compiles<const N: usize>(self, crates: [&str; N]) -> Self {
        let mut expected = crates.to_vec();
        expected.sort_unstable();
        self.check(self.compiled == expected, || {
            format!(
                "should have compiled {expected:?}, but compiled {:?}",
                self.compiled
            )
        });
        self
    }

    /// stdout as one JSON value.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!("{}", self.report(&format!("stdout is not JSON: {error}")))
        })
    }

    /// stdout as one JSON value per line.
    ///
    /// # Panics
    /// When a line is not.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<serde_json::Value> {
        let parse = |line| {
            serde_json::from_str(line).unwrap_or_else(|error| {
                panic!("{}", self.report(&format!("not JSON: {error}: {line}")))
            })
        };
        self.stdout.lines().map(parse).collect()
    }

    /// All of stdout.
    pub fn stdout(&self) -> &str {
        &self.stdout
    }

    /// All of stderr.
    pub fn stderr(&self) -> &str {
        &self.stderr
    }

    /// The crates for which rustc was called, sorted.
    pub fn compiled(&self) -> &[String] {
        &self.compiled
    }

    #[track_caller]
    fn check(&self, holds: bool, otherwise: impl FnOnce() -> String) {
        assert!(holds, "{}", self.report(&otherwise()));
    }

    fn report(&self, problem: &str) -> String {
        let end = match (self.status.code(), self.status.signal()) {
            (Some(number), _) => format!("exited with {number}"),
            (None, signal) => format!("was terminated by signal {}", signal.unwrap_or_default()),
        };
        report(
            &self.command,
            &format!("{problem}; it {end}"),
            &self.stdout,
            &self.stderr,
        )
    }
}

fn report(command: &str, problem: &str, stdout: &str, stderr: &str) -> String {
    format!("{command}\n{problem}\n--- stdout\n{stdout}\n--- stderr\n{stderr}\n---")
}

fn command_text(command: &Command) -> String {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect();
    format!("`{}`", words.join(" "))
}

/// Waits until a process has exited or is a zombie.
///
/// # Panics
/// When it does not exit within two minutes.
#[track_caller]
pub fn until_ended(pid: &str) {
    let deadline = Instant::now() + Duration::from_secs(120);
    let stat = format!("/proc/{}/stat", pid.trim());
    while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(Instant::now() < deadline, "process {pid} is still running");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Signals a process group with the shell's `kill`, since std has no function for it.
fn signal_group(signal: &str, group: u32) -> bool {
    let command = format!("kill -{signal} -{group}");
    Command::new("/bin/sh")
        .args(["-c", &command])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// A stream that is read in the background.
#[derive(Debug)]
struct Stream {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Stream {
    fn of(mut source: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(count @ 1..) = source.read(&mut buffer) {
                sink.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend_from_slice(&buffer[..count]);
            }
        });
        Self {
            bytes,
            reader: Some(reader),
        }
    }

    fn has_ended(&self) -> bool {
        self.reader.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Reads to the end.
    fn finish(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader does not panic");
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap_or_else(PoisonError::into_inner))
            .into_owned()
    }
}
