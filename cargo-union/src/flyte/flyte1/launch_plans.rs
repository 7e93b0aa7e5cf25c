//! Triggers of Flyte 1, which are launch plans whose names begin with that of their task's workflow.

use crate::flyte::client::Client;
use crate::flyte::convert::ProjectDomain;
use crate::flyte::idl::v1::admin::schedule::ScheduleExpression;
use crate::flyte::idl::v1::admin::{
    FixedRateUnit, LaunchPlan, LaunchPlanList, LaunchPlanState, LaunchPlanUpdateRequest,
    LaunchPlanUpdateResponse,
};
use crate::flyte::idl::v1::core::Identifier;
use crate::flyte::rpc::{RestCall, RpcFailure};
use crate::flyte::trigger_summary::TriggerSummary;

/// The suffix of a task's name in the names of its workflow and launch plans.
pub(super) const TRIGGERS: &str = ".triggers";

/// The maximum number of launch plans in one request.
const PAGE: u32 = 100;
/// The maximum number of pages, which bounds the loop when a backend returns the same page forever.
const MOST_PAGES: usize = 100;

/// The trigger of a launch plan; `None` if this tool did not create the launch plan.
pub(super) fn summary(plan: &LaunchPlan) -> Option<TriggerSummary> {
    let id = plan.id.as_ref()?;
    let (task, name) = id.name.rsplit_once(TRIGGERS)?;
    let closure = plan.closure.unwrap_or_default();
    Some(TriggerSummary {
        name: name.strip_prefix('.')?.to_owned(),
        task: task.to_owned(),
        active: closure.state() == LaunchPlanState::Active,
        schedule: describe(plan),
        fired: None,
    })
}

fn describe(plan: &LaunchPlan) -> String {
    let schedule = plan
        .spec
        .as_ref()
        .and_then(|spec| spec.entity_metadata.as_ref()?.schedule.as_ref());
    match schedule.and_then(|schedule| schedule.schedule_expression.as_ref()) {
        None => "-".to_owned(),
        Some(ScheduleExpression::CronSchedule(cron)) => format!("{} (UTC)", cron.schedule),
        Some(ScheduleExpression::Rate(rate)) => {
            let unit = match rate.unit() {
                FixedRateUnit::Minute => "minute",
                FixedRateUnit::Hour => "hour",
                FixedRateUnit::Day => "day",
            };
            let plural = if rate.value == 1 { "" } else { "s" };
            format!("every {} {unit}{plural}", rate.value)
        }
    }
}

/// The triggers of a project and domain, or of one task, sorted by task and name. Of several versions of a launch plan,
/// the active one is listed, else the newest.
pub(super) async fn list(
    client: &Client,
    scope: &ProjectDomain,
    task: Option<&str>,
) -> Result<Vec<TriggerSummary>, RpcFailure> {
    let plans = plans(client, scope).await?;
    Ok(plans
        .into_iter()
        .map(|(summary, _)| summary)
        .filter(|summary| task.is_none_or(|task| summary.task == task))
        .collect())
}

/// Activates or deactivates triggers.
pub(super) async fn update(
    client: &Client,
    scope: &ProjectDomain,
    triggers: &[TriggerSummary],
    active: bool,
) -> Result<(), RpcFailure> {
    let plans = plans(client, scope).await?;
    for (summary, id) in &plans {
        if triggers
            .iter()
            .any(|trigger| trigger.path() == summary.path())
        {
            set_active(client, id, active).await?;
        }
    }
    Ok(())
}

/// Activates or deactivates a launch plan.
pub(super) async fn set_active(
    client: &Client,
    id: &Identifier,
    active: bool,
) -> Result<(), RpcFailure> {
    let state = if active {
        LaunchPlanState::Active
    } else {
        LaunchPlanState::Inactive
    };
    let update = LaunchPlanUpdateRequest {
        id: Some(id.clone()),
        state: state.into(),
    };
    let call: RestCall<LaunchPlanUpdateResponse> =
        RestCall::put("UpdateLaunchPlan", &plan_path(id), &update);
    client.rest(&call).await.map(drop)
}

pub(super) fn plan_path(id: &Identifier) -> [&str; 7] {
    [
        "api",
        "v1",
        "launch_plans",
        &id.project,
        &id.domain,
        &id.name,
        &id.version,
    ]
}

/// One version of each launch plan that this tool created.
async fn plans(
    client: &Client,
    scope: &ProjectDomain,
) -> Result<Vec<(TriggerSummary, Identifier)>, RpcFailure> {
    let path = ["api", "v1", "launch_plans", &scope.project, &scope.domain];
    let mut found: Vec<(TriggerSummary, Identifier)> = Vec::new();
    let mut token = String::new();
    for _ in 0..MOST_PAGES {
        let call: RestCall<LaunchPlanList> = RestCall::get("ListLaunchPlans", &path)
            .query("limit", PAGE)
            .query("token", &token)
            .query("sort_by.key", "created_at")
            .query("sort_by.direction", "DESCENDING");
        let page = client.rest(&call).await?;
        for plan in &page.launch_plans {
            let (Some(summary), Some(id)) = (summary(plan), plan.id.clone()) else {
                continue;
            };
            match found
                .iter_mut()
                .find(|(known, _)| known.path() == summary.path())
            {
                None => found.push((summary, id)),
                Some(known) if summary.active && !known.0.active => *known = (summary, id),
                Some(_) => {}
            }
        }
        if page.token.is_empty() || page.token == token {
            break;
        }
        token = page.token;
    }
    found
        .sort_by(|(left, _), (right, _)| (&left.task, &left.name).cmp(&(&right.task, &right.name)));
    Ok(found)
}
