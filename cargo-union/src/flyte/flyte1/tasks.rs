//! Tasks and projects of Flyte 1.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::Flyte1;
use super::launch_plans;
use super::schedules::{exists, plan_name, version_of};
use super::task::{create_task, details, summary};
use crate::flyte::backend::Backend;
use crate::flyte::capabilities::BackendKind;
use crate::flyte::convert::ProjectDomain;
use crate::flyte::idl::dataproxy::{CreateUploadLocationRequest, CreateUploadLocationResponse};
use crate::flyte::idl::project::{Domain, Project};
use crate::flyte::idl::task::{DeployTaskRequest, Task, TaskDetails, TaskIdentifier};
use crate::flyte::idl::v1::admin::{self, Projects, TaskCreateResponse, TaskList};
use crate::flyte::rpc::{RestCall, RpcFailure, RpcStatus};
use crate::flyte::trigger_summary::TriggerSummary;

/// The maximum number of entries in one request.
const PAGE: u32 = 100;
/// The maximum number of pages, which bounds the loop when a backend returns the same page forever.
const MOST_PAGES: usize = 20;

/// The newest first.
pub(super) fn newest<T>(call: RestCall<T>, limit: u32) -> RestCall<T> {
    call.query("limit", limit)
        .query("sort_by.key", "created_at")
        .query("sort_by.direction", "DESCENDING")
}

#[async_trait]
impl Backend for Flyte1 {
    async fn kind(&self) -> Result<BackendKind, RpcFailure> {
        Ok(BackendKind::Flyte1)
    }

    async fn details(&self, id: TaskIdentifier) -> Result<Option<TaskDetails>, RpcFailure> {
        let path = [
            "api",
            "v1",
            "tasks",
            &id.project,
            &id.domain,
            &id.name,
            &id.version,
        ];
        let call: RestCall<admin::Task> = RestCall::get("GetTask", &path);
        match self.0.rest(&call).await {
            Err(failure) if failure.is(RpcStatus::NotFound) => Ok(None),
            task => task.map(details),
        }
    }

    async fn latest(&self, scope: &ProjectDomain, name: &str) -> Result<Option<Task>, RpcFailure> {
        let path = ["api", "v1", "tasks", &scope.project, &scope.domain, name];
        let call: RestCall<TaskList> = newest(RestCall::get("ListTasks", &path), 1);
        let tasks = self.0.rest(&call).await?.tasks;
        Ok(tasks.first().map(summary))
    }

    async fn tasks(&self, scope: &ProjectDomain, limit: u32) -> Result<Vec<Task>, RpcFailure> {
        let path = ["api", "v1", "tasks", &scope.project, &scope.domain];
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut names = BTreeSet::new();
        let mut tasks = Vec::new();
        let mut token = String::new();
        // All versions are listed, so that several pages may be needed for the latest versions of `limit` tasks.
        for _ in 0..MOST_PAGES {
            let call: RestCall<TaskList> =
                newest(RestCall::get("ListTasks", &path), PAGE).query("token", &token);
            let page = self.0.rest(&call).await?;
            for task in &page.tasks {
                let name = task
                    .id
                    .as_ref()
                    .map(|id| id.name.clone())
                    .unwrap_or_default();
                if names.insert(name) {
                    tasks.push(summary(task));
                }
            }
            if tasks.len() >= limit || page.token.is_empty() || page.token == token {
                break;
            }
            token = page.token;
        }
        tasks.truncate(limit);
        Ok(tasks)
    }

    async fn deploy(&self, request: &DeployTaskRequest) -> Result<(), RpcFailure> {
        let call: RestCall<TaskCreateResponse> =
            RestCall::post("CreateTask", &["api", "v1", "tasks"], &create_task(request));
        // The same content under the same version: an earlier attempt or another machine has registered it.
        exists(self.0.rest(&call).await)
    }

    async fn activate_declared(
        &self,
        request: &DeployTaskRequest,
        is_new: bool,
    ) -> Result<(), RpcFailure> {
        self.activate_plans(request, is_new).await
    }

    async fn list_triggers(
        &self,
        scope: &ProjectDomain,
        task: Option<&str>,
    ) -> Result<Vec<TriggerSummary>, RpcFailure> {
        launch_plans::list(&self.0, scope, task).await
    }

    /// Those that are active.
    async fn triggers(
        &self,
        scope: &ProjectDomain,
        task: Option<&str>,
    ) -> Result<Option<Vec<TriggerSummary>>, RpcFailure> {
        let active = self.0.active_plans(&scope.project, &scope.domain).await?;
        let chosen = active
            .iter()
            .filter_map(launch_plans::summary)
            .filter(|trigger| task.is_none_or(|task| trigger.task == task));
        Ok(Some(chosen.collect()))
    }

    async fn trigger_version(
        &self,
        scope: &ProjectDomain,
        trigger: &TriggerSummary,
    ) -> Result<String, RpcFailure> {
        let active = self.0.active_plans(&scope.project, &scope.domain).await?;
        let id = version_of(&active, &plan_name(&trigger.task, &trigger.name));
        Ok(id.map(|id| id.version.clone()).unwrap_or_default())
    }

    async fn set_triggers_active(
        &self,
        scope: &ProjectDomain,
        triggers: &[TriggerSummary],
        active: bool,
    ) -> Result<(), RpcFailure> {
        launch_plans::update(&self.0, scope, triggers, active).await
    }

    /// The messages are equal on the wire. The server signs no metadata.
    async fn upload_location(
        &self,
        request: &CreateUploadLocationRequest,
    ) -> Result<CreateUploadLocationResponse, RpcFailure> {
        let request = CreateUploadLocationRequest {
            add_content_md5_metadata: false,
            ..request.clone()
        };
        let path = ["api", "v1", "dataproxy", "artifact_urn"];
        let call = RestCall::post("CreateUploadLocation", &path, &request);
        self.0.rest(&call).await
    }

    async fn project(&self, org: &str, id: &str) -> Result<Option<Project>, RpcFailure> {
        let projects = self.projects(org).await?;
        Ok(projects.into_iter().find(|project| project.id == id))
    }

    async fn projects(&self, _: &str) -> Result<Vec<Project>, RpcFailure> {
        let mut projects = Vec::new();
        let mut token = String::new();
        for _ in 0..MOST_PAGES {
            let call: RestCall<Projects> =
                RestCall::get("ListProjects", &["api", "v1", "projects"])
                    .query("limit", PAGE)
                    .query("token", &token);
            let page = self.0.rest(&call).await?;
            projects.extend(page.projects.into_iter().map(project));
            if page.token.is_empty() || page.token == token {
                break;
            }
            token = page.token;
        }
        Ok(projects)
    }
}

fn project(project: admin::Project) -> Project {
    let domains = project.domains.into_iter().map(|domain| Domain {
        id: domain.id,
        name: domain.name,
    });
    Project {
        id: project.id,
        name: project.name,
        description: project.description,
        // The numbers of the states are equal.
        state: project.state,
        domains: domains.collect(),
    }
}
