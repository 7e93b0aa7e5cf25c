//! Follows a run until it ends: phases, logs and steps.

use super::listener::{ReconnectPolicy, RunListener};
use super::log_stream::LogStream;
use super::logs::{AttemptRange, LogReader};
use super::steps::StepWatch;
use super::watch::ActionWatch;
use super::{RunIdent, RunOutcome, RunService};
use crate::sys::error::Result;

/// Follows a run until it has ended and its logs are complete. Missing logs are not an error. The events of an attempt
/// are reported in order: that it runs, its logs, and then its end or the next attempt.
///
/// # Errors
/// Failures of watching the run, after the retries of the policy.
pub async fn follow(
    service: &dyn RunService,
    run: &RunIdent,
    policy: ReconnectPolicy,
    listener: &dyn RunListener,
) -> Result<RunOutcome> {
    let action = run.root();
    let (availability, receiver) = tokio::sync::watch::channel(LogStream::default());
    let (shown, shown_receiver) = tokio::sync::watch::channel(0);
    let available = receiver.clone();
    let watch = ActionWatch {
        service,
        action: &action,
        policy,
        listener,
    };
    let reader = LogReader {
        service,
        action: &action,
        policy,
        listener,
        until: None,
    };
    let following = async {
        tokio::join!(
            watch.run(availability, shown_receiver),
            reader.report(AttemptRange::ALL, receiver, shown)
        )
    };
    let steps = StepWatch::new(service, run, policy, listener);
    let (outcome, ()) = tokio::select! {
        biased;
        followed = following => followed,
        never = steps.run(available) => match never {},
    };
    steps.complete().await;
    let (state, outcome) = outcome.map_err(|failure| {
        failure.into_error(format!("could not follow the run `{}`", run.name))
    })?;
    listener.state_changed(state);
    Ok(outcome)
}
