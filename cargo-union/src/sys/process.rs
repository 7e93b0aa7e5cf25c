//! Child processes.
//!
//! A child does not outlive the call that waits for it: dropping the future kills it and its descendants. It stays in
//! this process's group, so that it receives Ctrl-C and its helpers can prompt for a passphrase. It does not inherit
//! stdin, and gets exactly the [`Environment`] that is passed. Only a detached program, such as a browser, is not
//! waited for.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::task::{Context, Poll};

use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader, ReadBuf,
};
use tokio::process::Child;
use union_build::diag::Code;

use super::error::{Error, Result};

mod group;
mod limits;
mod streams;
mod user;

pub use limits::LimitedOutput;
pub use streams::OutputStream;
pub use user::{user, user_id};

use group::ProcessGroup;

/// Environment variables as a value, so that tests can set what a child or a key depends on.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// The variables of this process.
    pub fn of_process() -> Self {
        std::env::vars_os().collect()
    }

    /// The value of a variable; `None` when it is not set or not UTF-8.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(OsStr::new(name))?.to_str()
    }

    /// Whether a variable is set, even to a value that is not UTF-8.
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
        self.0
            .iter()
            .filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)))
    }

    /// Finds a program: on the PATH, or as a path when the name has a slash.
    pub fn find_program(&self, name: &Path) -> Option<PathBuf> {
        if name.components().count() > 1 {
            return name.is_file().then(|| name.to_owned());
        }
        let path = self.0.get(OsStr::new("PATH"))?;
        std::env::split_paths(path)
            .map(|directory| directory.join(name))
            .find(|file| file.is_file())
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

/// A program with its arguments, environment and input.
pub struct ProcessCommand {
    program: OsString,
    inner: tokio::process::Command,
    input: Vec<u8>,
}

impl ProcessCommand {
    /// A program with a working directory and an environment.
    pub fn new(program: impl AsRef<OsStr>, directory: &Path, environment: &Environment) -> Self {
        let mut inner = tokio::process::Command::new(program.as_ref());
        inner
            .current_dir(directory)
            .env_clear()
            .envs(&environment.0)
            .stdin(Stdio::null());
        Self {
            program: program.as_ref().to_owned(),
            inner,
            input: Vec::new(),
        }
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

    /// Sets its stdin. Secrets belong here, since arguments are visible to other users.
    pub fn input(&mut self, bytes: impl Into<Vec<u8>>) -> &mut Self {
        self.input = bytes.into();
        self.inner.stdin(Stdio::piped());
        self
    }

    /// Starts it detached: it outlives this process and does not receive Ctrl-C.
    ///
    /// # Errors
    /// `ToolMissing` when it cannot be started.
    pub fn leave(mut self) -> Result<()> {
        #[cfg(unix)]
        self.inner.process_group(0);
        let spawned = self
            .inner
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        spawned
            .map(drop)
            .map_err(|cause| missing(&self.program, cause))
    }

    /// Starts it with pipes for its stdout and stderr.
    fn spawn_piped(&mut self) -> Result<(Child, ProcessGroup)> {
        let spawned = self
            .inner
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let child = spawned.map_err(|cause| missing(&self.program, cause))?;
        let group = ProcessGroup::of(&child);
        Ok((child, group))
    }

    /// Runs it and captures its output.
    ///
    /// # Errors
    /// `ToolMissing` when it cannot be started.
    pub async fn output(mut self) -> Result<ProcessOutput> {
        let (mut child, group) = self.spawn_piped()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program may exit without reading all of its input; the exit code decides whether it failed.
            let _ = stdin.write_all(&self.input).await;
        }
        let output = child
            .wait_with_output()
            .await
            .map_err(|cause| missing(&self.program, cause))?;
        group.disarm();
        let failure = (!output.status.success())
            .then(|| ProcessFailure::new(&self.program, output.status, &output.stderr));
        Ok(ProcessOutput {
            stdout: output.stdout,
            stderr: output.stderr,
            failure,
        })
    }

    /// Runs it, passes each line of its stdout to `line`, and inherits stderr.
    ///
    /// # Errors
    /// `ToolMissing` when it cannot be started.
    pub async fn lines(mut self, mut line: impl FnMut(&str)) -> Result<Result<(), ProcessFailure>> {
        let spawned = self
            .inner
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn();
        let mut child = spawned.map_err(|cause| missing(&self.program, cause))?;
        let group = ProcessGroup::of(&child);
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        // A read error ends the output; the exit status decides whether the program failed.
        while let Ok(Some(text)) = stdout.next_line().await {
            line(&text);
        }
        wait_for_exit(&self.program, child, group).await
    }

    /// Starts it as a connection: writes go to its stdin, reads come from its stdout, and stderr is inherited.
    ///
    /// # Errors
    /// `ToolMissing` when it cannot be started.
    pub fn connect(mut self) -> Result<ChildStream> {
        let spawned = self
            .inner
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn();
        let mut child = spawned.map_err(|cause| missing(&self.program, cause))?;
        let group = ProcessGroup::of(&child);
        let input = child.stdin.take().expect("stdin is piped");
        let output = child.stdout.take().expect("stdout is piped");
        Ok(ChildStream {
            input,
            output,
            _child: child,
            _group: group,
        })
    }
}

/// Waits for a child whose output has been read.
async fn wait_for_exit(
    program: &OsStr,
    mut child: Child,
    group: ProcessGroup,
) -> Result<Result<(), ProcessFailure>> {
    let status = child
        .wait()
        .await
        .map_err(|cause| missing(program, cause))?;
    group.disarm();
    Ok(if status.success() {
        Ok(())
    } else {
        Err(ProcessFailure::new(program, status, b""))
    })
}

/// A child process whose stdin and stdout are a connection. It is killed when this is dropped.
pub struct ChildStream {
    input: tokio::process::ChildStdin,
    output: tokio::process::ChildStdout,
    _child: Child,
    _group: ProcessGroup,
}

impl AsyncRead for ChildStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.output).poll_read(context, buffer)
    }
}

