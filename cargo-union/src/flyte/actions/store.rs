//! The recorded actions of a run, and the watchers to notify of new ones.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tonic::Status;

use crate::flyte::Reporter;
use crate::flyte::idl::Timestamp;
use crate::flyte::idl::actions::action::Spec;
use crate::flyte::idl::actions::watch_for_updates_response::Message;
use crate::flyte::idl::actions::{Action, WatchForUpdatesResponse};
use crate::flyte::idl::common::{ActionIdentifier, ActionPhase};
use crate::flyte::idl::core::ExecutionError;
use crate::flyte::idl::workflow::{ActionUpdate, ControlMessage, TraceAction};

/// A traced step that a worker reported.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RecordedAction {
    /// Name of the traced function.
    pub name: String,
    /// Name of the action; the same for the same inputs.
    pub action: String,
    /// Duration in seconds.
    pub seconds: f64,
}

/// The actions of a run.
pub(super) struct ActionStore {
    actions: Mutex<StoredActions>,
    reporter: Arc<dyn Reporter>,
}

#[derive(Default)]
struct StoredActions {
    steps: Vec<RecordedAction>,
    entries: Vec<StoredAction>,
    watchers: Vec<ActionWatcher>,
    reached: bool,
}

struct StoredAction {
    parent: String,
    update: ActionUpdate,
}

/// A subscription to the children of an action.
struct ActionWatcher {
    parent: String,
    sender: UnboundedSender<WatchForUpdatesResponse>,
}

impl ActionStore {
    pub(super) fn new(reporter: Arc<dyn Reporter>) -> Self {
        Self {
            actions: Mutex::default(),
            reporter,
        }
    }

    pub(super) fn was_reached(&self) -> bool {
        self.actions().reached
    }

    pub(super) fn steps(&self) -> Vec<RecordedAction> {
        self.actions().steps.clone()
    }

    /// Records an action and notifies the watchers of its parent.
    pub(super) fn enqueue(&self, action: Action) -> Result<(), Status> {
        let mut actions = self.actions_of_worker();
        let id = action
            .action_id
            .filter(|id| !id.name.is_empty())
            .ok_or_else(|| Status::invalid_argument("the action has no name"))?;
        let spec = action
            .spec
            .ok_or_else(|| Status::invalid_argument("the action has no spec"))?;
        if actions
            .entries
            .iter()
            .any(|entry| entry.update.action_id.as_ref() == Some(&id))
        {
            return Err(Status::already_exists(format!(
                "action `{}` is there",
                id.name
            )));
        }
        let update = match spec {
            Spec::Trace(trace) => {
                let step = RecordedAction {
                    name: trace.name.clone(),
                    action: id.name.clone(),
                    seconds: duration_of(&trace).as_secs_f64(),
                };
                self.reporter.traced(&step.name, duration_of(&trace));
                actions.steps.push(step);
                completed_update(id, trace)
            }
            Spec::Condition(condition) => failed_update(
                id,
                format!(
                    "`{}` waits for the input of a user, which a run on this machine does not support",
                    condition.name
                ),
            ),
            Spec::Task(_) => failed_update(
                id,
                "a run on this machine does not start other tasks".to_owned(),
            ),
        };
        actions.add(action.parent_action_name.unwrap_or_default(), update);
        Ok(())
    }

    /// The children of an action: recorded ones, a sentinel after them, and then new ones.
    pub(super) fn watch(
        &self,
        parent: Option<ActionIdentifier>,
    ) -> Result<UnboundedReceiver<WatchForUpdatesResponse>, Status> {
        let parent = parent
            .ok_or_else(|| Status::invalid_argument("no action is named"))?
            .name;
        let mut actions = self.actions_of_worker();
        let (sender, receiver) = unbounded_channel();
        let recorded = actions
            .entries
            .iter()
            .filter(|entry| entry.parent == parent)
            .map(|entry| Message::ActionUpdate(entry.update.clone()));
        for message in recorded.chain([Message::ControlMessage(ControlMessage { sentinel: true })])
        {
            send(&sender, message);
        }
        actions.watchers.push(ActionWatcher { parent, sender });
        Ok(receiver)
    }

    /// The actions, for a call of a worker.
    fn actions_of_worker(&self) -> MutexGuard<'_, StoredActions> {
        let mut actions = self.actions();
        actions.reached = true;
        actions
    }

    fn actions(&self) -> MutexGuard<'_, StoredActions> {
        self.actions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StoredActions {
    fn add(&mut self, parent: String, update: ActionUpdate) {
        for watcher in self
            .watchers
            .iter()
            .filter(|watcher| watcher.parent == parent)
        {
            send(&watcher.sender, Message::ActionUpdate(update.clone()));
        }
        self.entries.push(StoredAction { parent, update });
    }
}

/// Sends a message, unless the watcher has disconnected.
fn send(sender: &UnboundedSender<WatchForUpdatesResponse>, message: Message) {
    let _ = sender.send(WatchForUpdatesResponse {
        message: Some(message),
    });
}

fn completed_update(id: ActionIdentifier, trace: TraceAction) -> ActionUpdate {
    let output_uri = trace
        .outputs
        .map(|outputs| outputs.output_uri)
        .unwrap_or_default();
    ActionUpdate {
        action_id: Some(id),
        phase: trace.phase,
        error: None,
        output_uri,
    }
}

fn failed_update(id: ActionIdentifier, message: String) -> ActionUpdate {
    let error = ExecutionError {
        code: "NotRunHere".to_owned(),
        message,
    };
    ActionUpdate {
        action_id: Some(id),
        phase: ActionPhase::Failed.into(),
        error: Some(error),
        output_uri: String::new(),
    }
}

fn duration_of(trace: &TraceAction) -> Duration {
    let seconds = |time: &Option<Timestamp>| {
        time.as_ref().map_or(0.0, |time| {
            time.seconds as f64 + f64::from(time.nanos) / 1e9
        })
    };
    Duration::try_from_secs_f64(seconds(&trace.end_time) - seconds(&trace.start_time))
        .unwrap_or_default()
}
