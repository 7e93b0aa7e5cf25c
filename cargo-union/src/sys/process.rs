//! The door to other programs: started by name, with errors that say which and why.
//!
//! A child never outlives the call that waits for it: dropping the future kills it with all that it
//! has started. It stays in our process group, so that Ctrl-C reaches it and a helper of its own may
//! ask for a passphrase. It reads nothing from our input, and sees exactly the [`Environment`] that
//! it is given. Only a user's browser is left to itself.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::task::{Context, Poll};

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader, ReadBuf};
use tokio::process::Child;
use union_build::diag::Code;

use super::error::{Error, Result};

mod bounded;
mod streams;

pub use bounded::Bounded;
pub use streams::OutputStream;

/// Environment variables as a value, so that what a child or a key sees can be said by a test.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// The variables of this process.
    pub fn of_process() -> Self {
        std::env::vars_os().collect()
    }

    /// A variable's value; `None` also when it is not UTF-8, which nothing that we read may be.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(OsStr::new(name))?.to_str()
    }

    /// Whether a variable is set at all.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(OsStr::new(name))
    }

    /// Sets a variable.
    pub fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        self.0.insert(name.into(), value.into());
    }

    /// Removes a variable.
    pub fn remove(&mut self, name: &str) {
        self.0.remove(OsStr::new(name));
    }

    /// All variables whose name and value are UTF-8, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)))
    }

    /// The file that a program's name stands for: searched on the PATH unless it has a slash.
    pub fn find_program(&self, name: &Path) -> Option<PathBuf> {
        if name.components().count() > 1 {
            return name.is_file().then(|| name.to_owned());
        }
        let path = self.0.get(OsStr::new("PATH"))?;
        std::env::split_paths(path).map(|folder| folder.join(name)).find(|file| file.is_file())
    }
}

impl fmt::Debug for Environment {
    /// Names only: values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl FromIterator<(OsString, OsString)> for Environment {
    fn from_iter<I: IntoIterator<Item = (OsString, OsString)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}

/// A program that is about to be started.
pub struct ProcessCommand {
    program: OsString,
    inner: tokio::process::Command,
    input: Vec<u8>,
}

impl ProcessCommand {
    /// A program with an environment of its own, in a folder.
    pub fn new(program: impl AsRef<OsStr>, folder: &Path, environment: &Environment) -> Self {
        let mut inner = tokio::process::Command::new(program.as_ref());
        inner.current_dir(folder).env_clear().envs(&environment.0).stdin(Stdio::null());
        Self { program: program.as_ref().to_owned(), inner, input: Vec::new() }
    }

    /// Adds an argument.
    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.inner.arg(arg);
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(&mut self, args: impl IntoIterator<Item = A>) -> &mut Self {
        self.inner.args(args);
        self
    }

    /// Gives it something to read, which is where secrets go: arguments can be seen by everybody.
    pub fn input(&mut self, bytes: impl Into<Vec<u8>>) -> &mut Self {
        self.input = bytes.into();
        self.inner.stdin(Stdio::piped());
        self
    }

    /// Starts it and leaves it to itself: it outlives us, and Ctrl-C does not reach it.
    ///
    /// # Errors
    /// `ToolMissing` when it cannot be started.
    pub fn leave(mut self) -> Result<()> {
        let spawned = self.inner.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn();
        spawned.map(drop).map_err(|cause| missing(&self.program, cause))
    }

