//! Outcome and outputs of a run.

use union_build::spec::launcher::EMPTY_OUTPUT;

use super::{RunIdent, RunPhase, RunService, RunState};
use crate::flyte::convert;
use crate::flyte::idl::core::Literal;
use crate::flyte::idl::task::NamedLiteral;
use crate::flyte::idl::workflow::action_details::Result as ActionResult;
use crate::flyte::idl::workflow::error_info::Kind;
use crate::flyte::idl::workflow::{ActionDetails, ErrorInfo};
use crate::sys::error::Result;
use crate::sys::words;

/// The maximum length of an error's message, in characters.
const LONGEST: usize = 100_000;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunOutcome {
    /// Successfully; the outputs are available.
    Succeeded,
    /// The last attempt failed; the error may be unknown.
    Failed(Option<RunError>),
    /// The run exceeded a timeout.
    TimedOut(Option<RunError>),
    /// Aborted by a user, with the reason; may be empty.
    Aborted(String),
}

/// The error of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunError {
    /// Error message.
    pub message: String,
    /// Origin of the error: `user`, `system`, or empty.
    pub kind: &'static str,
    /// Error code of the backend or the program; may be empty.
    pub code: String,
}

impl RunOutcome {
    /// The outcome in a response; `None` while the run has not ended.
    pub(super) fn of(details: &ActionDetails) -> Option<Self> {
        let aborted = || match &details.result {
            Some(ActionResult::AbortInfo(info)) => info.reason.clone(),
            _ => String::new(),
        };
        match RunState::of(details).phase {
            RunPhase::Succeeded | RunPhase::Recovered => Some(Self::Succeeded),
            RunPhase::Failed => Some(Self::Failed(last_error(details))),
            RunPhase::TimedOut => Some(Self::TimedOut(last_error(details))),
            RunPhase::Aborted => Some(Self::Aborted(aborted())),
            _ => None,
        }
    }
}

/// The error of the run, or else of its last attempt.
fn last_error(details: &ActionDetails) -> Option<RunError> {
    match &details.result {
        Some(ActionResult::ErrorInfo(info)) => Some(run_error(info)),
        _ => details
            .attempts
            .iter()
            .rev()
            .find_map(|attempt| attempt.error_info.as_ref())
            .map(run_error),
    }
}

pub(super) fn run_error(info: &ErrorInfo) -> RunError {
    RunError {
        message: words::printable(&info.message, LONGEST),
        kind: match info.kind() {
            Kind::User => "user",
            Kind::System => "system",
            Kind::Unspecified => "",
        },
        code: words::printable(&info.code, LONGEST),
    }
}

/// The outputs of a successful run by name, as JSON.
///
/// # Errors
/// Failures of the call.
pub async fn outputs(
    service: &dyn RunService,
    run: &RunIdent,
) -> Result<Vec<(String, serde_json::Value)>> {
    let literals = output_literals(service, run).await?;
    let value = |(name, literal)| (name, convert::json(&literal));
    Ok(literals.into_iter().map(value).collect())
}

/// The outputs of a successful run by name, without the hidden one of tasks without outputs.
///
/// # Errors
/// Failures of the call.
pub async fn output_literals(
    service: &dyn RunService,
    run: &RunIdent,
) -> Result<Vec<(String, Literal)>> {
    let tried = || format!("could not fetch the outputs of run `{}`", run.name);
    let outputs = service
        .outputs(run)
        .await
        .map_err(|failure| failure.into_error(tried()))?;
    Ok(declared(outputs.literals).collect())
}

/// Literals by name, without the output that the backend needs of a task that declares none.
fn declared(literals: Vec<NamedLiteral>) -> impl Iterator<Item = (String, Literal)> {
    literals
        .into_iter()
        .filter(|literal| literal.name != EMPTY_OUTPUT)
        .map(|NamedLiteral { name, value }| (name, value.unwrap_or_default()))
}

/// Declared values by name, as JSON.
pub(super) fn declared_values(literals: Vec<NamedLiteral>) -> Vec<(String, serde_json::Value)> {
    declared(literals)
        .map(|(name, literal)| (name, convert::json(&literal)))
        .collect()
}
