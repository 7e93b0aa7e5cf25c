//! Repeats a run: its inputs, and with the same version also its labels, variables and queue, are sent as they came.
//!
//! What is sent again is not decoded, because a decoded message lacks the fields that this crate does not declare.

use base64::Engine as _;
use sha2::Digest as _;
use union_build::diag::Code;

use super::service::create_under_own_name;
use super::{RunIdent, TaskVersion, offload};
use crate::flyte::capabilities::BackendFeature;
use crate::flyte::client::{Client, Operation, Resource};
use crate::flyte::convert::ProjectDomain;
use crate::flyte::idl::Message as _;
use crate::flyte::idl::common::{OffloadedInputData, Relation, RelationType};
use crate::flyte::idl::core::Literal;
use crate::flyte::idl::dataproxy::GetActionDataRequest;
use crate::flyte::idl::task::{CacheConfig, NamedLiteral};
use crate::flyte::idl::unread::{
    GetActionDataResponse, GetActionDataUrIsRequest, GetActionDataUrIsResponse,
    GetRunDetailsRequest, GetRunDetailsResponse, Inputs, RepeatRunRequest, RunDetails, RunSpec,
    UploadRunInputsRequest,
};
use crate::flyte::idl::workflow::RunSource;
use crate::flyte::idl::workflow::action_metadata::Spec;
use crate::flyte::rpc::{RpcFailure, RpcStatus, Unary};
use crate::sys::error::{Error, Result};

const RUNS: &str = "flyteidl2.workflow.RunService";
const DATA: &str = "flyteidl2.dataproxy.DataProxyService";

const DETAILS: Unary<GetRunDetailsRequest, GetRunDetailsResponse> =
    Unary::repeatable(RUNS, "GetRunDetails");
const DATA_ADDRESSES: Unary<GetActionDataUrIsRequest, GetActionDataUrIsResponse> =
    Unary::repeatable(RUNS, "GetActionDataURIs");
const ACTION_DATA: Unary<GetActionDataRequest, GetActionDataResponse> =
    Unary::repeatable(DATA, "GetActionData");

/// A run that can be repeated.
#[derive(Clone, Debug)]
pub struct PreviousRun {
    run: RunIdent,
    /// The version of the task that it ran.
    pub task: TaskVersion,
    inputs: PreviousInputs,
    spec: RunSpec,
}

#[derive(Clone, Debug)]
enum PreviousInputs {
    Inline(Inputs),
    /// The backend cannot read the data of the run as a whole, but returns the address of its inputs.
    Stored(OffloadedInputData),
}

/// A repetition of a run.
#[derive(Clone, Debug)]
pub struct RepeatRequest {
    /// The new run.
    pub run: RunIdent,
    /// The run to repeat.
    pub previous: PreviousRun,
    /// The version to run. The labels, variables and queue of the run are reused only if it is the version of the run.
    pub task: TaskVersion,
    /// Literals of inputs that the run did not have.
    pub new_inputs: Vec<(String, Literal)>,
    /// The queue of another version; empty for the backend's default.
    pub queue: String,
    /// Whether the task runs even when a cached result exists.
    pub overwrite_cache: bool,
}

/// Looks up a run and its inputs.
///
/// # Errors
/// U0761 (`BackendNotFound`) when there is no such run or its inputs were deleted; failures of the calls.
pub async fn previous(client: &Client, run: &RunIdent) -> Result<PreviousRun> {
    let tried = || {
        format!(
            "could not look up the run `{}` in {}/{}",
            run.name, run.scope.project, run.scope.domain
        )
    };
    let required = client.require(BackendFeature::Rerun).await;
    required.map_err(|failure| failure.into_error(tried()))?;
    let request = GetRunDetailsRequest {
        run_id: Some(run.id()),
    };
    let details = client.unary(DETAILS, &request).await.map_err(|failure| {
        let missing = failure.is(RpcStatus::NotFound);
        let error = failure.into_error(tried());
        if missing {
            error.help("`cargo union get runs` lists those that there are.")
        } else {
            error
        }
    })?;
    let RunDetails { run_spec, action } = details.details.unwrap_or_default();
    let metadata = action.and_then(|action| action.metadata);
    let id = match metadata.and_then(|metadata| metadata.spec) {
        Some(Spec::Task(task)) => task.id.filter(|id| !id.version.is_empty()),
        _ => None,
    };
    let id = id.ok_or_else(|| {
        Error::new(
            Code::BackendNotFound,
            format!("could not repeat the run `{}`", run.name),
        )
        .because("the backend does not say which version of which task it ran")
        .help("Start the task with `cargo union run --remote`.")
    })?;
    let inputs = fetch_inputs(client, run).await.map_err(|failure| {
        failure.into_error(format!(
            "could not fetch the inputs of the run `{}`",
            run.name
        ))
    })?;
    Ok(PreviousRun {
        run: run.clone(),
        task: TaskVersion {
            // Backends without organizations do not return any.
            scope: ProjectDomain {
                org: run.scope.org.clone(),
                project: id.project,
                domain: id.domain,
            },
            name: id.name,
            version: id.version,
        },
        inputs,
        spec: run_spec.unwrap_or_default(),
    })
}

