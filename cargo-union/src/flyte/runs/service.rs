//! The methods of a backend that runs use, as a trait, so that tests can replace the backend.

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;

use super::{RunIdent, TaskVersion};
use crate::flyte::client::{Client, Operation, Resource};
use crate::flyte::convert::ProjectDomain;
use crate::flyte::idl::Message;
use crate::flyte::idl::common::{Filter, ListRequest, OffloadedInputData};
use crate::flyte::idl::dataproxy::upload_inputs_request::{Id as UploadFor, Task as UploadTask};
use crate::flyte::idl::dataproxy::{
    GetActionDataRequest, GetActionDataResponse, TailLogsRequest, TailLogsResponse,
    UploadInputsRequest, UploadInputsResponse,
};
use crate::flyte::idl::logs::dataplane::LogLine;
use crate::flyte::idl::task::{Inputs, Outputs};
use crate::flyte::idl::workflow::list_runs_request::ScopeBy;
use crate::flyte::idl::workflow::{
    AbortRunRequest, AbortRunResponse, ActionDetails, CreateRunRequest, CreateRunResponse,
    GetActionDetailsRequest, GetActionDetailsResponse, ListRunsRequest, ListRunsResponse,
    WatchActionDetailsRequest, WatchActionDetailsResponse,
};
use crate::flyte::paging::newest;
use crate::flyte::rpc::{RpcFailure, RpcStatus, Streaming, Unary};

/// A stream of messages.
pub type Messages<T> = BoxStream<'static, Result<T, RpcFailure>>;

/// A service for runs.
#[async_trait]
pub trait RunService: Send + Sync {
    /// Uploads inputs to the backend's store; `None` when the backend takes inputs with the run itself.
    async fn upload(
        &self,
        task: &TaskVersion,
        run: &RunIdent,
        inputs: &Inputs,
    ) -> Result<Option<OffloadedInputData>, RpcFailure>;

    /// Creates a run. An existing run of the same name is left unchanged.
    async fn create(&self, request: &CreateRunRequest) -> Result<(), RpcFailure>;

    /// The current state of a run.
    async fn details(&self, run: &RunIdent) -> Result<ActionDetails, RpcFailure>;

    /// A stream of the states of a run, from the current one.
    async fn watch(&self, run: &RunIdent) -> Result<Messages<ActionDetails>, RpcFailure>;

    /// A stream of the logs of an attempt, from the first line.
    async fn tail(
        &self,
        run: &RunIdent,
        attempt: u32,
    ) -> Result<Messages<Vec<LogLine>>, RpcFailure>;

    /// The outputs of a successful run.
    async fn outputs(&self, run: &RunIdent) -> Result<Outputs, RpcFailure>;

    /// Aborts a run. A run that does not exist counts as aborted.
    async fn abort(&self, run: &RunIdent, reason: &str) -> Result<(), RpcFailure>;

    /// A page of runs, newest first, after the page with `token`.
    async fn list(
        &self,
        scope: &ProjectDomain,
        limit: u32,
        token: &str,
        filters: Vec<Filter>,
    ) -> Result<ListRunsResponse, RpcFailure>;
}

const RUNS: &str = "flyteidl2.workflow.RunService";
const DATA: &str = "flyteidl2.dataproxy.DataProxyService";

const DETAILS: Unary<GetActionDetailsRequest, GetActionDetailsResponse> =
    Unary::repeatable(RUNS, "GetActionDetails");
const WATCH: Streaming<WatchActionDetailsRequest, WatchActionDetailsResponse> =
    Streaming::new(RUNS, "WatchActionDetails");
const ABORT: Unary<AbortRunRequest, AbortRunResponse> = Unary::repeatable(RUNS, "AbortRun");
const LIST: Unary<ListRunsRequest, ListRunsResponse> = Unary::repeatable(RUNS, "ListRuns");
const TAIL: Streaming<TailLogsRequest, TailLogsResponse> = Streaming::new(DATA, "TailLogs");
const ACTION_DATA: Unary<GetActionDataRequest, GetActionDataResponse> =
    Unary::repeatable(DATA, "GetActionData");

