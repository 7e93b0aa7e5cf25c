//! What a program says while it runs, and how it ended.

use std::sync::{Mutex, PoisonError};

use union_build::diag::Code;

use crate::sys::error::Error;
use crate::sys::process::OutputStream;
use crate::ui::Ui;

/// Hands on to the user what a program writes, and keeps its end.
pub(super) struct OutputTee<'a> {
    ui: &'a Ui,
    last: Mutex<TailBuffer>,
}

impl<'a> OutputTee<'a> {
    /// Nothing has been said yet.
    pub(super) fn new(ui: &'a Ui) -> Self {
        Self { ui, last: Mutex::default() }
    }

    /// Both streams go to stderr: stdout has the outputs of the task.
    pub(super) fn hear(&self, _: OutputStream, bytes: &[u8]) {
        self.ui.write_raw(bytes);
        self.last.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }

    /// The failure of a program that ended in this way: `exit code 3`.
    pub(super) fn failed(&self, task: &str, how: &str) -> Error {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).lines();
        let error = Error::new(Code::ProgramFailed, format!("task `{task}` failed"));
        error.because(match &last[..] {
            "" => format!("its program ended with {how} and wrote nothing"),
            lines => format!("its program ended with {how}; its last lines:\n{lines}"),
        })
    }
}

/// The end of what was written.
#[derive(Default)]
struct TailBuffer(Vec<u8>);

impl TailBuffer {
    /// How many lines an error shows.
    const LINES: usize = 10;
    /// How many bytes are kept for them.
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

/// An exit code, with the signal that it stands for in a container.
pub(super) fn exit_code(code: i64) -> String {
    match code {
        129..=192 => format!("exit code {code}, which is signal {}", code - 128),
        _ => format!("exit code {code}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_not_much_more() {
        let mut last = TailBuffer::default();
        for number in 0..5_000 {
            last.push(format!("line {number}\n").as_bytes());
        }
        let expected: Vec<String> = (4_990..5_000).map(|number| format!("line {number}")).collect();
        assert_eq!(last.lines(), expected.join("\n"));
        assert!(last.0.len() <= TailBuffer::BYTES);
        last.push(&[0xff; 1 << 15]);
        assert_eq!(last.lines().lines().count(), 1, "what is no text is shown somehow");
    }

    #[test]
    fn an_exit_code_names_its_signal() {
        assert_eq!(exit_code(3), "exit code 3");
        assert_eq!(exit_code(137), "exit code 137, which is signal 9");
    }
}
