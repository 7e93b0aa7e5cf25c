//! A backend in memory that behaves like the open-source one: it overwrites tasks and does not store organizations.

use std::sync::Mutex;

use async_trait::async_trait;
use union_build::diag::Code;

use super::Backend;
use crate::flyte::convert::ProjectDomain;
use crate::flyte::idl::project::{Domain, Project};
use crate::flyte::idl::task::task_triggers_summary::{Summary, TriggerStats};
use crate::flyte::idl::task::{
    DeployTaskRequest, Task, TaskDetails, TaskIdentifier, TaskMetadata, TaskTriggersSummary,
};
use crate::flyte::rpc::RpcFailure;

/// The registered tasks, in the order of their first registration.
#[derive(Default)]
pub(crate) struct FakeBackend {
    pub(crate) tasks: Mutex<Vec<DeployTaskRequest>>,
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

    async fn deploy(&self, request: &DeployTaskRequest) -> Result<(), RpcFailure> {
        if self
            .refuses
            .is_some_and(|refused| refused == id(request).name)
        {
            return Err(RpcFailure::new(Code::BackendRefused, "it refuses"));
        }
        *self.writes.lock().expect("the mutex is not poisoned") += 1;
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
        };
        Ok(self.projects.iter().map(project).collect())
    }
}
