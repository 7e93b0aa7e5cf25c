//! Watches the state of a run until it ends, reconnecting when the stream is interrupted.

use std::time::Instant;

use futures_util::StreamExt as _;
use tokio::sync::watch::{Receiver, Sender};

use super::events::{RestartMonitor, WaitMonitor};
use super::listener::{ReconnectPolicy, RunListener, passes};
use super::log_stream::LogStream;
use super::service::Messages;
use super::{ActionIdent, RunOutcome, RunService, RunState};
use crate::flyte::idl::workflow::ActionDetails;
use crate::flyte::rpc::RpcFailure;

pub(super) struct ActionWatch<'a> {
    pub(super) service: &'a dyn RunService,
    pub(super) action: &'a ActionIdent,
    pub(super) policy: ReconnectPolicy,
    pub(super) listener: &'a dyn RunListener,
}

/// The state of the action, over all streams.
struct Progress {
    last: RunState,
    availability: Sender<LogStream>,
    /// The latest attempt whose logs were shown.
    shown: Receiver<u32>,
    waits: WaitMonitor,
    restarts: RestartMonitor,
    /// Failures since the last message.
    failed: u32,
}

impl ActionWatch<'_> {
    /// Watches until the action has ended. The last state is returned, not reported, since logs may follow. The next
    /// attempt is reported after the logs of the one before, whose number `shown` receives.
    ///
    /// # Errors
    /// The last failure, when it is not transient or exceeds the maximum number of consecutive failures.
    pub(super) async fn run(
        &self,
        availability: Sender<LogStream>,
        shown: Receiver<u32>,
    ) -> Result<(RunState, RunOutcome), RpcFailure> {
        let mut progress = Progress {
            last: RunState::default(),
            availability,
            shown,
            waits: WaitMonitor::new(self.policy.wait_interval),
            restarts: RestartMonitor::default(),
            failed: 0,
        };
        loop {
            let failure = match self.subscribe(&mut progress).await {
                Ok(Some(outcome)) => return Ok((progress.last, outcome)),
                // Proxies close streams after some time.
                Ok(None) => {
                    tokio::time::sleep(self.policy.retry.first_pause).await;
                    continue;
                }
                Err(failure) => failure,
            };
            progress.failed += 1;
            let Some(pause) = self
                .policy
                .retry
                .pause(progress.failed, None)
                .filter(|_| passes(&failure))
            else {
                return Err(failure);
            };
            self.listener.reconnecting(&failure.cause, pause);
            tokio::time::sleep(pause).await;
        }
    }

    /// Reads one stream, until the end of the action or of the stream.
    async fn subscribe(&self, progress: &mut Progress) -> Result<Option<RunOutcome>, RpcFailure> {
        let mut messages = self.service.watch(self.action).await?;
        let mut details = ActionDetails::default();
        while let Some(message) = self.next(&mut messages, &mut details, progress).await {
            details = message?;
            progress.failed = 0;
            let state = RunState::of(&details);
            progress.waits.observe(state, Instant::now());
            let restarted = progress.restarts.observe(state);
            let attempt_before = state.attempt.saturating_sub(1);
            let available = *progress.availability.borrow();
            let next = available.after(&details, state, restarted.is_some());
            if state != progress.last && !state.phase.is_last() {
                if state.attempt > progress.last.attempt && attempt_before > 0 {
                    progress.availability.send_replace(LogStream {
                        started: available.started,
                        ..next
                    });
                    // An error means that logs are no longer read.
                    let _ = progress
                        .shown
                        .wait_for(|shown| *shown >= attempt_before)
                        .await;
                }
                self.listener.state_changed(state);
            }
            progress.last = state;
            if let Some(event) = restarted.filter(|event| progress.waits.is_new(event)) {
                self.listener.cluster_event(&event);
            }
            progress.availability.send_replace(next);
            if let Some(outcome) = RunOutcome::of(&details) {
                return Ok(Some(outcome));
            }
        }
        Ok(None)
    }

    /// The next message. While the run waits, its details are also requested for new events: not all backends send a
    /// message when only the events change.
    async fn next(
        &self,
        messages: &mut Messages<ActionDetails>,
        details: &mut ActionDetails,
        progress: &mut Progress,
    ) -> Option<Result<ActionDetails, RpcFailure>> {
        loop {
            let Some(due) = progress.waits.due() else {
                return messages.next().await;
            };
            tokio::select! {
                biased;
                message = messages.next() => return message,
                () = tokio::time::sleep_until(due.into()) => {}
            }
            tokio::select! {
                biased;
                message = messages.next() => return message,
                // The stream reports failures.
                current = self.service.details(self.action) => if let Ok(current) = current {
                    *details = current;
                },
            }
            if let Some(event) = progress.waits.due_event(details, Instant::now()) {
                self.listener.cluster_event(&event);
            }
        }
    }
}
