//! Follows a run until it ends: phases and logs.

use super::listener::{ReconnectPolicy, RunListener};
use super::log_stream::LogStream;
use super::{RunIdent, RunOutcome, RunService, logs, watch};
use crate::sys::error::Result;

/// Follows a run until it has ended and its logs are complete. Missing logs are not an error.
///
/// # Errors
/// Failures of watching the run, after the retries of the policy.
pub async fn follow(
    service: &dyn RunService,
    run: &RunIdent,
    policy: ReconnectPolicy,
    listener: &dyn RunListener,
) -> Result<RunOutcome> {
    let (sender, receiver) = tokio::sync::watch::channel(LogStream::default());
    let watching = watch::watch(service, run, policy, listener, sender);
    let (outcome, ()) = tokio::join!(
        watching,
        logs::report_logs(service, run, policy, listener, receiver)
    );
    outcome
        .map_err(|failure| failure.into_error(format!("could not follow the run `{}`", run.name)))
}
