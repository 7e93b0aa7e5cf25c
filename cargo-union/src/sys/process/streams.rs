//! A program whose output is handed on while it runs.

use std::io;
use std::process::Stdio;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::{ProcessCommand, ProcessFailure, ProcessGroup, missing};
use crate::sys::error::Result;

/// One of the two streams that a program writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputStream {
    /// What it says.
    Stdout,
    /// What it says about itself.
    Stderr,
}

impl ProcessCommand {
    /// Runs it to its end; what it writes is handed on as it comes.
    ///
    /// # Errors
    /// `ToolMissing` when it cannot be started.
    pub async fn forward_output(mut self, hears: impl Fn(OutputStream, &[u8])) -> Result<Result<(), ProcessFailure>> {
        let spawned = self.inner.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|cause| missing(&self.program, cause))?;
        let family = ProcessGroup::of(&child);
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");
        // What cannot be read any more is no failure of the program: its status says how it went.
        let _ = tokio::join!(forward_stream(stdout, OutputStream::Stdout, &hears), forward_stream(stderr, OutputStream::Stderr, &hears));
        let status = child.wait().await.map_err(|cause| missing(&self.program, cause))?;
        family.has_ended();
        Ok(if status.success() { Ok(()) } else { Err(ProcessFailure::new(&self.program, status, b"")) })
    }
}

async fn forward_stream(mut from: impl AsyncRead + Unpin, stream: OutputStream, hears: &impl Fn(OutputStream, &[u8])) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 13];
    loop {
        match from.read(&mut buffer).await? {
            0 => return Ok(()),
            count => hears(stream, &buffer[..count]),
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
    async fn both_streams_are_handed_on_apart_and_the_status_comes_after_them() {
        let heard = Mutex::new((Vec::new(), Vec::new()));
        let mut shell = ProcessCommand::new("/bin/sh", Path::new("/"), &Environment::of_process());
        shell.args(["-c", "echo out; echo err >&2; printf 'no end'; exit 4"]);
        let ended = shell.forward_output(|stream, bytes| {
            let (out, err) = &mut *heard.lock().unwrap();
            if stream == OutputStream::Stdout { out } else { err }.extend_from_slice(bytes);
        });
        assert_eq!(ended.await.unwrap().unwrap_err().code, Some(4));
        assert_eq!(heard.into_inner().unwrap(), (b"out\nno end".to_vec(), b"err\n".to_vec()));
    }
}
