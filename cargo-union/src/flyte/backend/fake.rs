//! A backend in memory that behaves like the open-source one: it overwrites tasks and does not store organizations.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use union_build::diag::Code;

use super::Backend;
use crate::flyte::capabilities::BackendKind;
use crate::flyte::convert::ProjectDomain;
use crate::flyte::idl::dataproxy::{CreateUploadLocationRequest, CreateUploadLocationResponse};
use crate::flyte::idl::project::{Domain, Project};
use crate::flyte::idl::task::task_triggers_summary::{Summary, TriggerStats};
use crate::flyte::idl::task::{
    DeployTaskRequest, Task, TaskDetails, TaskIdentifier, TaskMetadata, TaskTriggersSummary,
};
use crate::flyte::rpc::RpcFailure;
use crate::flyte::trigger_summary::TriggerSummary;

/// The registered tasks, in the order of their first registration.
#[derive(Default)]
pub(crate) struct FakeBackend {
    pub(crate) tasks: Mutex<Vec<DeployTaskRequest>>,
    /// Triggers with the versions of their last registration, by `task/name`.
    pub(crate) triggers: Mutex<BTreeMap<String, (TriggerSummary, String)>>,
    /// Whether it has no service for triggers.
    pub(crate) lists_no_triggers: bool,
    /// Number of `deploy` calls that succeeded.
    pub(crate) writes: Mutex<usize>,
    /// Project names with their domains.
    pub(crate) projects: Vec<(&'static str, Vec<&'static str>)>,
    /// The name of a task that `deploy` refuses.
    pub(crate) refuses: Option<&'static str>,
}

impl FakeBackend {
    pub(crate) fn writes(&self) -> usize {
        *self.writes.lock().expect("the mutex is not poisoned")
    }
}

/// The identity of a version; the organization is not stored.
fn key(id: &TaskIdentifier) -> (&str, &str, &str, &str) {
    (&id.project, &id.domain, &id.name, &id.version)
}

fn id(task: &DeployTaskRequest) -> &TaskIdentifier {
    task.task_id.as_ref().expect("a request has an identifier")
}

fn metadata(task: &DeployTaskRequest) -> TaskMetadata {
    let environment = task
        .spec
        .as_ref()
        .and_then(|spec| spec.environment.as_ref());
    let total = u32::try_from(task.triggers.len()).expect("few triggers");
    TaskMetadata {
        deployed_at: None,
        environment_name: environment
            .map(|environment| environment.name.clone())
            .unwrap_or_default(),
        triggers_summary: Some(TaskTriggersSummary {
            summary: Some(Summary::Stats(TriggerStats { total })),
        }),
    }
}

#[async_trait]
impl Backend for FakeBackend {
    async fn kind(&self) -> Result<BackendKind, RpcFailure> {
        Ok(BackendKind::Flyte2)
    }

    async fn details(&self, id: TaskIdentifier) -> Result<Option<TaskDetails>, RpcFailure> {
        let tasks = self.tasks.lock().expect("the mutex is not poisoned");
        let stored = tasks.iter().find(|task| key(self::id(task)) == key(&id));
        Ok(stored.map(|task| {
            let mut spec = task.spec.clone();
            if let Some(id) = spec
                .as_mut()
                .and_then(|spec| spec.task_template.as_mut()?.id.as_mut())
            {
                id.org.clear();
            }
            TaskDetails {
                task_id: task.task_id.clone(),
                metadata: Some(metadata(task)),
                spec,
            }
        }))
    }

    async fn latest(&self, scope: &ProjectDomain, name: &str) -> Result<Option<Task>, RpcFailure> {
        let has_name = |task: &&DeployTaskRequest| {
            let id = id(task);
            (&id.project, &id.domain, id.name.as_str()) == (&scope.project, &scope.domain, name)
        };
        let tasks = self.tasks.lock().expect("the mutex is not poisoned");
        Ok(tasks.iter().rfind(has_name).map(|task| Task {
            task_id: task.task_id.clone(),
            metadata: Some(metadata(task)),
        }))
    }

