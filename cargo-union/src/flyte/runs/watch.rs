//! Watching a run to its end. A line that is cut is taken up again: the run does not notice.

use futures_util::StreamExt as _;
use tokio::sync::watch::Sender;

use super::follow::{Listener, Patience};
use super::logs::Spoken;
use super::{End, Run, Service, State};
use crate::flyte::rpc::{Failure, Status};

/// Watches until the run has ended.
///
/// # Errors
/// What the backend says, when it has said it too often in a row or will not say anything else.
pub(super) async fn watch(
    service: &dyn Service,
    run: &Run,
    patience: Patience,
    listener: &dyn Listener,
    spoken: Sender<Spoken>,
) -> Result<End, Failure> {
    let (mut failed, mut last) = (0, State::default());
    loop {
        let failure = match subscribe(service, run, listener, &spoken, (&mut failed, &mut last)).await {
            Ok(Some(end)) => return Ok(end),
            // Proxies end streams that have lasted long enough.
            Ok(None) => {
                tokio::time::sleep(patience.first).await;
                continue;
            }
            Err(failure) => failure,
        };
        failed += 1;
        let Some(pause) = patience.pause(failed).filter(|_| passes(&failure)) else { return Err(failure) };
        listener.lost(&failure.cause, pause);
        tokio::time::sleep(pause).await;
    }
}

/// One stream, to the run's end or to its own.
async fn subscribe(
    service: &dyn Service,
    run: &Run,
    listener: &dyn Listener,
    spoken: &Sender<Spoken>,
    (failed, last): (&mut u32, &mut State),
) -> Result<Option<End>, Failure> {
    let mut messages = service.watch(run).await?;
    while let Some(message) = messages.next().await {
        let details = message?;
        *failed = 0;
        let state = State::of(&details);
        if state != *last {
            listener.is(state);
            *last = state;
        }
        spoken.send_replace(Spoken::of(&details, state));
        if let Some(end) = End::of(&details) {
            return Ok(Some(end));
        }
    }
    Ok(None)
}

/// Whether the same may go well in a moment. A stream that a proxy resets is `canceled`.
pub(super) fn passes(failure: &Failure) -> bool {
    failure.may_pass() || failure.is(Status::Canceled) || failure.is(Status::DeadlineExceeded)
}
