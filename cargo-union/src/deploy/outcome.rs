//! The JSON documents of `abort`, `secret` and `trigger`.

use serde::Serialize;

use super::listing::SecretRow;
use super::secrets::StoredSecret;
use crate::flyte::runs::{AbortOutcome, RunIdent};
use crate::flyte::secrets::SecretScope;
use crate::flyte::triggers::TriggerSummary;

/// The result of `abort`.
#[derive(Serialize)]
pub(crate) struct AbortDocument<'a> {
    run: &'a str,
    project: &'a str,
    domain: &'a str,
    /// Whether this call aborted the run; false if it had ended before.
    aborted: bool,
    phase: &'static str,
}

impl<'a> AbortDocument<'a> {
    pub(crate) fn of(run: &'a RunIdent, outcome: AbortOutcome) -> Self {
        let phase = match outcome {
            AbortOutcome::Aborted => "aborted",
            AbortOutcome::Ended(phase) => phase.word(),
        };
        Self {
            run: &run.name,
            project: &run.scope.project,
            domain: &run.scope.domain,
            aborted: outcome == AbortOutcome::Aborted,
            phase,
        }
    }
}

/// A trigger that is activated or deactivated.
#[derive(Serialize)]
pub(crate) struct TriggerDocument<'a> {
    task: &'a str,
    name: &'a str,
    active: bool,
    /// Whether its state was different before.
    pub(crate) changed: bool,
}

impl<'a> TriggerDocument<'a> {
    /// `before` is the trigger before the change, `active` its state after it.
    pub(crate) fn of(before: &'a TriggerSummary, active: bool) -> Self {
        Self {
            task: &before.task,
            name: &before.name,
            active,
            changed: before.active != active,
        }
    }
}

/// The result of a command on secrets. Has no values.
#[derive(Serialize)]
pub(crate) struct SecretDocument<'a> {
    action: &'a str,
    /// `None` for all projects of the organization.
    project: Option<&'a str>,
    domain: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secrets: Option<Vec<SecretRow>>,
}

impl<'a> SecretDocument<'a> {
    fn of(action: &'a str, scope: &'a SecretScope) -> Self {
        let (project, domain) = match scope {
            SecretScope::Project(scope) => (Some(&*scope.project), Some(&*scope.domain)),
            SecretScope::Organization(_) => (None, None),
        };
        Self {
            action,
            project,
            domain,
            name: None,
            r#type: None,
            secrets: None,
        }
    }

    pub(crate) fn stored(name: &'a str, stored: &'a StoredSecret) -> Self {
        let action = if stored.replaced {
            "replaced"
        } else {
            "created"
        };
        Self {
            name: Some(name),
            r#type: Some(stored.kind.word()),
            ..Self::of(action, &stored.scope)
        }
    }

    pub(crate) fn listed(scope: &'a SecretScope, secrets: Vec<SecretRow>) -> Self {
        Self {
            secrets: Some(secrets),
            ..Self::of("listed", scope)
        }
    }

    pub(crate) fn deleted(scope: &'a SecretScope, name: &'a str) -> Self {
        Self {
            name: Some(name),
            ..Self::of("deleted", scope)
        }
    }
}
