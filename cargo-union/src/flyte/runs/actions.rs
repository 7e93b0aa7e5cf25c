//! The actions of a run: its root, and the steps and tasks that the root has started.

use std::collections::{BTreeMap, HashSet};

use super::{ROOT, RunIdent, RunPhase, RunService, RunState};
use crate::flyte::idl::Timestamp;
use crate::flyte::idl::workflow::Action;
use crate::flyte::idl::workflow::action_metadata::Spec;
use crate::flyte::rpc::RpcFailure;
use crate::sys::error::Result;
use crate::sys::words;

/// The maximum length of a name, in characters.
const LONGEST: usize = 200;

/// The maximum number of actions that are listed of one run.
pub(super) const MOST: usize = 100_000;

/// An action of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct ActionSummary {
    /// Its name, unique in the run; the root is `a0`.
    pub name: String,
    /// The name of the action that started it; empty for the root.
    pub parent: String,
    /// `task`, `trace` or `condition`.
    pub kind: &'static str,
    /// The name of the task, the traced function or the condition; may be empty.
    pub title: String,
    /// Current or final phase, with the number of attempts.
    pub state: RunState,
    /// Start time in seconds since 1970.
    pub started: Option<f64>,
    /// End time in seconds since 1970.
    pub ended: Option<f64>,
}

impl ActionSummary {
    pub(super) fn of(action: Action) -> Self {
        let status = action.status.unwrap_or_default();
        let metadata = action.metadata.unwrap_or_default();
        let (kind, title) = match metadata.spec {
            Some(Spec::Trace(trace)) => ("trace", trace.name),
            Some(Spec::Condition(condition)) => ("condition", condition.name),
            Some(Spec::Task(task)) => ("task", task.id.unwrap_or_default().name),
            None => ("task", String::new()),
        };
        let seconds = |time: Option<Timestamp>| {
            time.map(|time| time.seconds as f64 + f64::from(time.nanos) / 1e9)
                .filter(|seconds| *seconds > 0.0)
        };
        Self {
            name: words::printable(&action.id.unwrap_or_default().name, LONGEST),
            parent: words::printable(&metadata.parent, LONGEST),
            kind,
            title: words::printable(&title, LONGEST),
            state: RunState::of_status(&status),
            started: seconds(status.start_time),
            ended: seconds(status.end_time),
        }
    }

    /// How long it took, in seconds; `None` when a time is not known.
    pub fn seconds(&self) -> Option<f64> {
        Some((self.ended? - self.started?).max(0.0))
    }

    /// Whether it is the execution of the run's task itself.
    pub fn is_root(&self) -> bool {
        self.name == ROOT
    }
}

/// All actions of a run, the oldest first.
///
/// # Errors
/// Failures of the calls.
pub async fn list_actions(service: &dyn RunService, run: &RunIdent) -> Result<Vec<ActionSummary>> {
    pages(service, run).await.map_err(|failure| {
        failure.into_error(format!("could not list the actions of run `{}`", run.name))
    })
}

/// All pages of the list.
pub(super) async fn pages(
    service: &dyn RunService,
    run: &RunIdent,
) -> Result<Vec<ActionSummary>, RpcFailure> {
    let mut actions = Vec::new();
    let mut token = String::new();
    loop {
        let page = service.actions(run, &token).await?;
        let is_last = page.token.is_empty() || page.token == token || page.actions.is_empty();
        actions.extend(page.actions.into_iter().map(ActionSummary::of));
        if is_last || actions.len() >= MOST {
            return Ok(actions);
        }
        token = page.token;
    }
}

/// The actions in the order of a tree, each with its depth: every action after its parent. Actions without a known
/// parent are at depth 0.
pub fn action_tree(actions: &[ActionSummary]) -> Vec<(usize, &ActionSummary)> {
    let names: HashSet<&str> = actions.iter().map(|action| action.name.as_str()).collect();
    let mut children: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut stack = Vec::new();
    for (index, action) in actions.iter().enumerate() {
        if names.contains(action.parent.as_str()) && action.parent != action.name {
            children.entry(&action.parent).or_default().push(index);
        } else {
            stack.push((0, index));
        }
    }
    stack.reverse();
    let mut placed = vec![false; actions.len()];
    let mut tree = Vec::with_capacity(actions.len());
    let mut rest = 0..actions.len();
    loop {
        // An action that is its own ancestor is not reachable from a root.
        let next = stack.pop().or_else(|| rest.next().map(|index| (0, index)));
        let Some((depth, index)) = next else {
            return tree;
        };
        if std::mem::replace(&mut placed[index], true) {
            continue;
        }
        let action = &actions[index];
        tree.push((depth, action));
        let below = children.remove(action.name.as_str()).unwrap_or_default();
        stack.extend(below.into_iter().rev().map(|child| (depth + 1, child)));
    }
}

/// Whether a step succeeded.
pub fn ended_well(action: &ActionSummary) -> bool {
    matches!(
        action.state.phase,
        RunPhase::Succeeded | RunPhase::Recovered
    )
}
