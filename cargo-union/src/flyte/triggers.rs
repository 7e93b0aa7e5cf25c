//! Triggers at the backend: their list, and whether they are active.

use union_build::diag::Code;

use super::capabilities::BackendKind;
use super::client::Client;
use super::convert::ProjectDomain;
use super::idl::Timestamp;
use super::idl::common::TriggerName;
use super::idl::task::trigger_automation_spec::Automation;
use super::idl::task::{FixedRateUnit, TaskName, TriggerAutomationSpec, schedule};
use super::idl::trigger::list_triggers_request::ScopeBy;
use super::idl::trigger::{
    GetTriggerDetailsRequest, GetTriggerDetailsResponse, ListTriggersRequest, ListTriggersResponse,
    Trigger, UpdateTriggersRequest, UpdateTriggersResponse,
};
use super::pages::newest;
use super::plan_triggers;
use super::rpc::{RpcFailure, Unary};
use crate::sys::error::{Error, Result};
use crate::sys::words;

pub use super::trigger_summary::TriggerSummary;

const TRIGGERS: &str = "flyteidl2.trigger.TriggerService";

const LIST: Unary<ListTriggersRequest, ListTriggersResponse> =
    Unary::repeatable(TRIGGERS, "ListTriggers");
const DETAILS: Unary<GetTriggerDetailsRequest, GetTriggerDetailsResponse> =
    Unary::repeatable(TRIGGERS, "GetTriggerDetails");
const UPDATE: Unary<UpdateTriggersRequest, UpdateTriggersResponse> =
    Unary::repeatable(TRIGGERS, "UpdateTriggers");

/// Triggers in one page, the most that the open-source backend returns.
const PAGE: u32 = 200;

/// The maximum number of triggers in a list, which bounds the pages.
const MOST_TRIGGERS: usize = 10_000;

/// The triggers of a project and domain, or of one task of it, sorted by task and name.
///
/// # Errors
/// Failures of the call.
pub async fn list(
    client: &Client,
    scope: &ProjectDomain,
    task: Option<&str>,
) -> Result<Vec<TriggerSummary>> {
    let listed = fetch_all(client, scope, task).await;
    listed.map_err(|failure| {
        failure.into_error(format!(
            "could not list the triggers of {}/{}",
            scope.project, scope.domain
        ))
    })
}

/// Like [`list`], before the operation is known.
pub(super) async fn fetch_all(
    client: &Client,
    scope: &ProjectDomain,
    task: Option<&str>,
) -> Result<Vec<TriggerSummary>, RpcFailure> {
    if client.kind().await? == BackendKind::Flyte1 {
        return plan_triggers::list(client, scope, task).await;
    }
    let scope_by = match task {
        None => ScopeBy::ProjectId(scope.id()),
        Some(task) => {
            let ProjectDomain {
                org,
                project,
                domain,
            } = scope.clone();
            ScopeBy::TaskName(TaskName {
                org,
                project,
                domain,
                name: task.to_owned(),
            })
        }
    };
    let mut page_request = newest(PAGE, Vec::new());
    page_request.sort_by = None;
    let mut request = ListTriggersRequest {
        request: Some(page_request.clone()),
        scope_by: Some(scope_by),
    };
    let mut triggers = Vec::new();
    loop {
        let page = client.unary(LIST, &request).await?;
        triggers.extend(page.triggers.into_iter().map(summary));
        // Bounds the loop when a backend returns the same page forever.
        if page.token.is_empty()
            || page.token == page_request.token
            || triggers.len() >= MOST_TRIGGERS
        {
            break;
        }
        page_request.token = page.token;
        request.request = Some(page_request.clone());
    }
    triggers.sort_by(|left, right| (&left.task, &left.name).cmp(&(&right.task, &right.name)));
    triggers.dedup_by(|left, right| left.task == right.task && left.name == right.name);
    Ok(triggers)
}

/// The version of its task that a trigger belongs to.
pub(super) async fn version(
    client: &Client,
    scope: &ProjectDomain,
    trigger: &TriggerSummary,
) -> Result<String, RpcFailure> {
    let request = GetTriggerDetailsRequest {
        name: Some(identifier(scope, trigger)),
    };
    let details = client.unary(DETAILS, &request).await?.trigger;
    let spec = details.and_then(|details| details.spec);
    Ok(spec.unwrap_or_default().task_version)
}

