//! Active triggers of a task that its current declaration does not have.
//!
//! A backend does not remove the triggers of earlier versions. A trigger belongs to this tool if the version with which
//! it was registered last has this tool's tag for it; a trigger that a user created otherwise is not changed.

use std::collections::BTreeMap;

use super::context::RegistrationContext;
use crate::flyte::convert::declares_trigger;
use crate::flyte::idl::task::TaskSpec;
use crate::flyte::triggers::TriggerSummary;
use crate::sys::error::Result;

/// The active triggers of a task that the version to register does not declare.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UndeclaredTriggers {
    /// Triggers that an earlier version declared; they are deactivated.
    pub ours: Vec<TriggerSummary>,
    /// The names of triggers that this tool did not create; they stay active.
    pub others: Vec<String>,
    /// Whether there may be further active triggers, because the backend does not list them.
    pub unknown: bool,
}

impl RegistrationContext<'_> {
    /// Divides the active triggers that are not declared into those of this tool and others.
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
