//! The builder task, as registered at the backend.

use union_build::diag::Code;

use crate::flyte::backend::Backend as _;
use crate::flyte::client::Client;
use crate::flyte::convert::ProjectDomain;
use crate::flyte::idl::Message as _;
use crate::flyte::idl::core::{LiteralType, SimpleType, literal_type};
use crate::flyte::idl::task::{GetTaskDetailsRequest, TaskSpec};
use crate::flyte::idl::unread::GetTaskDetailsResponse;
use crate::flyte::rpc::{RpcFailure, RpcStatus, Unary};
use crate::sys::error::{Error, Result};

const NAME: &str = "build-image";
const PROJECT: &str = "system";
const DOMAIN: &str = "production";

const DETAILS: Unary<GetTaskDetailsRequest, GetTaskDetailsResponse> =
    Unary::repeatable("flyteidl2.task.TaskService", "GetTaskDetails");

/// The builder task and the types of its inputs.
#[derive(Clone, Debug)]
pub struct BuildTask {
    /// The encoded spec, including fields that this crate does not declare.
    pub(super) spec: Vec<u8>,
    inputs: Vec<(String, BuildTaskInput)>,
}

/// The type of an input that takes the address of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BuildTaskInput {
    Text,
    Blob,
}

impl BuildTask {
    /// The type of an input.
    ///
    /// # Errors
    /// U0757 (`BackendInvalid`) when the task has no such input, or one of another type.
    pub(super) fn takes(&self, input: &str) -> Result<BuildTaskInput> {
        self.inputs
            .iter()
            .find(|(name, _)| name == input)
            .map(|(_, takes)| *takes)
            .ok_or_else(|| {
                let names: Vec<&str> = self.inputs.iter().map(|(name, _)| name.as_str()).collect();
                Error::new(
                    Code::BackendInvalid,
                    format!("could not set the input `{input}` of the task `{NAME}`"),
                )
                .because(format!("unexpected inputs: {}", names.join(", ")))
                .help("Use a release of cargo union that supports this backend.")
            })
    }
}

/// Looks up the latest version of the builder task.
///
/// # Errors
/// U0769 (`BuilderMissing`) when there is none; failures of the calls.
pub async fn task(client: &Client, org: &str) -> Result<BuildTask> {
    let tried = || "could not look up the image builder of the backend".to_owned();
    let scope = ProjectDomain {
        org: org.to_owned(),
        project: PROJECT.to_owned(),
        domain: DOMAIN.to_owned(),
    };
    let missing = || {
        Error::new(Code::BuilderMissing, tried()).because(format!(
            "{} has no task `{NAME}` in {PROJECT}/{DOMAIN}",
            client.endpoint()
        ))
    };
    let latest = match client.latest(&scope, NAME).await {
        Err(failure) if failure.is(RpcStatus::NotFound) => None,
        latest => latest.map_err(|failure| failure.into_error(tried()))?,
    };
    let task_id = latest.and_then(|task| task.task_id).ok_or_else(missing)?;
    let details = client
        .unary(
            DETAILS,
            &GetTaskDetailsRequest {
                task_id: Some(task_id),
            },
        )
        .await;
    let details = details
        .map_err(|failure| failure.into_error(tried()))?
        .details
        .unwrap_or_default();
    let spec = TaskSpec::decode(details.spec.as_slice()).map_err(|cause| {
        RpcFailure::new(
            Code::BackendInvalid,
            format!("the spec of the task `{NAME}` is not one: {cause}"),
        )
        .into_error(tried())
    })?;
    Ok(BuildTask {
        inputs: inputs(spec),
        spec: details.spec,
    })
}

/// The inputs that take an address, as a string or as a blob.
fn inputs(spec: TaskSpec) -> Vec<(String, BuildTaskInput)> {
    let interface = spec
        .task_template
        .and_then(|template| template.interface)
        .and_then(|interface| interface.inputs);
    let variables = interface.into_iter().flat_map(|map| map.variables);
    variables
        .filter_map(|entry| Some((entry.key, takes(entry.value?.r#type?)?)))
        .collect()
}

fn takes(ty: LiteralType) -> Option<BuildTaskInput> {
    match ty.r#type? {
        literal_type::Type::Simple(simple) if simple == i32::from(SimpleType::String) => {
            Some(BuildTaskInput::Text)
        }
        literal_type::Type::Blob(_) => Some(BuildTaskInput::Blob),
        _ => None,
    }
}
