//! Aborts a run, also one that was created elsewhere.

use super::{RunIdent, RunPhase, RunService, get_run};
use crate::sys::error::Result;

/// The result of an abort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbortOutcome {
    /// The run had not ended, and is aborted.
    Aborted,
    /// The run had ended in this phase: nothing was sent.
    Ended(RunPhase),
}

/// Aborts a run, unless it has ended.
///
/// # Errors
/// U0761 (`BackendNotFound`) when there is no such run; other failures of the calls.
pub async fn abort(service: &dyn RunService, run: &RunIdent, reason: &str) -> Result<AbortOutcome> {
    // An abort of a run that does not exist succeeds on some backends, so the run is looked up first.
    let phase = get_run(service, run).await?.phase;
    if phase.is_last() {
        return Ok(AbortOutcome::Ended(phase));
    }
    let aborted = service.abort(run, reason).await;
    aborted
        .map_err(|failure| failure.into_error(format!("could not abort the run `{}`", run.name)))?;
    Ok(AbortOutcome::Aborted)
}
