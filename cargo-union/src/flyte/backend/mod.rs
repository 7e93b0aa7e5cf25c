//! The methods of a backend that registration uses, as a trait, so that tests can replace the backend.

#[cfg(test)]
pub(super) mod fake;
mod triggers;

use async_trait::async_trait;

use super::capabilities::BackendKind;
use super::client::{Flyte2, Operation, Resource};
use super::convert::ProjectDomain;
use super::idl::common::filter::Function;
use super::idl::common::{self, Filter};
use super::idl::dataproxy::{CreateUploadLocationRequest, CreateUploadLocationResponse};
use super::idl::project::{
    GetProjectRequest, GetProjectResponse, ListProjectsRequest, ListProjectsResponse, Project,
};
use super::idl::task::list_tasks_request::ScopeBy;
use super::idl::task::{
    DeployTaskRequest, DeployTaskResponse, GetTaskDetailsRequest, GetTaskDetailsResponse,
    ListTasksRequest, ListTasksResponse, Task, TaskDetails, TaskIdentifier,
};
use super::pages::newest;
use super::rpc::{RpcFailure, RpcStatus, Unary};
use super::trigger_summary::TriggerSummary;

/// A service for projects and tasks.
#[async_trait]
pub trait Backend: Send + Sync {
    /// The generation of the backend, which decides how requests are rendered.
    async fn kind(&self) -> Result<BackendKind, RpcFailure>;

    /// A version of a task; `None` when it does not exist.
    async fn details(&self, id: TaskIdentifier) -> Result<Option<TaskDetails>, RpcFailure>;

    /// The latest version of a task; `None` when the task does not exist.
    async fn latest(&self, scope: &ProjectDomain, name: &str) -> Result<Option<Task>, RpcFailure>;

    /// The latest versions of tasks, most recently registered first.
    async fn tasks(&self, scope: &ProjectDomain, limit: u32) -> Result<Vec<Task>, RpcFailure>;

    /// The triggers of a project and domain, or of one task of it, sorted by task and name.
    async fn list_triggers(
        &self,
        scope: &ProjectDomain,
        task: Option<&str>,
    ) -> Result<Vec<TriggerSummary>, RpcFailure>;

    /// The triggers of a project and domain, or of one task of it, that may be active; `None` when the backend has no
    /// service for triggers.
    async fn triggers(
        &self,
        scope: &ProjectDomain,
        task: Option<&str>,
    ) -> Result<Option<Vec<TriggerSummary>>, RpcFailure>;

    /// The version of its task with which a trigger was registered last.
    async fn trigger_version(
        &self,
        scope: &ProjectDomain,
        trigger: &TriggerSummary,
    ) -> Result<String, RpcFailure>;

    /// Activates or deactivates triggers.
    async fn set_triggers_active(
        &self,
        scope: &ProjectDomain,
        triggers: &[TriggerSummary],
        active: bool,
    ) -> Result<(), RpcFailure>;

    /// The signed URL for the upload of content.
    async fn upload_location(
        &self,
        request: &CreateUploadLocationRequest,
    ) -> Result<CreateUploadLocationResponse, RpcFailure>;

    /// Registers a task. The open-source backend overwrites an existing version.
    async fn deploy(&self, request: &DeployTaskRequest) -> Result<(), RpcFailure>;

    /// Activates the triggers of a registered task, where they are not part of the task itself. `is_new` is whether the
    /// task was registered just now.
    async fn activate_declared(
        &self,
        request: &DeployTaskRequest,
        is_new: bool,
    ) -> Result<(), RpcFailure> {
        let _ = (request, is_new);
        Ok(())
    }

    /// A project; `None` when it does not exist.
    async fn project(&self, org: &str, id: &str) -> Result<Option<Project>, RpcFailure>;

    /// All projects of an organization.
    async fn projects(&self, org: &str) -> Result<Vec<Project>, RpcFailure>;
}

const TASKS: &str = "flyteidl2.task.TaskService";
const PROJECTS: &str = "flyteidl2.project.ProjectService";

// Registering the same content twice has no further effect, so an interrupted call can be retried.
const DEPLOY: Unary<DeployTaskRequest, DeployTaskResponse> = Unary::repeatable(TASKS, "DeployTask");
const DETAILS: Unary<GetTaskDetailsRequest, GetTaskDetailsResponse> =
    Unary::repeatable(TASKS, "GetTaskDetails");
const LIST: Unary<ListTasksRequest, ListTasksResponse> = Unary::repeatable(TASKS, "ListTasks");
const PROJECT: Unary<GetProjectRequest, GetProjectResponse> =
    Unary::repeatable(PROJECTS, "GetProject");
