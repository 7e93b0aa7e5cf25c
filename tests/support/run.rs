//! One run of a program, and what may be said about how it ended.
//!
//! A run has no standard input, a group of its own and a limit of time: one that hangs is killed with
//! everything it started, and the test fails with what was printed until then.

use std::io::Read;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use snapbox::{IntoData, Redactions};

use crate::project::Compilations;
use crate::text;

/// A program at work. It is killed when this value is dropped.
#[derive(Debug)]
pub struct Running {
    shown: String,
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
    pub(crate) fn start(mut command: Command, limit: Duration, redactions: Redactions, compilations: Compilations) -> Self {
        let shown = shown(&command);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("could not start {shown}: {error}"));
        Self {
            stdout: Stream::of(child.stdout.take().expect("stdout is piped")),
            stderr: Stream::of(child.stderr.take().expect("stderr is piped")),
            deadline: Instant::now() + limit,
            shown,
            child,
            redactions,
            compilations,
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed to stderr so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Waits until stderr holds a text.
    ///
    /// # Panics
    /// When it ends or the limit is reached before that.
    #[track_caller]
    pub fn until_stderr_has(&mut self, text: &str) {
        while !self.stderr.text().contains(text) {
            if self.ended() {
                self.stderr.finish();
                assert!(self.stderr.text().contains(text), "{}", self.told(&format!("ended before stderr had {text:?}")));
                return;
            }
            self.pause(&format!("stderr does not have {text:?}"));
        }
    }

    /// Sends what a terminal sends on Ctrl-C, to the program and to all that it started.
    ///
    /// # Panics
    /// When the signal cannot be sent.
    #[track_caller]
    pub fn interrupt(&self) {
        assert!(signal_group("INT", self.id()), "could not interrupt {}", self.shown);
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// When the limit is reached.
    #[track_caller]
    pub fn wait(mut self) -> Outcome {
        // A stream that stays open belongs to something that the program left behind.
        while !(self.ended() && self.stdout.has_ended() && self.stderr.has_ended()) {
            self.pause("it was killed");
        }
        let status = self.child.wait().expect("a process that ended can be asked for its status");
        self.stdout.finish();
        self.stderr.finish();
        Outcome {
            shown: self.shown.clone(),
            status,
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
            redactions: self.redactions.clone(),
            compiled: self.compilations.since_the_mark(),
        }
    }

    fn ended(&mut self) -> bool {
        self.child.try_wait().expect("the child is ours").is_some()
    }

    /// Sleeps a little; past the limit it kills the program and fails.
    #[track_caller]
    fn pause(&mut self, otherwise: &str) {
        if Instant::now() > self.deadline {
            self.kill();
            panic!("{}", self.told(&format!("took too long; {otherwise}")));
        }
        thread::sleep(Duration::from_millis(5));
    }

    fn kill(&mut self) {
        signal_group("KILL", self.id());
        // Both fail only when it has ended, which is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }

    fn told(&self, what: &str) -> String {
        told(&self.shown, what, &self.stdout.text(), &self.stderr.text())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended() {
            self.kill();
        }
    }
}

/// How a run ended. Every assertion hands the outcome back, so that the next can follow.
#[derive(Clone, Debug)]
pub struct Outcome {
    shown: String,
    status: ExitStatus,
    stdout: String,
    stderr: String,
    redactions: Redactions,
    compiled: Vec<String>,
}

impl Outcome {
    /// It exited with 0.
    #[track_caller]
    pub fn succeeds(self) -> Self {
        self.check(self.status.success(), || "should have succeeded".to_owned());
        self
    }

    /// It failed, and said so with this code (`U0103`).
    #[track_caller]
    pub fn fails_with(self, code: &str) -> Self {
        let failed = self.status.code().is_some_and(|status| status != 0);
        self.check(failed, || format!("should have failed with {code}"));
        self.check(self.stderr.contains(code), || format!("should have named {code}"));
        self
    }

    /// It exited with this number.
    #[track_caller]
    pub fn exits(self, number: i32) -> Self {
        self.check(self.status.code() == Some(number), || format!("should have exited with {number}"));
        self
    }

    /// stdout equals a snapshot.
    #[track_caller]
    pub fn stdout_is(self, expected: impl IntoData) -> Self {
        text::assert_matches(&self.redactions, &self.stdout, expected);
        self
    }

    /// stderr equals a snapshot.
    #[track_caller]
    pub fn stderr_is(self, expected: impl IntoData) -> Self {
        text::assert_matches(&self.redactions, &self.stderr, expected);
        self
    }

    /// stdout has a text in it.
    #[track_caller]
    pub fn stdout_has(self, text: &str) -> Self {
        self.check(self.stdout.contains(text), || format!("stdout should have {text:?}"));
        self
    }

    /// stdout does not have a text in it.
    #[track_caller]
    pub fn stdout_lacks(self, text: &str) -> Self {
        self.check(!self.stdout.contains(text), || format!("stdout should not have {text:?}"));
        self
    }

    /// stderr has a text in it.
    #[track_caller]
    pub fn stderr_has(self, text: &str) -> Self {
        self.check(self.stderr.contains(text), || format!("stderr should have {text:?}"));
        self
    }

    /// stderr does not have a text in it.
    #[track_caller]
    pub fn stderr_lacks(self, text: &str) -> Self {
        self.check(!self.stderr.contains(text), || format!("stderr should not have {text:?}"));
        self
    }

    /// rustc was called for no crate, and no build script was compiled.
    #[track_caller]
    pub fn compiles_nothing(self) -> Self {
        self.check(self.compiled.is_empty(), || format!("should have compiled nothing, but compiled {:?}", self.compiled));
        self
    }

    /// rustc was called for exactly these crates, in any order. A build script is `build_script_build`.
    #[track_caller]
    pub fn compiles<const N: usize>(self, crates: [&str; N]) -> Self {
        let mut expected = crates.to_vec();
        expected.sort_unstable();
        self.check(self.compiled == expected, || format!("should have compiled {expected:?}, but compiled {:?}", self.compiled));
        self
    }

    /// stdout as one JSON value.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{}", self.told(&format!("stdout is not JSON: {error}"))))
    }

    /// stdout as one JSON value per line.
    ///
    /// # Panics
    /// When a line is not.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<serde_json::Value> {
        let parse =
            |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{}", self.told(&format!("not JSON: {error}: {line}"))));
        self.stdout.lines().map(parse).collect()
    }

    /// stdout as it was printed.
    pub fn stdout(&self) -> &str {
        &self.stdout
    }

    /// stderr as it was printed.
    pub fn stderr(&self) -> &str {
        &self.stderr
    }

    /// The crates for which rustc was called, sorted.
    pub fn compiled(&self) -> &[String] {
        &self.compiled
    }

    #[track_caller]
    fn check(&self, holds: bool, otherwise: impl FnOnce() -> String) {
        assert!(holds, "{}", self.told(&otherwise()));
    }

    fn told(&self, what: &str) -> String {
        let end = match (self.status.code(), self.status.signal()) {
            (Some(number), _) => format!("exited with {number}"),
            (None, signal) => format!("was ended by signal {}", signal.unwrap_or_default()),
        };
        told(&self.shown, &format!("{what}; it {end}"), &self.stdout, &self.stderr)
    }
}

fn told(shown: &str, what: &str, stdout: &str, stderr: &str) -> String {
    format!("{shown}\n{what}\n--- stdout\n{stdout}\n--- stderr\n{stderr}\n---")
}

fn shown(command: &Command) -> String {
    let words: Vec<_> = std::iter::once(command.get_program()).chain(command.get_args()).map(|word| word.to_string_lossy()).collect();
    format!("`{}`", words.join(" "))
}

/// Waits until a process has ended; whoever started it may not have asked for its status yet.
///
/// # Panics
/// When it goes on for minutes.
#[track_caller]
pub fn until_ended(pid: &str) {
    let deadline = Instant::now() + Duration::from_secs(120);
    let stat = format!("/proc/{}/stat", pid.trim());
    while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(Instant::now() < deadline, "process {pid} is still there");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Signals a whole process group. There is no door to it in std, so the shell's own `kill` does it.
fn signal_group(signal: &str, group: u32) -> bool {
    let command = format!("kill -{signal} -{group}");
    Command::new("/bin/sh").args(["-c", &command]).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// A stream that is read as it comes.
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
                sink.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..count]);
            }
        });
        Self { bytes, reader: Some(reader) }
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
        String::from_utf8_lossy(&self.bytes.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}
