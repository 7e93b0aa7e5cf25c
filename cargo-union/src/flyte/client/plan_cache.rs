//! Launch plans by project and domain, each fetched once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::flyte::idl::v1::admin::LaunchPlan;

/// The launch plans by project and domain; concurrent callers share one request.
#[derive(Default)]
pub(super) struct PlanCache(Mutex<HashMap<(String, String), PlansCell>>);

type PlansCell = Arc<OnceCell<Arc<[LaunchPlan]>>>;

impl PlanCache {
    pub(super) fn cell(&self, project: &str, domain: &str) -> PlansCell {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry((project.to_owned(), domain.to_owned()))
            .or_default()
            .clone()
    }
}
