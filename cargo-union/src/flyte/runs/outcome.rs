//! How a run ended, and what it gave.

use union_build::spec::launcher::EMPTY_OUTPUT;

use super::{RunIdent, RunPhase, RunService, RunState};
use crate::flyte::convert;
use crate::flyte::idl::task::NamedLiteral;
use crate::flyte::idl::workflow::action_details::Result as Told;
use crate::flyte::idl::workflow::error_info::Kind;
use crate::flyte::idl::workflow::{ActionDetails, ErrorInfo};
use crate::sys::error::Result;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunOutcome {
    /// Well: its outputs are there.
    Succeeded,
    /// Its last attempt failed; what went wrong may be unknown.
    Failed(Option<RunError>),
    /// It took longer than it may.
    TimedOut(Option<RunError>),
    /// Somebody stopped it, and may have said why.
    Aborted(String),
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunError {
    /// In words.
    pub message: String,
    /// Whose fault it is: `user`, `system`, or empty.
    pub kind: &'static str,
    /// The code that the backend or the program gives it; may be empty.
    pub code: String,
}

impl RunOutcome {
    /// The end that the backend tells; `None` before it.
    pub(super) fn of(details: &ActionDetails) -> Option<Self> {
        let aborted = || match &details.result {
            Some(Told::AbortInfo(info)) => info.reason.clone(),
            _ => String::new(),
        };
        match RunState::of(details).phase {
            RunPhase::Succeeded | RunPhase::Recovered => Some(Self::Succeeded),
            RunPhase::Failed => Some(Self::Failed(trouble(details))),
            RunPhase::TimedOut => Some(Self::TimedOut(trouble(details))),
            RunPhase::Aborted => Some(Self::Aborted(aborted())),
            _ => None,
        }
    }
}

/// That of the run, or of its last attempt.
fn trouble(details: &ActionDetails) -> Option<RunError> {
    let of = |info: &ErrorInfo| RunError {
        message: printable(&info.message),
        kind: match info.kind() {
            Kind::User => "user",
            Kind::System => "system",
            Kind::Unspecified => "",
        },
        code: info.code.clone(),
    };
    match &details.result {
        Some(Told::ErrorInfo(info)) => Some(of(info)),
        _ => details.attempts.iter().rev().find_map(|attempt| attempt.error_info.as_ref()).map(of),
    }
}

/// Line by line, and without what would move a terminal's cursor.
fn printable(text: &str) -> String {
    text.trim().chars().filter(|letter| !letter.is_control() || matches!(letter, '\n' | '\t')).collect()
}

/// The outputs of a run that ended well, by their names, as JSON.
///
/// # Errors
/// What the backend says.
pub async fn outputs(service: &dyn RunService, run: &RunIdent) -> Result<Vec<(String, serde_json::Value)>> {
    let tried = || format!("could not fetch the outputs of run `{}`", run.name);
    let outputs = service.outputs(run).await.map_err(|failure| failure.into_error(tried()))?;
    let value = |literal: NamedLiteral| (literal.name, convert::json(&literal.value.unwrap_or_default()));
    let declared = outputs.literals.into_iter().filter(|literal| literal.name != EMPTY_OUTPUT);
    Ok(declared.map(value).collect())
}
