//! The runs of a project and domain that match a filter, newest first.

use union_build::spec::time;

use super::summary::run_summary;
use super::{RunPhase, RunService, RunSummary};
use crate::flyte::convert::ProjectDomain;
use crate::flyte::idl::common::Filter;
use crate::flyte::idl::common::filter::Function;
use crate::flyte::idl::workflow::ListRunsResponse;
use crate::flyte::rpc::{RpcFailure, RpcStatus};
use crate::sys::error::Result;

/// The most runs that the open-source backend returns in one page.
const PAGE: u32 = 200;

/// The maximum number of pages, which bounds the search for runs that match.
const MOST_PAGES: usize = 1_000;

/// Which runs are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// The phases that they are in; empty for any.
    pub phases: Vec<RunPhase>,
    /// The name of their task at the backend.
    pub task: Option<String>,
    /// The earliest start, in seconds since 1970.
    pub since: Option<i64>,
    /// The maximum number of runs.
    pub limit: u32,
}

impl RunFilter {
    fn matches(&self, run: &RunSummary) -> bool {
        let is_in_phase = self.phases.is_empty() || self.phases.contains(&run.phase);
        let is_of_task = self.task.is_none() || self.task == run.task;
        is_in_phase && is_of_task && !self.is_too_old(run)
    }

    fn is_too_old(&self, run: &RunSummary) -> bool {
        match (self.since, run.started) {
            (Some(since), Some(started)) => started < since,
            _ => false,
        }
    }

    /// The filters of the protocol. Several phases are compared here, because the open-source backend does not support
    /// a set of values.
    fn for_backend(&self) -> Vec<Filter> {
        let filter = |field: &str, function: Function, value: String| Filter {
            function: function.into(),
            field: field.to_owned(),
            values: vec![value],
        };
        let phase = match self.phases[..] {
            [phase] => phase.number(),
            _ => None,
        };
        let since = self.since.map(|since| time::datetime(since, 0));
        [
            phase.map(|phase| filter("phase", Function::Equal, phase.to_string())),
            self.task
                .clone()
                .map(|task| filter("task_name", Function::Equal, task)),
            since.map(|since| filter("created_at", Function::GreaterThanOrEqual, since)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// The runs of a project and domain that match, newest first.
///
/// # Errors
/// Failures of the calls.
pub async fn list(
    service: &dyn RunService,
    scope: &ProjectDomain,
    filter: &RunFilter,
) -> Result<Vec<RunSummary>> {
    let listed = match fetch(service, scope, filter, filter.for_backend()).await {
        // If the backend does not support a field of a filter, all runs are requested and filtered here.
        Err(failure) if failure.is(RpcStatus::InvalidArgument) => {
            fetch(service, scope, filter, Vec::new()).await
        }
        listed => listed,
    };
    listed.map_err(|failure| {
        failure.into_error(format!(
            "could not list the runs of {}/{}",
            scope.project, scope.domain
        ))
    })
}

async fn fetch(
    service: &dyn RunService,
    scope: &ProjectDomain,
    filter: &RunFilter,
    filters: Vec<Filter>,
) -> Result<Vec<RunSummary>, RpcFailure> {
    let limit = usize::try_from(filter.limit).unwrap_or(usize::MAX);
    let mut runs: Vec<RunSummary> = Vec::new();
    let mut token = String::new();
    for _ in 0..MOST_PAGES {
        let size = filter.limit.min(PAGE);
        let page: ListRunsResponse = service.list(scope, size, &token, filters.clone()).await?;
        let summaries: Vec<RunSummary> = page
            .runs
            .into_iter()
            .filter_map(|run| Some(run_summary(run.action?)))
            .collect();
        let is_over = summaries.last().is_none_or(|run| filter.is_too_old(run));
        let is_new = |run: &RunSummary| !runs.iter().any(|known| known.name == run.name);
        let mut matching: Vec<RunSummary> = summaries
            .into_iter()
            .filter(|run| filter.matches(run) && is_new(run))
            .collect();
        runs.append(&mut matching);
        if runs.len() >= limit || is_over || page.token.is_empty() || page.token == token {
            break;
        }
        token = page.token;
    }
    runs.truncate(limit);
    Ok(runs)
}
