//! Active triggers of tasks whose tables were removed from the manifest.
//!
//! A task belongs to the declaring packages if its image is in one of their repositories. A trigger belongs to this
//! tool if the version with which it was registered last has this tool's tag for it.

use std::collections::BTreeSet;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::context::registered_spec;
use crate::flyte::backend::Backend;
use crate::flyte::convert::{ProjectDomain, declares_trigger};
use crate::flyte::idl::core::task_template::Target;
use crate::flyte::idl::task::TaskSpec;
use crate::flyte::rpc::RpcFailure;
use crate::flyte::triggers::TriggerSummary;
use crate::image::reference::{BaseRef, Repository};
use crate::sys::error::Result;

/// How many triggers are looked up at once.
const LOOKUPS_AT_ONCE: usize = 50;

/// All tasks that packages declare in a project and domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeclaredTasks {
    /// Their names at the backend.
    pub names: BTreeSet<String>,
    /// The repositories of the packages' images; no other package uses them.
    pub repositories: BTreeSet<Repository>,
}

impl DeclaredTasks {
    /// The active triggers of tasks that these packages have declared before, sorted by task and name. None at a backend
    /// without a service for triggers.
    ///
    /// # Errors
    /// Failures of the calls.
    pub async fn triggers_of_removed(
        &self,
        backend: &dyn Backend,
        scope: &ProjectDomain,
    ) -> Result<Vec<TriggerSummary>> {
        let found = self.find(backend, scope).await;
        found.map_err(|failure| {
            failure.into_error(format!(
                "could not look for triggers of removed tasks in {}/{}",
                scope.project, scope.domain
            ))
        })
    }

    async fn find(
        &self,
        backend: &dyn Backend,
        scope: &ProjectDomain,
    ) -> Result<Vec<TriggerSummary>, RpcFailure> {
        let triggers = backend.triggers(scope, None).await?.unwrap_or_default();
        let of_others = triggers
            .into_iter()
            .filter(|trigger| trigger.active && !self.names.contains(&trigger.task));
        let lookups = of_others.map(|trigger| async move {
            let version = backend.trigger_version(scope, &trigger).await?;
            let spec = registered_spec(backend, scope, &trigger.task, &version).await?;
            let is_ours = spec.is_some_and(|spec| {
                declares_trigger(&spec, &trigger.name) && self.has_image_of(&spec)
            });
            Ok::<_, RpcFailure>(is_ours.then_some(trigger))
        });
        let found: Vec<Option<TriggerSummary>> = stream::iter(lookups)
            .buffered(LOOKUPS_AT_ONCE)
            .try_collect()
            .await?;
        Ok(found.into_iter().flatten().collect())
    }

    fn has_image_of(&self, spec: &TaskSpec) -> bool {
        let target = spec
            .task_template
            .as_ref()
            .and_then(|template| template.target.as_ref());
        target.is_some_and(|Target::Container(container)| {
            let image = container.image.parse::<BaseRef>();
            image.is_ok_and(|image| self.repositories.contains(&image.repository))
        })
    }
}

/// Deactivates triggers of removed tasks.
///
/// # Errors
/// Failures of the call.
pub async fn deactivate_removed(
    backend: &dyn Backend,
    scope: &ProjectDomain,
    triggers: &[TriggerSummary],
) -> Result<()> {
    if triggers.is_empty() {
        return Ok(());
    }
    let deactivated = backend.set_triggers_active(scope, triggers, false).await;
    deactivated.map_err(|failure| {
        let error = failure.into_error(format!(
            "could not deactivate the triggers of removed tasks in {}/{}",
            scope.project, scope.domain
        ));
        error.help("The declared tasks are registered. Run `cargo union register` again.")
    })
}