impl AsyncWrite for ChildStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.input).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_shutdown(context)
    }
}

/// The output of a program that has exited.
#[derive(Debug)]
pub struct ProcessOutput {
    /// All of stdout.
    pub stdout: Vec<u8>,
    /// All of stderr.
    pub stderr: Vec<u8>,
    failure: Option<ProcessFailure>,
}

impl ProcessOutput {
    /// Its stdout, when it exited with 0.
    ///
    /// # Errors
    /// Its exit code or signal, with the last lines of stderr.
    pub fn success(self) -> Result<Vec<u8>, ProcessFailure> {
        self.failure.map_or(Ok(self.stdout), Err)
    }
}

/// A program that failed.
#[derive(Debug)]
pub struct ProcessFailure {
    program: String,
    /// The exit code; `None` when it was terminated by a signal.
    pub code: Option<i32>,
    /// The signal that terminated it.
    pub signal: Option<i32>,
    /// The last lines of stderr; empty when stderr was not captured.
    pub stderr: String,
}

impl ProcessFailure {
    const STDERR_LINES: usize = 20;

    /// A program that has exited in a container, with an exit code.
    pub fn of_exit_code(program: &str, code: i64) -> Self {
        Self {
            program: program.to_owned(),
            code: i32::try_from(code).ok(),
            signal: None,
            stderr: String::new(),
        }
    }

    fn new(program: &OsStr, status: ExitStatus, stderr: &[u8]) -> Self {
        super::signal::note_failure(status.code(), signal(status));
        let text = String::from_utf8_lossy(stderr);
        let lines: Vec<&str> = text.trim_end().lines().collect();
        let stderr = lines[lines.len().saturating_sub(Self::STDERR_LINES)..].join("\n");
        Self {
            program: program.to_string_lossy().into_owned(),
            code: status.code(),
            signal: signal(status),
            stderr,
        }
    }
}

impl fmt::Display for ProcessFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "`{}` ended with exit code {code}", self.program)?,
            (None, Some(signal)) => write!(f, "`{}` was ended by signal {signal}", self.program)?,
            (None, None) => write!(f, "`{}` failed", self.program)?,
        }
        if self.stderr.is_empty() {
            Ok(())
        } else {
            write!(f, ":\n{}", self.stderr)
        }
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

fn missing(program: &OsStr, cause: io::Error) -> Error {
    Error::new(
        Code::ToolMissing,
        format!("could not run `{}`", program.to_string_lossy()),
    )
    .because(cause)
}

#[cfg(test)]
mod tests;
