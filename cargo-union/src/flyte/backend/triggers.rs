//! Triggers at Flyte 2.

use crate::flyte::client::Flyte2;
use crate::flyte::convert::ProjectDomain;
use crate::flyte::idl::Timestamp;
use crate::flyte::idl::common::TriggerName;
use crate::flyte::idl::task::trigger_automation_spec::Automation;
use crate::flyte::idl::task::{FixedRateUnit, TriggerAutomationSpec, schedule};
use crate::flyte::idl::trigger::list_triggers_request::ScopeBy;
use crate::flyte::idl::trigger::{
    GetTriggerDetailsRequest, GetTriggerDetailsResponse, ListTriggersRequest, ListTriggersResponse,
    Trigger, UpdateTriggersRequest, UpdateTriggersResponse,
};
use crate::flyte::pages::newest;
use crate::flyte::rpc::{RpcFailure, Unary};
use crate::flyte::trigger_summary::TriggerSummary;

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
pub(super) async fn list(
    client: &Flyte2,
    scope: &ProjectDomain,
    task: Option<&str>,
) -> Result<Vec<TriggerSummary>, RpcFailure> {
    let scope_by = match task {
        None => ScopeBy::ProjectId(scope.id()),
        Some(task) => ScopeBy::TaskName(scope.task_name(task)),
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
    client: &Flyte2,
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
pub(super) async fn set_active(
    client: &Flyte2,
    scope: &ProjectDomain,
    triggers: &[TriggerSummary],
    active: bool,
) -> Result<(), RpcFailure> {
    let request = UpdateTriggersRequest {
        names: triggers
            .iter()
            .map(|trigger| identifier(scope, trigger))
            .collect(),
        active,
    };
    client.unary(UPDATE, &request).await.map(drop)
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
mod tests {
    use super::*;
    use crate::flyte::idl::task::{Cron, FixedRate, Schedule};

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
