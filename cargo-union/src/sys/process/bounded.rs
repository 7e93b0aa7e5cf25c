//! A program of which only so much is taken: what it writes, and how long it runs.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

use super::{ProcessCommand, ProcessFailure, ProcessGroup, ProcessOutput, missing};
use crate::sys::error::Result;

/// How long the streams of a program that has ended may stay open: what it has left behind may hold them.
const LINGER: Duration = Duration::from_secs(1);

/// How a program with limits ended.
#[derive(Debug)]
pub enum Bounded {
    /// By itself.
    Ended(ProcessOutput),
    /// It took too long, and was killed with all that it had started.
    Late,
    /// It wrote too much to its stdout, and was killed with all that it had started.
    Long,
}

impl ProcessCommand {
    /// Runs it to its end, for so long at most, and keeps what it writes. More than `most` bytes of its
    /// stdout end it, and more of its stderr is read and forgotten.
    ///
    /// # Errors
    /// `ToolMissing` when it cannot be started.
    pub async fn bounded(mut self, time: Duration, most: usize) -> Result<Bounded> {
        let spawned = self.inner.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|cause| missing(&self.program, cause))?;
        let family = ProcessGroup::of(&child);
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let talk = async {
            let write = async {
                // Who does not read to the end has reasons of its own; how it ends says whether they are good.
                if let Some(mut stdin) = stdin {
                    let _ = stdin.write_all(&self.input).await;
                }
            };
            let read = async { read(stdout, &mut out, most).await };
            let drain = async {
                let mut stderr = stderr;
                read_some(&mut stderr, &mut err, most).await;
                if let Some(mut rest) = stderr {
                    let _ = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
                }
            };
            let write_and_drain = async { tokio::join!(write, drain) };
            tokio::pin!(write_and_drain, read);
            // What writes without end does not end its other stream either.
            tokio::select! {
                whole = &mut read => if whole { write_and_drain.await; true } else { false },
                _ = &mut write_and_drain => read.await,
            }
        };
        let ended = async {
            tokio::pin!(talk);
            tokio::select! {
                whole = &mut talk => if whole { Some(child.wait().await) } else { None },
                status = child.wait() => match tokio::time::timeout(LINGER, &mut talk).await {
                    Ok(false) => None,
                    _ => Some(status),
                },
            }
        };
        let status = match tokio::time::timeout(time, ended).await {
            Ok(Some(status)) => status.map_err(|cause| missing(&self.program, cause))?,
            Ok(None) => return Ok(Bounded::Long),
            Err(_) => return Ok(Bounded::Late),
        };
        family.has_ended();
        let failure = (!status.success()).then(|| ProcessFailure::new(&self.program, status, &err));
        Ok(Bounded::Ended(ProcessOutput { stdout: out, stderr: err, failure }))
    }
}

/// Reads a stream to its end; `false` when it has more than so many bytes.
async fn read(mut from: Option<impl AsyncRead + Unpin>, to: &mut Vec<u8>, most: usize) -> bool {
    read_some(&mut from, to, most.saturating_add(1)).await;
    to.len() <= most
}

/// Reads so many bytes at most. A stream that cannot be read any more has ended.
async fn read_some(from: &mut Option<impl AsyncRead + Unpin>, to: &mut Vec<u8>, most: usize) {
    if let Some(from) = from {
        let _ = from.take(u64::try_from(most).unwrap_or(u64::MAX)).read_to_end(to).await;
    }
}
