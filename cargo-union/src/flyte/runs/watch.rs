//! Watches the state of a run until it ends, reconnecting when the stream is interrupted.

use futures_util::StreamExt as _;
use tokio::sync::watch::Sender;

use super::listener::{ReconnectPolicy, RunListener, passes};
use super::log_stream::LogStream;
use super::{RunIdent, RunOutcome, RunService, RunState};
use crate::flyte::rpc::RpcFailure;

/// Watches a run until it has ended.
///
/// # Errors
/// The last failure, when it is not transient or exceeds the maximum number of consecutive failures.
pub(super) async fn watch(
    service: &dyn RunService,
    run: &RunIdent,
    policy: ReconnectPolicy,
    listener: &dyn RunListener,
    logs: Sender<LogStream>,
) -> Result<RunOutcome, RpcFailure> {
    let mut failed = 0;
    let mut last = RunState::default();
    loop {
        let failure = match subscribe(service, run, listener, &logs, (&mut failed, &mut last)).await
        {
            Ok(Some(outcome)) => return Ok(outcome),
            // Proxies close streams after some time.
            Ok(None) => {
                tokio::time::sleep(policy.retry.first_pause).await;
                continue;
            }
            Err(failure) => failure,
        };
        failed += 1;
        let Some(pause) = policy
            .retry
            .pause(failed, None)
            .filter(|_| passes(&failure))
        else {
            return Err(failure);
        };
        listener.lost(&failure.cause, pause);
        tokio::time::sleep(pause).await;
    }
}

/// Reads one stream, until the end of the run or of the stream.
async fn subscribe(
    service: &dyn RunService,
    run: &RunIdent,
    listener: &dyn RunListener,
    logs: &Sender<LogStream>,
    (failed, last): (&mut u32, &mut RunState),
) -> Result<Option<RunOutcome>, RpcFailure> {
    let mut messages = service.watch(run).await?;
    while let Some(message) = messages.next().await {
        let details = message?;
        *failed = 0;
        let state = RunState::of(&details);
        if state != *last {
            listener.is(state);
            *last = state;
        }
        logs.send_replace(LogStream::of(&details, state));
        if let Some(outcome) = RunOutcome::of(&details) {
            return Ok(Some(outcome));
        }
    }
    Ok(None)
}