/// Uploads inputs to the backend's store, in either message type; `None` when the backend takes inputs with the run.
pub(in crate::flyte) async fn offload<M: Message>(
    client: &Client,
    scope: &ProjectDomain,
    inputs: &M,
) -> Result<Option<OffloadedInputData>, RpcFailure> {
    let uploaded = async {
        let client = client
            .at(Operation::UploadInputs, Resource::ProjectId(scope.id()))
            .await?;
        client
            .unary(
                Unary::<M, UploadInputsResponse>::repeatable(DATA, "UploadInputs"),
                inputs,
            )
            .await
    };
    match uploaded.await {
        // Hosted backends have the method; older open-source backends take inputs only with the run.
        Err(failure) if failure.is(RpcStatus::Unimplemented) => Ok(None),
        uploaded => Ok(uploaded?.offloaded_input_data),
    }
}

/// Creates a run with a name that the client chose: an existing run of this name is the one of an earlier attempt.
pub(in crate::flyte) async fn create_under_own_name<M: Message>(
    client: &Client,
    run: &M,
) -> Result<(), RpcFailure> {
    match client
        .unary(
            Unary::<M, CreateRunResponse>::non_idempotent(RUNS, "CreateRun").idempotent(),
            run,
        )
        .await
    {
        // No other client knows the name, so an earlier attempt has created the run and its response was lost.
        Err(failure) if failure.is(RpcStatus::AlreadyExists) => Ok(()),
        created => created.map(drop),
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
        let request = UploadInputsRequest {
            id: Some(UploadFor::RunId(run.id())),
            task: Some(UploadTask::TaskId(task.id())),
            inputs: Some(inputs.clone()),
        };
        offload(self, &run.scope, &request).await
    }

    async fn create(&self, request: &CreateRunRequest) -> Result<(), RpcFailure> {
        create_under_own_name(self, request).await
    }

    async fn details(&self, run: &RunIdent) -> Result<ActionDetails, RpcFailure> {
        let response = self
            .unary(
                DETAILS,
                &GetActionDetailsRequest {
                    action_id: Some(run.action()),
                },
            )
            .await?;
        Ok(response.details.unwrap_or_default())
    }

    async fn watch(&self, run: &RunIdent) -> Result<Messages<ActionDetails>, RpcFailure> {
        let responses = self
            .stream(
                WATCH,
                &WatchActionDetailsRequest {
                    action_id: Some(run.action()),
                },
            )
            .await?;
        Ok(responses
            .map(|response| Ok(response?.details.unwrap_or_default()))
            .boxed())
    }

    async fn tail(
        &self,
        run: &RunIdent,
        attempt: u32,
    ) -> Result<Messages<Vec<LogLine>>, RpcFailure> {
        let client = self
            .at(Operation::TailLogs, Resource::ActionId(run.action()))
            .await?;
        let responses = client
            .stream(
                TAIL,
                &TailLogsRequest {
                    action_id: Some(run.action()),
                    attempt,
                },
            )
            .await?;
        Ok(responses
            .map(|response| {
                Ok(response?
                    .logs
                    .into_iter()
                    .flat_map(|logs| logs.lines)
                    .collect())
            })
            .boxed())
    }

    async fn outputs(&self, run: &RunIdent) -> Result<Outputs, RpcFailure> {
        let client = self
            .at(Operation::GetActionData, Resource::ActionId(run.action()))
            .await?;
        let response = client
            .unary(
                ACTION_DATA,
                &GetActionDataRequest {
                    action_id: Some(run.action()),
                },
            )
            .await?;
        Ok(response.outputs.unwrap_or_default())
    }

    async fn abort(&self, run: &RunIdent, reason: &str) -> Result<(), RpcFailure> {
        let request = AbortRunRequest {
            run_id: Some(run.id()),
            reason: Some(reason.to_owned()),
        };
        match self.unary(ABORT, &request).await {
            Err(failure) if failure.is(RpcStatus::NotFound) => Ok(()),
            aborted => aborted.map(drop),
        }
    }

    async fn list(
        &self,
        scope: &ProjectDomain,
        limit: u32,
        token: &str,
        filters: Vec<Filter>,
    ) -> Result<ListRunsResponse, RpcFailure> {
        let request = ListRunsRequest {
            request: Some(ListRequest {
                token: token.to_owned(),
                ..newest(limit, filters)
            }),
            scope_by: Some(ScopeBy::ProjectId(scope.id())),
        };
        self.unary(LIST, &request).await
    }
}
