//! Output and exit code of a program.

use std::sync::{Mutex, MutexGuard, PoisonError};

use union_build::diag::Code;

use crate::run::Reporter;
use crate::sys::error::Error;
use crate::sys::process::OutputStream;

/// Forwards the output of a program to the reporter, and stores its last lines for an error.
pub(super) struct OutputTee<'a> {
    reporter: &'a dyn Reporter,
    tail: Mutex<TailBuffer>,
}

impl<'a> OutputTee<'a> {
    pub(super) fn new(reporter: &'a dyn Reporter) -> Self {
        Self {
            reporter,
            tail: Mutex::default(),
        }
    }

    /// Both streams go to the reporter, because stdout of the tool has only the outputs of the task.
    pub(super) fn write(&self, _: OutputStream, bytes: &[u8]) {
        self.reporter.program_output(bytes);
        self.tail().push(bytes);
    }

    /// Whether one of the last lines begins with a text.
    pub(super) fn has_line_of(&self, start: &str) -> bool {
        self.tail()
            .lines()
            .lines()
            .any(|line| line.starts_with(start))
    }

    /// The error of a failed program; `status` is such as `exit code 3`.
    pub(super) fn failure(&self, task: &str, status: &str) -> Error {
        let lines = self.tail().lines();
        let error = Error::new(Code::ProgramFailed, format!("task `{task}` failed"));
        error.because(match &lines[..] {
            "" => format!("its program ended with {status} and wrote nothing"),
            lines => format!("its program ended with {status}; its last lines:\n{lines}"),
        })
    }

    fn tail(&self) -> MutexGuard<'_, TailBuffer> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last bytes of an output.
#[derive(Default)]
struct TailBuffer(Vec<u8>);

impl TailBuffer {
    /// The number of lines in an error.
    const LINES: usize = 10;
    /// The number of bytes that are stored for these lines.
    const BYTES: usize = 1 << 14;

    fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        let excess = self.0.len().saturating_sub(Self::BYTES);
        self.0.drain(..excess);
    }

    fn lines(&self) -> String {
        let text = String::from_utf8_lossy(&self.0);
        let lines: Vec<&str> = text.trim_end().lines().collect();
        lines[lines.len().saturating_sub(Self::LINES)..].join("\n")
    }
}

/// An exit code, with the signal that it means in a container or a shell.
pub(super) fn describe_exit_code(code: i64) -> String {
    match code {
        129..=192 => format!("exit code {code}, which is signal {}", code - 128),
        _ => format!("exit code {code}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tail_has_the_last_lines_and_a_limited_size() {
        let mut tail = TailBuffer::default();
        for number in 0..5_000 {
            tail.push(format!("line {number}\n").as_bytes());
        }
        let expected: Vec<String> = (4_990..5_000)
            .map(|number| format!("line {number}"))
            .collect();
        assert_eq!(tail.lines(), expected.join("\n"));
        assert!(tail.0.len() <= TailBuffer::BYTES);
        tail.push(&[0xff; 1 << 15]);
        assert_eq!(
            tail.lines().lines().count(),
            1,
            "bytes that are not UTF-8 are replaced"
        );
    }

    #[test]
    fn exit_code_above_128_names_its_signal() {
        assert_eq!(describe_exit_code(3), "exit code 3");
        assert_eq!(describe_exit_code(137), "exit code 137, which is signal 9");
    }
}
