//! Runs a program with limits on its output and its run time.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

use super::{ProcessCommand, ProcessFailure, ProcessOutput, missing};
use crate::sys::error::Result;

/// How long the streams of a program that has exited may stay open: its descendants may hold them.
const LINGER: Duration = Duration::from_secs(1);

/// The result of a program with limits.
#[derive(Debug)]
pub enum LimitedOutput {
    /// It exited within the limits.
    Ended(ProcessOutput),
    /// It exceeded the time limit and was killed with its descendants.
    Late,
    /// It wrote too much to stdout and was killed with its descendants.
    Long,
}

impl ProcessCommand {
    /// Runs the program for at most `time` and captures its output. It is killed after more than `limit` bytes of stdout;
    /// more than `limit` bytes of stderr are discarded.
    ///
    /// # Errors
    /// `ToolMissing` when it cannot be started.
    pub async fn run_with_limits(mut self, time: Duration, limit: usize) -> Result<LimitedOutput> {
        let (mut child, group) = self.spawn_piped()?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take();
        let stderr = child.stderr.take();
        let mut out = Vec::new();
        let mut err = Vec::new();
        let transfer = async {
            let write = async {
                // A program may exit without reading all of its input; the exit code decides whether it failed.
                if let Some(mut stdin) = stdin {
                    let _ = stdin.write_all(&self.input).await;
                }
            };
            let read = async { read_to_limit(stdout, &mut out, limit).await };
            let drain = async {
                let mut stderr = stderr;
                read_at_most(&mut stderr, &mut err, limit).await;
                if let Some(mut rest) = stderr {
                    let _ = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
                }
            };
            let write_and_drain = async { tokio::join!(write, drain) };
            tokio::pin!(write_and_drain, read);
            // A program that writes endlessly to stdout does not close stderr either.
            tokio::select! {
                is_complete = &mut read => if is_complete { write_and_drain.await; true } else { false },
                _ = &mut write_and_drain => read.await,
            }
        };
        let exit = async {
            tokio::pin!(transfer);
            tokio::select! {
                is_complete = &mut transfer => if is_complete { Some(child.wait().await) } else { None },
                status = child.wait() => match tokio::time::timeout(LINGER, &mut transfer).await {
                    Ok(false) => None,
                    _ => Some(status),
                },
            }
        };
        let status = match tokio::time::timeout(time, exit).await {
            Ok(Some(status)) => status.map_err(|cause| missing(&self.program, cause))?,
            Ok(None) => return Ok(LimitedOutput::Long),
            Err(_) => return Ok(LimitedOutput::Late),
        };
        group.disarm();
        let failure = (!status.success()).then(|| ProcessFailure::new(&self.program, status, &err));
        Ok(LimitedOutput::Ended(ProcessOutput {
            stdout: out,
            stderr: err,
            failure,
        }))
    }
}

/// Reads a stream to its end; `false` when it has more than `limit` bytes.
async fn read_to_limit(
    mut from: Option<impl AsyncRead + Unpin>,
    to: &mut Vec<u8>,
    limit: usize,
) -> bool {
    read_at_most(&mut from, to, limit.saturating_add(1)).await;
    to.len() <= limit
}

/// Reads at most `limit` bytes. A read error counts as the end of the stream.
async fn read_at_most(from: &mut Option<impl AsyncRead + Unpin>, to: &mut Vec<u8>, limit: usize) {
    if let Some(from) = from {
        let _ = from
            .take(u64::try_from(limit).unwrap_or(u64::MAX))
            .read_to_end(to)
            .await;
    }
}
