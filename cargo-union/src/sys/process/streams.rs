//! Runs a program and forwards its output while it runs.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::{ProcessCommand, ProcessFailure, wait_for_exit};
use crate::sys::error::Result;

/// An output stream of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl ProcessCommand {
    /// Runs the program and passes its output to `on_output` as it is written.
    ///
    /// # Errors
    /// `ToolMissing` when it cannot be started.
    pub async fn forward_output(
        mut self,
        on_output: impl Fn(OutputStream, &[u8]),
    ) -> Result<Result<(), ProcessFailure>> {
        let (mut child, group) = self.spawn_piped()?;
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");
        // A read error does not mean that the program failed; its exit status decides.
        let _ = tokio::join!(
            forward_stream(stdout, OutputStream::Stdout, &on_output),
            forward_stream(stderr, OutputStream::Stderr, &on_output)
        );
        wait_for_exit(&self.program, child, group).await
    }
}

async fn forward_stream(
    mut from: impl AsyncRead + Unpin,
    stream: OutputStream,
    on_output: &impl Fn(OutputStream, &[u8]),
) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 13];
    loop {
        match from.read(&mut buffer).await? {
            0 => return Ok(()),
            count => on_output(stream, &buffer[..count]),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;
    use std::sync::Mutex;

    use super::*;
    use crate::sys::process::Environment;

    #[tokio::test]
    async fn both_streams_are_forwarded_before_the_status() {
        let captured = Mutex::new((Vec::new(), Vec::new()));
        let mut shell = ProcessCommand::new("/bin/sh", Path::new("/"), &Environment::of_process());
        shell.args(["-c", "echo out; echo err >&2; printf 'no end'; exit 4"]);
        let result = shell.forward_output(|stream, bytes| {
            let (out, err) = &mut *captured.lock().unwrap();
            if stream == OutputStream::Stdout {
                out
            } else {
                err
            }
            .extend_from_slice(bytes);
        });
        assert_eq!(result.await.unwrap().unwrap_err().code, Some(4));
        assert_eq!(
            captured.into_inner().unwrap(),
            (b"out\nno end".to_vec(), b"err\n".to_vec())
        );
    }
}
