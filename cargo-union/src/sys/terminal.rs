//! Reads what a user types, and what another program writes to stdin.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};

#[cfg(unix)]
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::sync::oneshot;

use crate::sys::secret::Secret;

/// Whether stdin is a terminal.
pub fn is_stdin_terminal() -> bool {
    io::stdin().is_terminal()
}

/// Reads a line from the terminal without showing it, and returns it without its end.
///
/// # Errors
/// When stdin is no terminal, cannot be read, or ends.
pub async fn read_hidden_line() -> io::Result<Secret<Vec<u8>>> {
    let hidden = HiddenInput::start()?;
    let line = in_thread(|| {
        let mut line = Vec::new();
        io::stdin().lock().read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line)
    })
    .await?;
    drop(hidden);
    Ok(Secret::new(without_line_end(line)))
}

/// Reads stdin to its end, at most `limit` bytes.
///
/// # Errors
/// When it cannot be read.
pub async fn read_stdin(limit: u64) -> io::Result<Secret<Vec<u8>>> {
    let content = in_thread(move || {
        let mut content = Vec::new();
        io::stdin().lock().take(limit).read_to_end(&mut content)?;
        Ok(content)
    });
    content.await.map(Secret::new)
}

/// Removes one line end, `\n` or `\r\n`.
pub fn without_line_end(mut line: Vec<u8>) -> Vec<u8> {
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    }
    line
}

/// Disables the echo of the terminal; restored when this is dropped, also after Ctrl-C.
#[cfg(unix)]
struct HiddenInput(Termios);

/// On Windows, the echo of the terminal is not disabled.
#[cfg(windows)]
struct HiddenInput;

#[cfg(windows)]
impl HiddenInput {
    fn start() -> io::Result<Self> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "a terminal of Windows would show it: pass it by stdin",
        ))
    }
}

#[cfg(unix)]
impl HiddenInput {
    fn start() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut hidden = before.clone();
        hidden
            .local_modes
            .remove(LocalModes::ECHO | LocalModes::ECHONL);
        // `Drain` discards no input, since what was typed already belongs to the line.
        tcsetattr(io::stdin(), OptionalActions::Drain, &hidden)?;
        Ok(Self(before))
    }
}

#[cfg(unix)]
impl Drop for HiddenInput {
    fn drop(&mut self) {
        // If the terminal was closed, there is no echo to restore.
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.0);
    }
}

/// Runs a blocking read in a thread of its own. The process does not wait for this thread when it exits.
async fn in_thread<T: Send + 'static>(
    read: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (sender, receiver) = oneshot::channel();
    std::thread::Builder::new().spawn(move || drop(sender.send(read())))?;
    receiver
        .await
        .unwrap_or_else(|closed| Err(io::Error::other(closed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_is_removed() {
        for (line, expected) in [
            ("a", "a"),
            ("a\n", "a"),
            ("a\r\n", "a"),
            ("a\n\n", "a\n"),
            ("a\r", "a\r"),
            ("\n", ""),
            ("", ""),
        ] {
            assert_eq!(
                without_line_end(line.as_bytes().to_vec()),
                expected.as_bytes(),
                "{line:?}"
            );
        }
    }
}
