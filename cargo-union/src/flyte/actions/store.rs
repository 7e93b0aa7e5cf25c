//! The steps of a run, and who wants to hear of them.

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

/// A step that a worker has told.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RecordedAction {
    /// The name of its function.
    pub name: String,
    /// Its name as an action: the same for the same inputs.
    pub action: String,
    /// How long it took.
    pub seconds: f64,
}

/// What was told so far.
pub(super) struct ActionStore {
    pages: Mutex<StoredActions>,
    reporter: Arc<dyn Reporter>,
}

#[derive(Default)]
struct StoredActions {
    steps: Vec<RecordedAction>,
    entries: Vec<StoredAction>,
    watchers: Vec<ActionWatcher>,
    reached: bool,
}

/// An action and how far it is.
struct StoredAction {
    parent: String,
    update: ActionUpdate,
}

/// Somebody who hears of all children of an action.
struct ActionWatcher {
    parent: String,
    line: UnboundedSender<WatchForUpdatesResponse>,
}

impl ActionStore {
    pub(super) fn new(reporter: Arc<dyn Reporter>) -> Self {
        Self { pages: Mutex::default(), reporter }
    }

    pub(super) fn was_reached(&self) -> bool {
        self.pages().reached
    }

    pub(super) fn steps(&self) -> Vec<RecordedAction> {
        self.pages().steps.clone()
    }

    /// Takes an action, and tells those who watch its parent.
    pub(super) fn enqueue(&self, action: Action) -> Result<(), Status> {
        let mut pages = self.asked();
        let id = action.action_id.filter(|id| !id.name.is_empty()).ok_or_else(|| Status::invalid_argument("the action has no name"))?;
        let spec = action.spec.ok_or_else(|| Status::invalid_argument("the action has no spec"))?;
        if pages.entries.iter().any(|entry| entry.update.action_id.as_ref() == Some(&id)) {
            return Err(Status::already_exists(format!("action `{}` is there", id.name)));
        }
        let update = match spec {
            Spec::Trace(trace) => {
                let step = RecordedAction { name: trace.name.clone(), action: id.name.clone(), seconds: took(&trace).as_secs_f64() };
                self.reporter.traced(&step.name, took(&trace));
                pages.steps.push(step);
                done(id, trace)
            }
            Spec::Condition(condition) => {
                refused(id, format!("`{}` waits for somebody's answer, and a run on this machine has nobody who answers", condition.name))
            }
            Spec::Task(_) => refused(id, "a run on this machine starts no other tasks".to_owned()),
        };
        pages.add(action.parent_action_name.unwrap_or_default(), update);
        Ok(())
    }

    /// All children of an action: those that are there, a word that these were all, and those that come.
    pub(super) fn watch(&self, parent: Option<ActionIdentifier>) -> Result<UnboundedReceiver<WatchForUpdatesResponse>, Status> {
        let parent = parent.ok_or_else(|| Status::invalid_argument("no action is named"))?.name;
        let mut pages = self.asked();
        let (line, news) = unbounded_channel();
        let there = pages.entries.iter().filter(|entry| entry.parent == parent).map(|entry| Message::ActionUpdate(entry.update.clone()));
        for message in there.chain([Message::ControlMessage(ControlMessage { sentinel: true })]) {
            tell(&line, message);
        }
        pages.watchers.push(ActionWatcher { parent, line });
        Ok(news)
    }

    /// The pages, when a worker opens them.
    fn asked(&self) -> MutexGuard<'_, StoredActions> {
        let mut pages = self.pages();
        pages.reached = true;
        pages
    }

    fn pages(&self) -> MutexGuard<'_, StoredActions> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StoredActions {
    fn add(&mut self, parent: String, update: ActionUpdate) {
        for watcher in self.watchers.iter().filter(|watcher| watcher.parent == parent) {
            tell(&watcher.line, Message::ActionUpdate(update.clone()));
        }
        self.entries.push(StoredAction { parent, update });
    }
}

/// Whoever has hung up hears nothing.
fn tell(line: &UnboundedSender<WatchForUpdatesResponse>, message: Message) {
    let _ = line.send(WatchForUpdatesResponse { message: Some(message) });
}

fn done(id: ActionIdentifier, trace: TraceAction) -> ActionUpdate {
    let output_uri = trace.outputs.map(|outputs| outputs.output_uri).unwrap_or_default();
    ActionUpdate { action_id: Some(id), phase: trace.phase, error: None, output_uri }
}

fn refused(id: ActionIdentifier, message: String) -> ActionUpdate {
    let error = ExecutionError { code: "NotRunHere".to_owned(), message };
    ActionUpdate { action_id: Some(id), phase: ActionPhase::Failed.into(), error: Some(error), output_uri: String::new() }
}

fn took(trace: &TraceAction) -> Duration {
    let seconds = |time: &Option<Timestamp>| time.as_ref().map_or(0.0, |time| time.seconds as f64 + f64::from(time.nanos) / 1e9);
    Duration::try_from_secs_f64(seconds(&trace.end_time) - seconds(&trace.start_time)).unwrap_or_default()
}
