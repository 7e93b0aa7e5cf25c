//! Runs of Flyte 1: executions of one task.

use async_trait::async_trait;
use futures_util::StreamExt as _;
use union_build::diag::Code;

use super::Flyte1;
use super::phases::{action, details};
use super::schedules::exists;
use super::task::identifier;
use super::tasks::newest;
use super::watch::watch;
use crate::flyte::convert::ProjectDomain;
use crate::flyte::idl::common::{Filter, OffloadedInputData};
use crate::flyte::idl::core::LiteralMap;
use crate::flyte::idl::dataproxy::GetActionDataResponse;
use crate::flyte::idl::logs::dataplane::LogLine;
use crate::flyte::idl::task::{Inputs, NamedLiteral, Outputs};
use crate::flyte::idl::v1::admin::execution_metadata::ExecutionMode;
use crate::flyte::idl::v1::admin::{
    Execution, ExecutionCreateRequest, ExecutionCreateResponse, ExecutionList, ExecutionMetadata,
    ExecutionSpec, ExecutionTerminateRequest, ExecutionTerminateResponse, NodeExecution,
    NodeExecutionList, TaskExecution, TaskExecutionList, WorkflowExecutionGetDataResponse,
    node_execution_closure,
};
use crate::flyte::idl::v1::core::{CatalogCacheStatus, WorkflowExecutionIdentifier};
use crate::flyte::idl::workflow::create_run_request::{Id, InputWrapper, Task};
use crate::flyte::idl::workflow::{
    Action, ActionDetails, CreateRunRequest, ListActionsResponse, ListRunsResponse, Run,
};
use crate::flyte::rpc::{RestCall, RpcFailure, RpcStatus};
use crate::flyte::runs::{ActionIdent, Messages, RunIdent, RunService, TaskVersion};
use crate::http::error::clean;

/// The maximum number of nodes and attempts that are read; a run of one task has three nodes.
const MOST: u32 = 50;
/// Nodes that every workflow has.
const ENDS: [&str; 2] = ["start-node", "end-node"];

/// The path of a resource that belongs to a run.
fn path<'a>(kind: &[&'a str], run: &'a RunIdent) -> Vec<&'a str> {
    let mut path = vec!["api", "v1"];
    path.extend(kind);
    path.extend([
        run.scope.project.as_str(),
        run.scope.domain.as_str(),
        run.name.as_str(),
    ]);
    path
}

impl Flyte1 {
    /// The state of a run with the attempts of its task.
    pub(super) async fn run_details(&self, run: &RunIdent) -> Result<ActionDetails, RpcFailure> {
        let call: RestCall<Execution> = RestCall::get("GetExecution", &path(&["executions"], run));
        let execution = self.0.rest(&call).await?;
        let Some(node) = self.node(run).await? else {
            return Ok(details(&execution, &[], false));
        };
        let attempts = self.attempts(run, &node).await?;
        Ok(details(&execution, &attempts, is_cached(&node)))
    }

    async fn run_data(
        &self,
        run: &RunIdent,
    ) -> Result<WorkflowExecutionGetDataResponse, RpcFailure> {
        let call = RestCall::get("GetExecutionData", &path(&["data", "executions"], run));
        self.0.rest(&call).await
    }

    /// The node of the task; `None` before it has started.
    async fn node(&self, run: &RunIdent) -> Result<Option<NodeExecution>, RpcFailure> {
        let call: RestCall<NodeExecutionList> =
            RestCall::get("ListNodeExecutions", &path(&["node_executions"], run))
                .query("limit", MOST);
        let nodes = self.0.rest(&call).await?.node_executions;
        Ok(nodes.into_iter().find(|node| {
            let name = node_name(node);
            !name.is_empty() && !ENDS.contains(&name)
        }))
    }

    async fn attempts(
        &self,
        run: &RunIdent,
        node: &NodeExecution,
    ) -> Result<Vec<TaskExecution>, RpcFailure> {
        let mut path = path(&["task_executions"], run);
        path.push(node_name(node));
        let call: RestCall<TaskExecutionList> =
            RestCall::get("ListTaskExecutions", &path).query("limit", MOST);
        Ok(self.0.rest(&call).await?.task_executions)
    }
}

fn named(literals: Option<LiteralMap>) -> Vec<NamedLiteral> {
    let literals = literals.unwrap_or_default().literals.into_iter();
    literals
        .map(|(name, value)| NamedLiteral {
            name,
            value: Some(value),
        })
        .collect()
}

/// The only action of a run.
fn root(details: ActionDetails) -> Action {
    Action {
        id: details.id,
        metadata: details.metadata,
        status: details.status,
    }
}

fn node_name(node: &NodeExecution) -> &str {
    node.id.as_ref().map_or("", |id| id.node_id.as_str())
}

fn is_cached(node: &NodeExecution) -> bool {
    let metadata = node
        .closure
        .as_ref()
        .and_then(|closure| closure.target_metadata.as_ref());
    metadata.is_some_and(
        |node_execution_closure::TargetMetadata::TaskNodeMetadata(metadata)| {
            metadata.cache_status() == CatalogCacheStatus::CacheHit
        },
    )
}

#[async_trait]
impl RunService for Flyte1 {
    async fn upload(
        &self,
        _: &TaskVersion,
        _: &RunIdent,
        _: &Inputs,
    ) -> Result<Option<OffloadedInputData>, RpcFailure> {
        Ok(None)
    }

