//! Watching a run to its end. A line that is cut is taken up again: the run does not notice.

use futures_util::StreamExt as _;
use tokio::sync::watch::Sender;

use super::listener::{ReconnectPolicy, RunListener, passes};
use super::log_stream::LogStream;
use super::{RunIdent, RunOutcome, RunService, RunState};
use crate::flyte::rpc::RpcFailure;

/// Watches until the run has ended.
///
/// # Errors
/// What the backend says, when it has said it too often in a row or will not say anything else.
pub(super) async fn watch(
    service: &dyn RunService,
    run: &RunIdent,
    patience: ReconnectPolicy,
    listener: &dyn RunListener,
    spoken: Sender<LogStream>,
) -> Result<RunOutcome, RpcFailure> {
    let (mut failed, mut last) = (0, RunState::default());
    loop {
        let failure = match subscribe(service, run, listener, &spoken, (&mut failed, &mut last)).await {
            Ok(Some(end)) => return Ok(end),
            // Proxies end streams that have lasted long enough.
            Ok(None) => {
                tokio::time::sleep(patience.retry.first_pause).await;
                continue;
            }
            Err(failure) => failure,
        };
        failed += 1;
        let Some(pause) = patience.retry.pause(failed, None).filter(|_| passes(&failure)) else { return Err(failure) };
        listener.lost(&failure.cause, pause);
        tokio::time::sleep(pause).await;
    }
}

/// One stream, to the run's end or to its own.
async fn subscribe(
    service: &dyn RunService,
    run: &RunIdent,
    listener: &dyn RunListener,
    spoken: &Sender<LogStream>,
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
        spoken.send_replace(LogStream::of(&details, state));
        if let Some(end) = RunOutcome::of(&details) {
            return Ok(Some(end));
        }
    }
    Ok(None)
}