// The same content has the same location.
const UPLOAD_LOCATION: Unary<CreateUploadLocationRequest, CreateUploadLocationResponse> =
    Unary::repeatable(
        "flyteidl2.dataproxy.DataProxyService",
        "CreateUploadLocation",
    );
const LIST_PROJECTS: Unary<ListProjectsRequest, ListProjectsResponse> =
    Unary::repeatable(PROJECTS, "ListProjects");

#[async_trait]
impl Backend for Flyte2 {
    async fn kind(&self) -> Result<BackendKind, RpcFailure> {
        Ok(BackendKind::Flyte2)
    }

    async fn details(&self, id: TaskIdentifier) -> Result<Option<TaskDetails>, RpcFailure> {
        let response = not_found_as_none(
            self.unary(DETAILS, &GetTaskDetailsRequest { task_id: Some(id) })
                .await,
        )?;
        Ok(response.and_then(|response| response.details))
    }

    async fn latest(&self, scope: &ProjectDomain, name: &str) -> Result<Option<Task>, RpcFailure> {
        let by_name = Filter {
            function: Function::Equal.into(),
            field: "name".to_owned(),
            values: vec![name.to_owned()],
        };
        let tasks = self
            .unary(LIST, &tasks(scope, 1, vec![by_name]))
            .await?
            .tasks;
        Ok(tasks.into_iter().next())
    }

    async fn tasks(&self, scope: &ProjectDomain, limit: u32) -> Result<Vec<Task>, RpcFailure> {
        Ok(self
            .unary(LIST, &tasks(scope, limit, Vec::new()))
            .await?
            .tasks)
    }

    async fn list_triggers(
        &self,
        scope: &ProjectDomain,
        task: Option<&str>,
    ) -> Result<Vec<TriggerSummary>, RpcFailure> {
        triggers::list(self, scope, task).await
    }

    async fn triggers(
        &self,
        scope: &ProjectDomain,
        task: Option<&str>,
    ) -> Result<Option<Vec<TriggerSummary>>, RpcFailure> {
        match triggers::list(self, scope, task).await {
            Err(failure) if failure.is(RpcStatus::Unimplemented) => Ok(None),
            triggers => triggers.map(Some),
        }
    }

    async fn trigger_version(
        &self,
        scope: &ProjectDomain,
        trigger: &TriggerSummary,
    ) -> Result<String, RpcFailure> {
        triggers::version(self, scope, trigger).await
    }

    async fn set_triggers_active(
        &self,
        scope: &ProjectDomain,
        triggers: &[TriggerSummary],
        active: bool,
    ) -> Result<(), RpcFailure> {
        triggers::set_active(self, scope, triggers, active).await
    }

    async fn upload_location(
        &self,
        request: &CreateUploadLocationRequest,
    ) -> Result<CreateUploadLocationResponse, RpcFailure> {
        let project = common::ProjectIdentifier {
            organization: request.org.clone(),
            name: request.project.clone(),
            domain: request.domain.clone(),
        };
        let operation = Operation::CreateUploadLocation;
        let client = self.at(operation, Resource::ProjectId(project)).await?;
        client.unary(UPLOAD_LOCATION, request).await
    }

    async fn deploy(&self, request: &DeployTaskRequest) -> Result<(), RpcFailure> {
        self.unary(DEPLOY, request).await.map(drop)
    }

    async fn project(&self, org: &str, id: &str) -> Result<Option<Project>, RpcFailure> {
        let request = GetProjectRequest {
            id: id.to_owned(),
            org: org.to_owned(),
        };
        Ok(not_found_as_none(self.unary(PROJECT, &request).await)?
            .and_then(|response| response.project))
    }

    async fn projects(&self, org: &str) -> Result<Vec<Project>, RpcFailure> {
        let mut request = ListProjectsRequest {
            limit: 100,
            token: String::new(),
            org: org.to_owned(),
        };
        let mut projects = Vec::new();
        loop {
            let page = self
                .unary(LIST_PROJECTS, &request)
                .await?
                .projects
                .unwrap_or_default();
            projects.extend(page.projects);
            // Bounds the loop when a backend returns the same page forever.
            if page.token.is_empty() || page.token == request.token || projects.len() >= 1_000 {
                return Ok(projects);
            }
            request.token = page.token;
        }
    }
}

fn tasks(scope: &ProjectDomain, limit: u32, filters: Vec<Filter>) -> ListTasksRequest {
    ListTasksRequest {
        request: Some(newest(limit, filters)),
        scope_by: Some(ScopeBy::ProjectId(scope.id())),
    }
}

fn not_found_as_none<T>(answer: Result<T, RpcFailure>) -> Result<Option<T>, RpcFailure> {
    match answer {
        Err(failure) if failure.is(RpcStatus::NotFound) => Ok(None),
        answer => answer.map(Some),
    }
}