    async fn create(&self, request: &CreateRunRequest) -> Result<(), RpcFailure> {
        let call: RestCall<ExecutionCreateResponse> = RestCall::post(
            "CreateExecution",
            &["api", "v1", "executions"],
            &execution(request),
        );
        // No other client uses the name, so an earlier attempt has created the run and its response was lost.
        exists(self.0.rest(&call).await)
    }

    // A run of one task has the root as its only action.
    async fn details(&self, action: &ActionIdent) -> Result<ActionDetails, RpcFailure> {
        self.run_details(&action.run).await
    }

    async fn watch(&self, action: &ActionIdent) -> Result<Messages<ActionDetails>, RpcFailure> {
        let first = self.run_details(&action.run).await?;
        Ok(watch(self.clone(), action.run.clone(), first))
    }

    async fn data(&self, action: &ActionIdent) -> Result<GetActionDataResponse, RpcFailure> {
        let data = self.run_data(&action.run).await?;
        Ok(GetActionDataResponse {
            inputs: Some(Inputs {
                literals: named(data.full_inputs),
                context: Vec::new(),
            }),
            outputs: Some(Outputs {
                literals: named(data.full_outputs),
            }),
        })
    }

    async fn actions(&self, run: &RunIdent, _: &str) -> Result<ListActionsResponse, RpcFailure> {
        let action = root(self.run_details(run).await?);
        Ok(ListActionsResponse {
            actions: vec![action],
            token: String::new(),
        })
    }

    async fn watch_actions(&self, run: &RunIdent) -> Result<Messages<Vec<Action>>, RpcFailure> {
        let first = self.run_details(run).await?;
        let details = watch(self.clone(), run.clone(), first);
        Ok(details.map(|details| Ok(vec![root(details?)])).boxed())
    }

    /// Flyte 1 returns no text of logs, only links to them, which are the cause of the failure.
    async fn tail(
        &self,
        action: &ActionIdent,
        _: u32,
    ) -> Result<Messages<Vec<LogLine>>, RpcFailure> {
        let run = &action.run;
        let attempts = match self.node(run).await? {
            Some(node) => self.attempts(run, &node).await?,
            None => Vec::new(),
        };
        let links: Vec<String> = attempts
            .into_iter()
            .filter_map(|attempt| attempt.closure)
            .flat_map(|closure| closure.logs)
            .map(|log| format!("{}: {}", clean(&log.name), clean(&log.uri)))
            .collect();
        let cause = if links.is_empty() {
            "Flyte 1 has no text of logs, and this one is not configured to link to them".to_owned()
        } else {
            format!("Flyte 1 gives links instead of text: {}", links.join(", "))
        };
        Err(RpcFailure::new(Code::BackendLacks, cause))
    }

    async fn abort(&self, run: &RunIdent, reason: &str) -> Result<(), RpcFailure> {
        let request = ExecutionTerminateRequest {
            id: Some(WorkflowExecutionIdentifier {
                project: run.scope.project.clone(),
                domain: run.scope.domain.clone(),
                name: run.name.clone(),
                org: String::new(),
            }),
            cause: reason.to_owned(),
        };
        let call: RestCall<ExecutionTerminateResponse> =
            RestCall::delete("TerminateExecution", &path(&["executions"], run), &request);
        match self.0.rest(&call).await {
            Err(failure) if failure.is(RpcStatus::NotFound) => Ok(()),
            aborted => aborted.map(drop),
        }
    }

    async fn list(
        &self,
        scope: &ProjectDomain,
        limit: u32,
        token: &str,
        // The caller filters the result itself, because some of the filters have no equivalent.
        _: Vec<Filter>,
    ) -> Result<ListRunsResponse, RpcFailure> {
        let path = ["api", "v1", "executions", &scope.project, &scope.domain];
        let call: RestCall<ExecutionList> =
            newest(RestCall::get("ListExecutions", &path), limit).query("token", token);
        let ExecutionList { executions, token } = self.0.rest(&call).await?;
        Ok(ListRunsResponse {
            runs: executions
                .iter()
                .map(|execution| Run {
                    action: Some(action(execution)),
                })
                .collect(),
            token,
        })
    }
}

/// The request that creates an execution of a task.
fn execution(request: &CreateRunRequest) -> ExecutionCreateRequest {
    let run = match &request.id {
        Some(Id::RunId(run)) => run.clone(),
        None => Default::default(),
    };
    let task = request
        .task
        .as_ref()
        .map(|Task::TaskId(task)| identifier(task));
    let literals = match &request.input_wrapper {
        Some(InputWrapper::Inputs(inputs)) => inputs.literals.clone(),
        Some(InputWrapper::OffloadedInputData(_)) | None => Vec::new(),
    };
    let literals = literals
        .into_iter()
        .filter_map(|literal| Some((literal.name, literal.value?)));
    let overwrite_cache = request
        .run_spec
        .as_ref()
        .is_some_and(|spec| spec.overwrite_cache);
    ExecutionCreateRequest {
        project: run.project,
        domain: run.domain,
        name: run.name,
        spec: Some(ExecutionSpec {
            launch_plan: task,
            metadata: Some(ExecutionMetadata {
                mode: ExecutionMode::Manual.into(),
            }),
            overwrite_cache,
        }),
        inputs: Some(LiteralMap {
            literals: literals.collect(),
        }),
        org: String::new(),
    }
}