    /// Runs it to its end and keeps what it writes.
    ///
    /// # Errors
    /// `ToolMissing` when it cannot be started.
    pub async fn output(mut self) -> Result<ProcessOutput> {
        let spawned = self.inner.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|cause| missing(&self.program, cause))?;
        let family = ProcessGroup::of(&child);
        if let Some(mut stdin) = child.stdin.take() {
            // Who does not read to the end has reasons of its own; how it ends says whether they are good.
            let _ = stdin.write_all(&self.input).await;
        }
        let output = child.wait_with_output().await.map_err(|cause| missing(&self.program, cause))?;
        family.has_ended();
        let failure = (!output.status.success()).then(|| ProcessFailure::new(&self.program, output.status, &output.stderr));
        Ok(ProcessOutput { stdout: output.stdout, stderr: output.stderr, failure })
    }

    /// Runs it to its end: each line of its stdout goes to `line`, its stderr to ours, untouched.
    ///
    /// # Errors
    /// `ToolMissing` when it cannot be started.
    pub async fn lines(mut self, mut line: impl FnMut(&str)) -> Result<Result<(), ProcessFailure>> {
        let spawned = self.inner.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn();
        let mut child = spawned.map_err(|cause| missing(&self.program, cause))?;
        let family = ProcessGroup::of(&child);
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        // A line that cannot be read ends the reading, and the exit status says what happened.
        while let Ok(Some(text)) = stdout.next_line().await {
            line(&text);
        }
        let status = child.wait().await.map_err(|cause| missing(&self.program, cause))?;
        family.has_ended();
        Ok(if status.success() { Ok(()) } else { Err(ProcessFailure::new(&self.program, status, b"")) })
    }

    /// Starts it as a line: what is written goes to its stdin, what is read is its stdout, and its
    /// stderr is ours.
    ///
    /// # Errors
    /// `ToolMissing` when it cannot be started.
    pub fn line(mut self) -> Result<LineBuffer> {
        let spawned = self.inner.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn();
        let mut child = spawned.map_err(|cause| missing(&self.program, cause))?;
        let family = ProcessGroup::of(&child);
        let input = child.stdin.take().expect("stdin is piped");
        let output = child.stdout.take().expect("stdout is piped");
        Ok(LineBuffer { input, output, _child: child, _family: family })
    }
}

/// A program whose input and output are a line to somebody. It ends with this value.
pub struct LineBuffer {
    input: tokio::process::ChildStdin,
    output: tokio::process::ChildStdout,
    _child: Child,
    _family: ProcessGroup,
}

impl AsyncRead for LineBuffer {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.output).poll_read(context, buffer)
    }
}

impl AsyncWrite for LineBuffer {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.input).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_shutdown(context)
    }
}

/// A child and its descendants, killed when this is dropped before the child has ended: a compiler
/// that has lost its cargo would go on writing into the target directory.
struct ProcessGroup(Option<u32>);

impl ProcessGroup {
    fn of(child: &Child) -> Self {
        Self(child.id())
    }

    fn has_ended(mut self) {
        self.0 = None;
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        let Some(child) = self.0 else { return };
        // Stopped first, so that it starts nothing more while its children are looked for.
        signal_to(child, Signal::STOP);
        let mut members = vec![child];
        let mut next = 0;
        while let Some(member) = members.get(next) {
            members.extend(children(*member));
            next += 1;
        }
        members.into_iter().for_each(|member| signal_to(member, Signal::KILL));
    }
}

fn signal_to(process: u32, signal: Signal) {
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
    // One that is gone already is what is wanted.
    let _ = pid.map(|pid| rustix::process::kill_process(pid, signal));
}

/// The children of a process, as Linux lists them; elsewhere only the child itself is known.
fn children(process: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()).collect()
}

/// What a finished program has written.
#[derive(Debug)]
pub struct ProcessOutput {
    /// Its stdout.
    pub stdout: Vec<u8>,
    /// Its stderr.
    pub stderr: Vec<u8>,
    failure: Option<ProcessFailure>,
}

impl ProcessOutput {
    /// What it wrote to stdout, when it succeeded.
    ///
    /// # Errors
    /// How it failed.
    pub fn success(self) -> Result<Vec<u8>, ProcessFailure> {
        self.failure.map_or(Ok(self.stdout), Err)
    }
}

/// A program that ended with a failure.
#[derive(Debug)]
pub struct ProcessFailure {
    program: String,
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The last lines of its stderr, when they were kept.
    pub stderr: String,
}

impl ProcessFailure {
    const LINES_KEPT: usize = 20;

    /// A program that ended elsewhere, with an exit code.
    pub fn ended(program: &str, code: i64) -> Self {
        Self { program: program.to_owned(), code: i32::try_from(code).ok(), signal: None, stderr: String::new() }
    }

    fn new(program: &OsStr, status: ExitStatus, stderr: &[u8]) -> Self {
        super::signal::note_failure(status.code(), signal(status));
        let text = String::from_utf8_lossy(stderr);
        let lines: Vec<&str> = text.trim_end().lines().collect();
        let stderr = lines[lines.len().saturating_sub(Self::LINES_KEPT)..].join("\n");
        Self { program: program.to_string_lossy().into_owned(), code: status.code(), signal: signal(status), stderr }
    }
}

