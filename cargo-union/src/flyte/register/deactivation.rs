//! Active triggers of a task that its present declaration does not have.
//!
//! A backend keeps the triggers of earlier versions. A trigger is this tool's if the version with which it was registered
//! last has the tag of this tool for it; one that somebody made by hand is left as it is.

use std::collections::BTreeMap;

use super::context::RegistrationContext;
use crate::flyte::convert::declares_trigger;
use crate::flyte::idl::task::TaskSpec;
use crate::flyte::triggers::TriggerSummary;
use crate::sys::error::Result;

/// The active triggers of a task that the version to register does not declare.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UndeclaredTriggers {
    /// Those that an earlier version declared, which are deactivated.
    pub ours: Vec<TriggerSummary>,
    /// The names of those that somebody else made, which stay active.
    pub others: Vec<String>,
    /// Whether there may be some, at a backend that does not list triggers.
    pub unknown: bool,
}

impl RegistrationContext<'_> {
    /// Sorts the active triggers that are not declared.
    pub(super) async fn undeclared(
        &self,
        triggers: Vec<TriggerSummary>,
    ) -> Result<UndeclaredTriggers> {
        let mut undeclared = UndeclaredTriggers::default();
        let mut specs: BTreeMap<String, Option<TaskSpec>> = BTreeMap::new();
        let declared = &self.subject.task.triggers;
        let is_undeclared =
            |trigger: &TriggerSummary| trigger.active && !declared.contains_key(&trigger.name);
        for trigger in triggers.into_iter().filter(is_undeclared) {
            let version = self.backend.trigger_version(self.scope, &trigger).await;
            let version = version.map_err(|failure| self.lookup_error(failure))?;
            if !specs.contains_key(&version) {
                let spec = self.details(&version).await;
                let spec = spec.map_err(|failure| self.lookup_error(failure))?;
                specs.insert(version.clone(), spec);
            }
            let spec = specs.get(&version).and_then(Option::as_ref);
            if spec.is_some_and(|spec| declares_trigger(spec, &trigger.name)) {
                undeclared.ours.push(trigger);
            } else {
                undeclared.others.push(trigger.name);
            }
        }
        Ok(undeclared)
    }
}