async fn fetch_inputs(client: &Client, run: &RunIdent) -> Result<PreviousInputs, RpcFailure> {
    let data = client
        .at(
            Operation::GetActionData,
            Resource::ActionId(run.root().id()),
        )
        .await?;
    let request = GetActionDataRequest {
        action_id: Some(run.root().id()),
    };
    let failure = match data.unary(ACTION_DATA, &request).await {
        Ok(response) => return Ok(PreviousInputs::Inline(response.inputs.unwrap_or_default())),
        Err(failure) if failure.is(RpcStatus::NotFound) => failure,
        Err(failure) => return Err(failure),
    };
    // Backends read inputs and outputs together, and find neither when only the outputs are missing.
    let request = GetActionDataUrIsRequest {
        action_id: Some(run.root().id()),
    };
    let uri = client
        .unary(DATA_ADDRESSES, &request)
        .await
        .map(|response| response.inputs_uri)
        .unwrap_or_default();
    if uri.is_empty() {
        return Err(failure);
    }
    // The hash represents the content in the keys of cached results: equal addresses have equal content.
    let hash = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(&uri));
    Ok(PreviousInputs::Stored(OffloadedInputData {
        uri,
        inputs_hash: hash,
    }))
}

/// Creates a repetition of a run. Repeated calls with the same request create one run.
///
/// # Errors
/// Failures of the upload and of the call. The run may exist nevertheless, because a response can be lost.
pub async fn create_repeated(client: &Client, repeat: &RepeatRequest) -> Result<()> {
    let RepeatRequest {
        run,
        previous,
        task,
        ..
    } = repeat;
    let (inputs, offloaded) = match &previous.inputs {
        PreviousInputs::Stored(stored) => (None, Some(stored.clone())),
        PreviousInputs::Inline(inputs) => {
            let inputs = &with_new_inputs(inputs, &repeat.new_inputs);
            let upload = UploadRunInputsRequest {
                run_id: Some(run.id()),
                task_id: Some(task.id()),
                inputs: Some(inputs.clone()),
            };
            let offloaded = offload(client, &run.scope, &upload).await;
            let offloaded = offloaded.map_err(|failure| {
                failure.into_error(format!(
                    "could not send the inputs of task `{}` to the backend",
                    task.name
                ))
            })?;
            match offloaded {
                Some(offloaded) => (None, Some(offloaded)),
                None => (Some(inputs.clone()), None),
            }
        }
    };
    let request = RepeatRunRequest {
        run_id: Some(run.id()),
        task_id: Some(task.id()),
        inputs,
        run_spec: Some(spec(repeat)),
        source: RunSource::Cli.into(),
        offloaded_input_data: offloaded,
    };
    create_under_own_name(client, &request)
        .await
        .map_err(|failure| {
            failure.into_error(format!("could not create a run of task `{}`", task.name))
        })
}

fn with_new_inputs(inputs: &Inputs, new: &[(String, Literal)]) -> Inputs {
    let encode = |(name, value): &(String, Literal)| {
        let literal = NamedLiteral {
            name: name.clone(),
            value: Some(value.clone()),
        };
        literal.encode_to_vec()
    };
    let mut inputs = inputs.clone();
    inputs.literals.extend(new.iter().map(encode));
    inputs
}

fn spec(repeat: &RepeatRequest) -> RunSpec {
    let overwrite = repeat.overwrite_cache;
    let spec = if repeat.task == repeat.previous.task {
        repeat.previous.spec.clone()
    } else {
        RunSpec {
            queue: repeat.queue.clone(),
            ..RunSpec::default()
        }
    };
    let config = CacheConfig {
        overwrite_cache: overwrite,
        ..CacheConfig::default()
    };
    // A relation without an organization is refused, and backends without organizations ignore relations.
    let relation = Relation {
        related_to: Some(repeat.previous.run.id()),
        relation_type: RelationType::Rerun.into(),
    };
    RunSpec {
        overwrite_cache: overwrite,
        cache_config: overwrite.then_some(config),
        relation: (!repeat.run.scope.org.is_empty()).then_some(relation),
        ..spec
    }
}
