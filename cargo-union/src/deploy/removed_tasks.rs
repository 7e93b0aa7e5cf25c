//! Triggers of tasks whose tables were removed from the manifests.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use union_build::diag::Origin;

use super::TaskRegistration;
use crate::flyte::client::Client;
use crate::flyte::convert::ProjectDomain;
use crate::flyte::register::{DeclaredTasks, deactivate_removed};
use crate::flyte::triggers::TriggerSummary;
use crate::image::reference::Repository;
use crate::pipeline::Reporter;
use crate::pipeline::context::{LoadedWorkspace, UnionPackage, project_domain};
use crate::sys::error::{Error, Result};

/// The active triggers of removed tasks, by project and domain.
#[derive(Default)]
pub(super) struct RemovedTriggers(Vec<(ProjectDomain, Vec<TriggerSummary>)>);

impl RemovedTriggers {
    /// Finds the triggers of tasks that are not among `tasks`, which are all tasks of the packages.
    ///
    /// # Errors
    /// `ProjectMissing`; failures of the calls.
    pub(super) async fn find(
        client: &Client,
        session: &LoadedWorkspace,
        tasks: &[TaskRegistration<'_>],
    ) -> Result<Self> {
        let mut scopes: BTreeMap<ProjectDomain, DeclaredTasks> = BTreeMap::new();
        for package in &session.packages {
            let scope = project_domain(package, &session.backend)?;
            let declared = scopes.entry(scope).or_default();
            declared.repositories.extend(own_repositories(package));
        }
        for task in tasks {
            let declared = scopes.entry(task.scope.clone()).or_default();
            declared.names.insert(task.source.name.clone());
        }
        let lookups = scopes.into_iter().map(|(scope, declared)| async move {
            let triggers = declared.triggers_of_removed(client, &scope).await?;
            Ok::<_, Error>((scope, triggers))
        });
        try_join_all(lookups).await.map(Self)
    }

    /// Deactivates the triggers, and reports each; a dry run only reports them. Returns all of them.
    ///
    /// # Errors
    /// Failures of the calls.
    pub(super) async fn deactivate(
        self,
        client: &Client,
        dry_run: bool,
        reporter: &dyn Reporter,
    ) -> Result<Vec<TriggerSummary>> {
        let verb = if dry_run { "Would stop" } else { "Deactivated" };
        let mut deactivated = Vec::new();
        for (scope, triggers) in self.0 {
            if !dry_run {
                deactivate_removed(client, &scope, &triggers).await?;
            }
            for trigger in &triggers {
                let path = trigger.path();
                reporter.status(verb, &format!("{path}, whose task is not declared"));
            }
            deactivated.extend(triggers);
        }
        Ok(deactivated)
    }
}

/// The repositories of a package's images that are named after the package. A repository that the manifest names may be
/// shared with other packages.
fn own_repositories(package: &UnionPackage) -> impl Iterator<Item = Repository> {
    let images = package.spec.images.values();
    images
        .filter(|image| image.name.origin == Origin::Default)
        .filter_map(|image| {
            let registry = image.registry.as_ref()?;
            Some(Repository::below(registry, &image.name))
        })
}
