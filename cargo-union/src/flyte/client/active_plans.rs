//! The active launch plans of Flyte 1, which are fetched once per project and domain.

use std::sync::Arc;

use super::Client;
use crate::flyte::idl::v1::admin::{LaunchPlan, LaunchPlanList};
use crate::flyte::rpc::{RestCall, RpcFailure};

/// The maximum number of launch plans in one request.
const PAGE: u32 = 100;
/// The maximum number of pages, which bounds the loop when a backend returns the same page forever.
const MOST_PAGES: usize = 100;

impl Client {
    /// The launch plans of a project and domain that were active at the first call.
    pub(in crate::flyte) async fn active_plans(
        &self,
        project: &str,
        domain: &str,
    ) -> Result<Arc<[LaunchPlan]>, RpcFailure> {
        let cell = self.plans.cell(project, domain);
        let plans = cell
            .get_or_try_init(|| self.list_active_plans(project, domain))
            .await?;
        Ok(plans.clone())
    }

    /// The launch plans of a project and domain that are active now.
    pub(in crate::flyte) async fn list_active_plans(
        &self,
        project: &str,
        domain: &str,
    ) -> Result<Arc<[LaunchPlan]>, RpcFailure> {
        let path = ["api", "v1", "active_launch_plans", project, domain];
        let mut plans = Vec::new();
        let mut token = String::new();
        for _ in 0..MOST_PAGES {
            let call: RestCall<LaunchPlanList> = RestCall::get("ListActiveLaunchPlans", &path)
                .query("limit", PAGE)
                .query("token", &token);
            let page = self.rest(&call).await?;
            plans.extend(page.launch_plans);
            if page.token.is_empty() || page.token == token {
                break;
            }
            token = page.token;
        }
        Ok(plans.into())
    }
}