impl fmt::Display for ProcessFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "`{}` ended with exit code {code}", self.program)?,
            (None, Some(signal)) => write!(f, "`{}` was ended by signal {signal}", self.program)?,
            (None, None) => write!(f, "`{}` failed", self.program)?,
        }
        if self.stderr.is_empty() { Ok(()) } else { write!(f, ":\n{}", self.stderr) }
    }
}

impl std::error::Error for ProcessFailure {}

#[cfg(unix)]
fn signal(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(not(unix))]
fn signal(_: ExitStatus) -> Option<i32> {
    None
}

/// Who we are, as `user:group` in numbers.
pub fn user() -> String {
    format!("{}:{}", user_id(), rustix::process::getgid().as_raw())
}

/// Our user's number.
pub fn user_id() -> u32 {
    rustix::process::getuid().as_raw()
}

fn missing(program: &OsStr, cause: io::Error) -> Error {
    Error::new(Code::ToolMissing, format!("could not run `{}`", program.to_string_lossy())).because(cause)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn shell(script: &str) -> ProcessCommand {
        let mut command = ProcessCommand::new("/bin/sh", Path::new("/"), &Environment::of_process());
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let command = ProcessCommand::new("no-such-program", Path::new("/"), &Environment::of_process());
        let error = command.output().await.unwrap_err();
        assert_eq!((error.code(), error.to_string().as_str()), (Code::ToolMissing, "could not run `no-such-program`"));
    }

    #[tokio::test]
    async fn a_failure_keeps_the_exit_code_and_the_last_lines() {
        let failed = shell("seq 30 >&2; exit 7").output().await.unwrap().success().unwrap_err();
        assert_eq!(failed.code, Some(7));
        assert!(failed.stderr.starts_with("11\n") && failed.stderr.ends_with("\n30"), "{}", failed.stderr);
        assert!(failed.to_string().starts_with("`/bin/sh` ended with exit code 7:\n"));
    }

    #[tokio::test]
    async fn lines_arrive_one_by_one_and_the_status_after_them() {
        let mut seen = Vec::new();
        let ended = shell("echo a; echo b; kill -TERM $$").lines(|line| seen.push(line.to_owned())).await.unwrap();
        assert_eq!((seen, ended.unwrap_err().signal), (vec!["a".to_owned(), "b".to_owned()], Some(15)));
    }

    #[tokio::test]
    async fn what_a_program_reads_is_what_it_is_given() {
        let mut command = shell("cat");
        command.input("a\nb");
        assert_eq!(command.output().await.unwrap().success().unwrap(), b"a\nb");
        let mut deaf = shell("exit 3");
        deaf.input(vec![0; 1 << 20]);
        assert_eq!(deaf.output().await.unwrap().success().unwrap_err().code, Some(3));
    }

    #[tokio::test]
    async fn what_is_left_to_itself_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let done = folder.path().join("done");
        shell(&format!("sleep 0.05; touch {}", done.display())).leave().unwrap();
        while !done.exists() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert!(shell("x").leave().is_ok());
    }

    #[tokio::test]
    async fn a_child_sees_only_the_environment_it_was_given() {
        let environment: Environment = [("ONLY".into(), "this".into())].into_iter().collect();
        let output = ProcessCommand::new("/usr/bin/env", Path::new("/"), &environment).output().await.unwrap();
        assert_eq!(output.success().unwrap(), b"ONLY=this\n");
        assert_eq!(format!("{environment:?}"), "{\"ONLY\"}");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_child_and_its_children_end_with_the_future_that_waits_for_them() {
        let folder = tempfile::tempdir().unwrap();
        let pids = folder.path().join("pids");
        let survived = folder.path().join("survived");
        let script = format!("(sleep 30; touch {1}) & echo $$ $! > {0}.part; mv {0}.part {0}; wait", pids.display(), survived.display());
        let task = tokio::spawn(shell(&script).output());
        while !pids.exists() {
            tokio::task::yield_now().await;
        }
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        for pid in std::fs::read_to_string(&pids).unwrap().split_whitespace() {
            let ended = || std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "));
            while !ended() {
                tokio::task::yield_now().await;
            }
        }
        assert!(!survived.exists(), "a child came to its own end");
    }
}
