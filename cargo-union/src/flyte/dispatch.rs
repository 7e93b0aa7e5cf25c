//! The services of a backend, whichever generation it is.
//!
//! A client with a cached generation detects it again when a response contradicts it, and repeats the call.

use async_trait::async_trait;

use super::backend::Backend;
use super::capabilities::BackendKind;
use super::client::{Client, Flyte2};
use super::convert::ProjectDomain;
use super::flyte1::Flyte1;
use super::idl::common::{Filter, OffloadedInputData};
use super::idl::dataproxy::{
    CreateUploadLocationRequest, CreateUploadLocationResponse, GetActionDataResponse,
};
use super::idl::logs::dataplane::LogLine;
use super::idl::project::Project;
use super::idl::task::{DeployTaskRequest, Inputs, Task, TaskDetails, TaskIdentifier};
use super::idl::workflow::{
    Action, ActionDetails, CreateRunRequest, ListActionsResponse, ListRunsResponse,
};
use super::rpc::RpcFailure;
use super::runs::{ActionIdent, Messages, RunIdent, RunService, TaskVersion};
use super::trigger_summary::TriggerSummary;

trait BackendServices: Backend + RunService {}

impl<T: Backend + RunService> BackendServices for T {}

impl Client {
    fn services(&self, kind: BackendKind) -> Box<dyn BackendServices> {
        match kind {
            BackendKind::Flyte1 => Box::new(Flyte1(self.clone())),
            BackendKind::Flyte2 => Box::new(Flyte2(self.clone())),
        }
    }

    /// Makes a call at the services of the backend's generation.
    async fn dispatch<T, F: Future<Output = Result<T, RpcFailure>>>(
        &self,
        call: impl Fn(Box<dyn BackendServices>) -> F,
    ) -> Result<T, RpcFailure> {
        let kind = self.kind().await?;
        match call(self.services(kind)).await {
            Err(failure) => match self.other_kind(kind, &failure).await? {
                Some(kind) => call(self.services(kind)).await,
                None => Err(failure),
            },
            result => result,
        }
    }
}

#[async_trait]
impl Backend for Client {
    async fn kind(&self) -> Result<BackendKind, RpcFailure> {
        Client::kind(self).await
    }

    async fn details(&self, id: TaskIdentifier) -> Result<Option<TaskDetails>, RpcFailure> {
        let id = &id;
        self.dispatch(|services| async move { Backend::details(&*services, id.clone()).await })
            .await
    }

    async fn latest(&self, scope: &ProjectDomain, name: &str) -> Result<Option<Task>, RpcFailure> {
        self.dispatch(|services| async move { services.latest(scope, name).await })
            .await
    }

    async fn tasks(&self, scope: &ProjectDomain, limit: u32) -> Result<Vec<Task>, RpcFailure> {
        self.dispatch(|services| async move { services.tasks(scope, limit).await })
            .await
    }

    async fn deploy(&self, request: &DeployTaskRequest) -> Result<(), RpcFailure> {
        self.dispatch(|services| async move { services.deploy(request).await })
            .await
    }

    async fn activate_declared(
        &self,
        request: &DeployTaskRequest,
        is_new: bool,
    ) -> Result<(), RpcFailure> {
        self.dispatch(|services| async move { services.activate_declared(request, is_new).await })
            .await
    }

    async fn list_triggers(
        &self,
        scope: &ProjectDomain,
        task: Option<&str>,
    ) -> Result<Vec<TriggerSummary>, RpcFailure> {
        self.dispatch(|services| async move { services.list_triggers(scope, task).await })
            .await
    }

    async fn triggers(
        &self,
        scope: &ProjectDomain,
        task: Option<&str>,
    ) -> Result<Option<Vec<TriggerSummary>>, RpcFailure> {
        self.dispatch(|services| async move { services.triggers(scope, task).await })
            .await
    }

    async fn trigger_version(
        &self,
        scope: &ProjectDomain,
        trigger: &TriggerSummary,
    ) -> Result<String, RpcFailure> {
        self.dispatch(|services| async move { services.trigger_version(scope, trigger).await })
            .await
    }

    async fn set_triggers_active(
        &self,
        scope: &ProjectDomain,
        triggers: &[TriggerSummary],
        active: bool,
    ) -> Result<(), RpcFailure> {
        self.dispatch(|services| async move {
            services.set_triggers_active(scope, triggers, active).await
        })
        .await
    }

    async fn upload_location(
        &self,
        request: &CreateUploadLocationRequest,
    ) -> Result<CreateUploadLocationResponse, RpcFailure> {
        self.dispatch(|services| async move { services.upload_location(request).await })
            .await
    }

    async fn project(&self, org: &str, id: &str) -> Result<Option<Project>, RpcFailure> {
        self.dispatch(|services| async move { services.project(org, id).await })
            .await
    }

    async fn projects(&self, org: &str) -> Result<Vec<Project>, RpcFailure> {
        self.dispatch(|services| async move { services.projects(org).await })
            .await
    }
}

#[async_trait]
impl RunService for Client {
    async fn upload(
        &self,
        task: &TaskVersion,
        run: &RunIdent,
        inputs: &Inputs,
    ) -> Result<Option<OffloadedInputData>, RpcFailure> {
        self.dispatch(|services| async move { services.upload(task, run, inputs).await })
            .await
    }

    async fn create(&self, request: &CreateRunRequest) -> Result<(), RpcFailure> {
        self.dispatch(|services| async move { services.create(request).await })
            .await
    }

    async fn details(&self, action: &ActionIdent) -> Result<ActionDetails, RpcFailure> {
        self.dispatch(|services| async move { RunService::details(&*services, action).await })
            .await
    }

    async fn watch(&self, action: &ActionIdent) -> Result<Messages<ActionDetails>, RpcFailure> {
        self.dispatch(|services| async move { services.watch(action).await })
            .await
    }

    async fn data(&self, action: &ActionIdent) -> Result<GetActionDataResponse, RpcFailure> {
        self.dispatch(|services| async move { services.data(action).await })
            .await
    }

    async fn actions(
        &self,
        run: &RunIdent,
        token: &str,
    ) -> Result<ListActionsResponse, RpcFailure> {
        self.dispatch(|services| async move { services.actions(run, token).await })
            .await
    }

    async fn watch_actions(&self, run: &RunIdent) -> Result<Messages<Vec<Action>>, RpcFailure> {
        self.dispatch(|services| async move { services.watch_actions(run).await })
            .await
    }

    async fn tail(
        &self,
        action: &ActionIdent,
        attempt: u32,
    ) -> Result<Messages<Vec<LogLine>>, RpcFailure> {
        self.dispatch(|services| async move { services.tail(action, attempt).await })
            .await
    }

    async fn abort(&self, run: &RunIdent, reason: &str) -> Result<(), RpcFailure> {
        self.dispatch(|services| async move { services.abort(run, reason).await })
            .await
    }

    async fn list(
        &self,
        scope: &ProjectDomain,
        limit: u32,
        token: &str,
        filters: Vec<Filter>,
    ) -> Result<ListRunsResponse, RpcFailure> {
        let filters = &filters;
        self.dispatch(|services| async move {
            services.list(scope, limit, token, filters.clone()).await
        })
        .await
    }
}
