//! A run from now to its end: its phases, and what its program writes.

use super::listener::{ReconnectPolicy, RunListener};
use super::log_stream::LogStream;
use super::{RunIdent, RunOutcome, RunService, logs, watch};
use crate::sys::error::Result;

/// Follows a run until it has ended and its logs are told. Logs that cannot be had are no failure.
///
/// # Errors
/// When the backend does not tell how the run goes on.
pub async fn follow(service: &dyn RunService, run: &RunIdent, patience: ReconnectPolicy, listener: &dyn RunListener) -> Result<RunOutcome> {
    let (spoken, heard) = tokio::sync::watch::channel(LogStream::default());
    let watching = watch::watch(service, run, patience, listener, spoken);
    let (end, ()) = tokio::join!(watching, logs::tell(service, run, patience, listener, heard));
    end.map_err(|failure| failure.into_error(format!("could not follow the run `{}`", run.name)))
}