/// Activates or deactivates triggers.
pub(super) async fn update(
    client: &Client,
    scope: &ProjectDomain,
    triggers: &[TriggerSummary],
    active: bool,
) -> Result<(), RpcFailure> {
    if client.kind().await? == BackendKind::Flyte1 {
        return plan_triggers::update(client, scope, triggers, active).await;
    }
    let request = UpdateTriggersRequest {
        names: triggers
            .iter()
            .map(|trigger| identifier(scope, trigger))
            .collect(),
        active,
    };
    client.unary(UPDATE, &request).await.map(drop)
}

/// Activates or deactivates the trigger of a name, `NAME` or `TASK/NAME`. Returns it as it was before.
///
/// # Errors
/// U0761 (`BackendNotFound`) when there is none, U0001 (`UsageInvalid`) when several tasks have one of this name;
/// failures of the calls.
pub async fn set_active(
    client: &Client,
    scope: &ProjectDomain,
    typed: &str,
    task: Option<&str>,
    active: bool,
) -> Result<TriggerSummary> {
    let triggers = list(client, scope, task).await?;
    let trigger = find(&triggers, typed, scope)?;
    if trigger.active != active {
        let updated = update(client, scope, std::slice::from_ref(trigger), active).await;
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

fn identifier(scope: &ProjectDomain, trigger: &TriggerSummary) -> TriggerName {
    let ProjectDomain {
        org,
        project,
        domain,
    } = scope.clone();
    TriggerName {
        org,
        project,
        domain,
        name: trigger.name.clone(),
        task_name: trigger.task.clone(),
    }
}

fn summary(trigger: Trigger) -> TriggerSummary {
    let name = trigger.id.and_then(|id| id.name).unwrap_or_default();
    let seconds =
        |time: Option<Timestamp>| time.map(|time| time.seconds).filter(|seconds| *seconds > 0);
    TriggerSummary {
        name: name.name,
        task: name.task_name,
        active: trigger.active,
        schedule: describe(trigger.automation_spec.as_ref()),
        fired: trigger
            .status
            .and_then(|status| seconds(status.triggered_at)),
    }
}

/// The schedule of a trigger in words; `-` for one that no schedule fires.
fn describe(automation: Option<&TriggerAutomationSpec>) -> String {
    let Some(Automation::Schedule(schedule)) = automation.and_then(|spec| spec.automation.as_ref())
    else {
        return "-".to_owned();
    };
    match &schedule.expression {
        None => "-".to_owned(),
        Some(schedule::Expression::CronExpression(expression)) => expression.clone(),
        Some(schedule::Expression::Cron(cron)) if cron.timezone.is_empty() => {
            cron.expression.clone()
        }
        Some(schedule::Expression::Cron(cron)) => {
            format!("{} ({})", cron.expression, cron.timezone)
        }
        Some(schedule::Expression::Rate(rate)) => {
            let unit = match rate.unit() {
                FixedRateUnit::Unspecified | FixedRateUnit::Minute => "minute",
                FixedRateUnit::Hour => "hour",
                FixedRateUnit::Day => "day",
            };
            let plural = if rate.value == 1 { "" } else { "s" };
            format!("every {} {unit}{plural}", rate.value)
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::flyte::idl::task::{Cron, FixedRate, Schedule};

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

    #[test]
    fn schedules_are_described() {
        let described = |expression| {
            describe(Some(&TriggerAutomationSpec {
                automation: Some(Automation::Schedule(Schedule {
                    expression: Some(expression),
                    ..Schedule::default()
                })),
                ..TriggerAutomationSpec::default()
            }))
        };
        let cron = |timezone: &str| {
            schedule::Expression::Cron(Cron {
                expression: "0 3 * * *".to_owned(),
                timezone: timezone.to_owned(),
            })
        };
        let rate = |value, unit: FixedRateUnit| {
            schedule::Expression::Rate(FixedRate {
                value,
                unit: unit.into(),
            })
        };
        assert_eq!(described(cron("")), "0 3 * * *");
        assert_eq!(described(cron("UTC")), "0 3 * * * (UTC)");
        assert_eq!(described(rate(1, FixedRateUnit::Minute)), "every 1 minute");
        assert_eq!(described(rate(2, FixedRateUnit::Hour)), "every 2 hours");
        assert_eq!(describe(None), "-");
    }
}