    async fn tasks(&self, _: &ProjectDomain, _: u32) -> Result<Vec<Task>, RpcFailure> {
        let tasks = self.tasks.lock().expect("the mutex is not poisoned");
        Ok(tasks
            .iter()
            .map(|task| Task {
                task_id: task.task_id.clone(),
                metadata: Some(metadata(task)),
            })
            .collect())
    }

    async fn list_triggers(
        &self,
        _: &ProjectDomain,
        task: Option<&str>,
    ) -> Result<Vec<TriggerSummary>, RpcFailure> {
        let triggers = self.triggers.lock().expect("the mutex is not poisoned");
        let listed = triggers.values().map(|(trigger, _)| trigger);
        Ok(listed
            .filter(|trigger| task.is_none_or(|task| trigger.task == task))
            .cloned()
            .collect())
    }

    async fn upload_location(
        &self,
        _: &CreateUploadLocationRequest,
    ) -> Result<CreateUploadLocationResponse, RpcFailure> {
        Err(RpcFailure::new(Code::BackendRefused, "it has no store"))
    }

    async fn triggers(
        &self,
        scope: &ProjectDomain,
        task: Option<&str>,
    ) -> Result<Option<Vec<TriggerSummary>>, RpcFailure> {
        let listed = self.list_triggers(scope, task).await?;
        Ok((!self.lists_no_triggers).then_some(listed))
    }

    async fn trigger_version(
        &self,
        _: &ProjectDomain,
        trigger: &TriggerSummary,
    ) -> Result<String, RpcFailure> {
        let triggers = self.triggers.lock().expect("the mutex is not poisoned");
        let found = triggers.get(&trigger.path());
        Ok(found
            .map(|(_, version)| version.clone())
            .unwrap_or_default())
    }

    async fn set_triggers_active(
        &self,
        _: &ProjectDomain,
        changed: &[TriggerSummary],
        active: bool,
    ) -> Result<(), RpcFailure> {
        let mut triggers = self.triggers.lock().expect("the mutex is not poisoned");
        for trigger in changed {
            if let Some((known, _)) = triggers.get_mut(&trigger.path()) {
                known.active = active;
            }
        }
        Ok(())
    }

    async fn deploy(&self, request: &DeployTaskRequest) -> Result<(), RpcFailure> {
        if self
            .refuses
            .is_some_and(|refused| refused == id(request).name)
        {
            return Err(RpcFailure::new(Code::BackendRefused, "it refuses"));
        }
        *self.writes.lock().expect("the mutex is not poisoned") += 1;
        for trigger in &request.triggers {
            let spec = trigger.spec.as_ref();
            let summary = TriggerSummary {
                name: trigger.name.clone(),
                task: id(request).name.clone(),
                active: spec.is_some_and(|spec| spec.active),
                schedule: String::new(),
                fired: None,
            };
            let version = id(request).version.clone();
            let mut triggers = self.triggers.lock().expect("the mutex is not poisoned");
            triggers.insert(summary.path(), (summary, version));
        }
        let mut tasks = self.tasks.lock().expect("the mutex is not poisoned");
        match tasks
            .iter_mut()
            .find(|task| key(id(task)) == key(id(request)))
        {
            Some(existing) => existing.clone_from(request),
            None => tasks.push(request.clone()),
        }
        Ok(())
    }

    async fn project(&self, _: &str, id: &str) -> Result<Option<Project>, RpcFailure> {
        Ok(self
            .projects("")
            .await?
            .into_iter()
            .find(|project| project.id == id))
    }

    async fn projects(&self, _: &str) -> Result<Vec<Project>, RpcFailure> {
        let domain = |id: &&str| Domain {
            id: (*id).to_owned(),
            name: String::new(),
        };
        let project = |(id, domains): &(&str, Vec<&str>)| Project {
            id: (*id).to_owned(),
            name: String::new(),
            domains: domains.iter().map(domain).collect(),
            ..Project::default()
        };
        Ok(self.projects.iter().map(project).collect())
    }
}
