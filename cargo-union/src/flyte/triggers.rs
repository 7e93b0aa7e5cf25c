//! Triggers at the backend: their list, and whether they are active.

use union_build::diag::Code;

use super::backend::Backend;
use super::convert::ProjectDomain;
use crate::sys::error::{Error, Result};
use crate::sys::words;

pub use super::trigger_summary::TriggerSummary;

/// The triggers of a project and domain, or of one task of it, sorted by task and name.
///
/// # Errors
/// Failures of the call.
pub async fn list(
    backend: &dyn Backend,
    scope: &ProjectDomain,
    task: Option<&str>,
) -> Result<Vec<TriggerSummary>> {
    let listed = backend.list_triggers(scope, task).await;
    listed.map_err(|failure| {
        failure.into_error(format!(
            "could not list the triggers of {}/{}",
            scope.project, scope.domain
        ))
    })
}

/// Activates or deactivates the trigger of a name, `NAME` or `TASK/NAME`. Returns its state before.
///
/// # Errors
/// U0761 (`BackendNotFound`) when there is none, U0001 (`UsageInvalid`) when several tasks have one of this name;
/// failures of the calls.
pub async fn set_active(
    backend: &dyn Backend,
    scope: &ProjectDomain,
    typed: &str,
    task: Option<&str>,
    active: bool,
) -> Result<TriggerSummary> {
    let triggers = list(backend, scope, task).await?;
    let trigger = find(&triggers, typed, scope)?;
    if trigger.active != active {
        let changed = [trigger.clone()];
        let updated = backend.set_triggers_active(scope, &changed, active).await;
        let verb = if active { "activate" } else { "deactivate" };
        updated.map_err(|failure| {
            failure.into_error(format!("could not {verb} the trigger `{}`", trigger.path()))
        })?;
    }
    Ok(trigger.clone())
}

/// The trigger of a name, `NAME` or `TASK/NAME`.
fn find<'a>(
    triggers: &'a [TriggerSummary],
    typed: &str,
    scope: &ProjectDomain,
) -> Result<&'a TriggerSummary> {
    let matching: Vec<&TriggerSummary> = triggers
        .iter()
        .filter(|trigger| trigger.name == typed || trigger.path() == typed)
        .collect();
    match matching[..] {
        [trigger] => Ok(trigger),
        [] => {
            let error = Error::new(
                Code::BackendNotFound,
                format!(
                    "there is no trigger `{typed}` in {}/{}",
                    scope.project, scope.domain
                ),
            );
            let names = words::list(triggers.iter().map(TriggerSummary::path));
            Err(error.help(format!("There is {names}.")))
        }
        _ => {
            let names = words::list(matching.iter().map(|trigger| trigger.path()));
            let error = Error::new(
                Code::UsageInvalid,
                format!("several tasks have a trigger `{typed}`"),
            );
            Err(error
                .because(format!("there is {names}"))
                .help("Write `TASK/NAME`."))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn trigger(task: &str, name: &str) -> TriggerSummary {
        TriggerSummary {
            name: name.to_owned(),
            task: task.to_owned(),
            active: true,
            schedule: String::new(),
            fired: None,
        }
    }

    #[test]
    fn trigger_is_found_by_its_name_or_with_its_task() {
        let triggers = [
            trigger("a", "nightly"),
            trigger("b", "nightly"),
            trigger("b", "weekly"),
        ];
        let scope = ProjectDomain::default();
        let found = |typed: &str| find(&triggers, typed, &scope).map(TriggerSummary::path);
        assert_eq!(found("weekly").unwrap(), "b/weekly");
        assert_eq!(found("a/nightly").unwrap(), "a/nightly");
        let error = found("nightly").unwrap_err();
        assert_eq!(error.code(), Code::UsageInvalid);
        assert!(
            error.chain()[1].contains("`a/nightly` and `b/nightly`"),
            "{error:?}"
        );
        assert_eq!(found("daily").unwrap_err().code(), Code::BackendNotFound);
    }
}
