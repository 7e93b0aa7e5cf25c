//! Shows the logs of one action, as far as the backend still has them.

use std::pin::pin;

use union_build::diag::Code;

use super::listener::{ReconnectPolicy, RunListener};
use super::log_stream::LogStream;
use super::logs::{AttemptRange, LogReader};
use super::summary::find_action;
use super::watch::ActionWatch;
use super::{ActionIdent, RunService, RunState};
use crate::sys::error::{Error, Result};

/// Which logs are shown.
#[derive(Clone, Debug)]
pub struct LogRequest {
    /// The action that wrote them.
    pub action: ActionIdent,
    /// Only those of this attempt, from 1.
    pub attempt: Option<u32>,
    /// Whether logs are read until the action has ended.
    pub follow: bool,
    /// The time of the request in seconds since 1970: without `follow`, lines of a running program are read up to this
    /// time.
    pub now: i64,
}

/// Reports the logs of an action to a listener, attempt by attempt. Returns the state that the action was found in.
///
/// # Errors
/// U0761 (`BackendNotFound`) when there is no such run, action or attempt; failures of watching it.
pub async fn show_logs(
    service: &dyn RunService,
    request: &LogRequest,
    policy: ReconnectPolicy,
    listener: &dyn RunListener,
) -> Result<RunState> {
    let LogRequest {
        action,
        attempt,
        follow,
        now,
    } = request;
    let details = find_action(service, action).await?;
    let state = RunState::of(&details);
    let available = LogStream::default().after(&details, state, false);
    let last = available.attempt.max(available.logged);
    let goes_on = !state.phase.is_last();
    if let Some(attempt) = attempt.filter(|attempt| *attempt > last && !(*follow && goes_on)) {
        return Err(attempt_not_found(action, attempt, last));
    }
    let attempts = match attempt {
        Some(attempt) => AttemptRange {
            first: *attempt,
            last: *attempt,
        },
        None => AttemptRange::ALL,
    };
    let follows = *follow && goes_on;
    let reader = LogReader {
        service,
        action,
        policy,
        listener,
        until: (goes_on && !follows).then_some(*now),
    };
    let ended = LogStream {
        ended: !follows,
        attempt: last,
        ..available
    };
    let initial = if follows { LogStream::default() } else { ended };
    let (availability, receiver) = tokio::sync::watch::channel(initial);
    let (shown, shown_receiver) = tokio::sync::watch::channel(0);
    let mut reading = pin!(reader.report(attempts, receiver, shown));
    if !follows {
        reading.await;
        return Ok(state);
    }
    let watch = ActionWatch {
        service,
        action,
        policy,
        listener,
    };
    let watched = tokio::select! {
        biased;
        () = &mut reading => return Ok(state),
        watched = watch.run(availability, shown_receiver) => watched,
    };
    reading.await;
    watched.map_err(|failure| {
        failure.into_error(format!("could not follow the run `{}`", action.run.name))
    })?;
    Ok(state)
}

fn attempt_not_found(action: &ActionIdent, attempt: u32, last: u32) -> Error {
    let has = match last {
        0 => "it has not started".to_owned(),
        1 => "it has one attempt".to_owned(),
        last => format!("it has {last} attempts"),
    };
    Error::new(
        Code::BackendNotFound,
        format!(
            "could not show the logs of attempt {attempt} of `{}` in run `{}`",
            action.name, action.run.name
        ),
    )
    .because(has)
    .help(format!(
        "`cargo union get run {}` shows its attempts.",
        action.run.name
    ))
}
