//! The methods of a backend that runs use, as a trait, so that tests can replace the backend.

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;

use super::{ActionIdent, RunIdent, TaskVersion};
use crate::flyte::client::{Client, Flyte2, Operation, Resource};
use crate::flyte::convert::ProjectDomain;
use crate::flyte::idl::Message;
use crate::flyte::idl::common::sort::Direction;
use crate::flyte::idl::common::{Filter, ListRequest, OffloadedInputData, Sort};
use crate::flyte::idl::dataproxy::upload_inputs_request::{Id as UploadFor, Task as UploadTask};
use crate::flyte::idl::dataproxy::{
    GetActionDataRequest, GetActionDataResponse, TailLogsRequest, TailLogsResponse,
    UploadInputsRequest, UploadInputsResponse,
};
use crate::flyte::idl::logs::dataplane::LogLine;
use crate::flyte::idl::task::{Inputs, Outputs};
use crate::flyte::idl::workflow::list_runs_request::ScopeBy;
use crate::flyte::idl::workflow::{
    AbortRunRequest, AbortRunResponse, Action, ActionDetails, CreateRunRequest, CreateRunResponse,
    GetActionDetailsRequest, GetActionDetailsResponse, ListActionsRequest, ListActionsResponse,
    ListRunsRequest, ListRunsResponse, WatchActionDetailsRequest, WatchActionDetailsResponse,
    WatchActionsRequest, WatchActionsResponse,
};
use crate::flyte::pages::newest;
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

    /// The current state of an action.
    async fn details(&self, action: &ActionIdent) -> Result<ActionDetails, RpcFailure>;

    /// A stream of the states of an action, from the current one.
    async fn watch(&self, action: &ActionIdent) -> Result<Messages<ActionDetails>, RpcFailure>;

    /// A stream of the logs of an attempt, from the first line.
    async fn tail(
        &self,
        action: &ActionIdent,
        attempt: u32,
    ) -> Result<Messages<Vec<LogLine>>, RpcFailure>;

    /// The inputs and outputs of an action; a failure with `not_found` when the backend has none yet.
    async fn data(&self, action: &ActionIdent) -> Result<GetActionDataResponse, RpcFailure>;

    /// One page of the actions of a run, from the oldest, and the token of the next page; empty after the last one.
    async fn actions(&self, run: &RunIdent, token: &str)
    -> Result<ListActionsResponse, RpcFailure>;

    /// A stream of the actions of a run as they change, from the current ones. It need not end with the run.
    async fn watch_actions(&self, run: &RunIdent) -> Result<Messages<Vec<Action>>, RpcFailure>;

    /// The outputs of a successful run.
    async fn outputs(&self, run: &RunIdent) -> Result<Outputs, RpcFailure> {
        Ok(self.data(&run.root()).await?.outputs.unwrap_or_default())
    }

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

/// How many actions a page has, the most that open-source backends give.
const PAGE: u32 = 200;

const RUNS: &str = "flyteidl2.workflow.RunService";
const DATA: &str = "flyteidl2.dataproxy.DataProxyService";

const DETAILS: Unary<GetActionDetailsRequest, GetActionDetailsResponse> =
    Unary::repeatable(RUNS, "GetActionDetails");
const WATCH: Streaming<WatchActionDetailsRequest, WatchActionDetailsResponse> =
    Streaming::new(RUNS, "WatchActionDetails");
const ABORT: Unary<AbortRunRequest, AbortRunResponse> = Unary::repeatable(RUNS, "AbortRun");
const LIST: Unary<ListRunsRequest, ListRunsResponse> = Unary::repeatable(RUNS, "ListRuns");
const LIST_ACTIONS: Unary<ListActionsRequest, ListActionsResponse> =
    Unary::repeatable(RUNS, "ListActions");
const WATCH_ACTIONS: Streaming<WatchActionsRequest, WatchActionsResponse> =
    Streaming::new(RUNS, "WatchActions");
const TAIL: Streaming<TailLogsRequest, TailLogsResponse> =
    Streaming::new(DATA, "TailLogs").retried_by_caller();
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

/// Creates a run with a name that the client chose: an existing run of this name was created by an earlier attempt.
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
        // No other client uses the name, so an earlier attempt has created the run and its response was lost.
        Err(failure) if failure.is(RpcStatus::AlreadyExists) => Ok(()),
        created => created.map(drop),
    }
}

#[async_trait]
impl RunService for Flyte2 {
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

    async fn details(&self, action: &ActionIdent) -> Result<ActionDetails, RpcFailure> {
        let response = self
            .unary(
                DETAILS,
                &GetActionDetailsRequest {
                    action_id: Some(action.id()),
                },
            )
            .await?;
        Ok(response.details.unwrap_or_default())
    }

    async fn watch(&self, action: &ActionIdent) -> Result<Messages<ActionDetails>, RpcFailure> {
        let responses = self
            .stream(
                WATCH,
                &WatchActionDetailsRequest {
                    action_id: Some(action.id()),
                },
            )
            .await?;
        Ok(responses
            .map(|response| Ok(response?.details.unwrap_or_default()))
            .boxed())
    }

    async fn tail(
        &self,
        action: &ActionIdent,
        attempt: u32,
    ) -> Result<Messages<Vec<LogLine>>, RpcFailure> {
        let client = self
            .at(Operation::TailLogs, Resource::ActionId(action.id()))
            .await?;
        let responses = client
            .stream(
                TAIL,
                &TailLogsRequest {
                    action_id: Some(action.id()),
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

    async fn data(&self, action: &ActionIdent) -> Result<GetActionDataResponse, RpcFailure> {
        let client = self
            .at(Operation::GetActionData, Resource::ActionId(action.id()))
            .await?;
        client
            .unary(
                ACTION_DATA,
                &GetActionDataRequest {
                    action_id: Some(action.id()),
                },
            )
            .await
    }

    async fn actions(
        &self,
        run: &RunIdent,
        token: &str,
    ) -> Result<ListActionsResponse, RpcFailure> {
        let oldest = Sort {
            key: "created_at".to_owned(),
            direction: Direction::Ascending.into(),
        };
        let request = ListActionsRequest {
            request: Some(ListRequest {
                limit: PAGE,
                sort_by: Some(oldest),
                filters: Vec::new(),
                token: token.to_owned(),
            }),
            run_id: Some(run.id()),
        };
        self.unary(LIST_ACTIONS, &request).await
    }

    async fn watch_actions(&self, run: &RunIdent) -> Result<Messages<Vec<Action>>, RpcFailure> {
        let request = WatchActionsRequest {
            run_id: Some(run.id()),
        };
        let responses = self.stream(WATCH_ACTIONS, &request).await?;
        let actions = |response: Result<WatchActionsResponse, RpcFailure>| {
            let enriched = response?.enriched_actions.into_iter();
            Ok(enriched.filter_map(|action| action.action).collect())
        };
        Ok(responses.map(actions).boxed())
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
