//! One registered task with its versions, for `get task`.

use union_build::diag::Code;
use union_build::spec::launcher::EMPTY_OUTPUT;

use super::capabilities::BackendFeature;
use super::client::Client;
use super::convert::declared;
use super::idl::Timestamp;
use super::idl::core::VariableMap;
use super::idl::core::task_template::Target;
use super::idl::task::{
    GetTaskDetailsRequest, GetTaskDetailsResponse, ListVersionsRequest, ListVersionsResponse,
};
use super::pages::newest;
use super::rpc::{RpcFailure, RpcStatus, Unary};
use super::runs::TaskVersion;
use crate::flyte::convert::ProjectDomain;
use crate::sys::error::{Error, Result};

const TASKS: &str = "flyteidl2.task.TaskService";

const DETAILS: Unary<GetTaskDetailsRequest, GetTaskDetailsResponse> =
    Unary::repeatable(TASKS, "GetTaskDetails");
const VERSIONS: Unary<ListVersionsRequest, ListVersionsResponse> =
    Unary::repeatable(TASKS, "ListVersions");

/// Versions in one page, the most that the open-source backend returns.
const PAGE: u32 = 200;

/// A version of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionSummary {
    /// The version as registered.
    pub version: String,
    /// When it was registered, in seconds since 1970.
    pub registered: Option<i64>,
}

/// A task at the backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskView {
    /// The version that is described.
    pub version: String,
    /// Name of the environment that it belongs to.
    pub environment: String,
    /// Short description; may be empty.
    pub description: String,
    /// The reference that the cluster pulls; empty for a task without a container.
    pub image: String,
    /// Inputs with their types, in the notation of the manifest.
    pub inputs: Vec<(String, String)>,
    /// Outputs with their types, without the hidden output of tasks that declare none.
    pub outputs: Vec<(String, String)>,
}

/// The versions of a task, newest first, at most `limit`.
///
/// # Errors
/// U0761 (`BackendNotFound`) when there is no task of this name; failures of the calls.
pub async fn versions(
    client: &Client,
    scope: &ProjectDomain,
    name: &str,
    limit: u32,
) -> Result<Vec<VersionSummary>> {
    let required = client.require(BackendFeature::TaskDetails).await;
    required.map_err(|failure| lookup_error(failure, name))?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut versions = Vec::new();
    let mut token = String::new();
    while versions.len() < limit {
        let mut request = newest(PAGE, Vec::new());
        request.token.clone_from(&token);
        let request = ListVersionsRequest {
            request: Some(request),
            task_name: Some(scope.task_name(name)),
        };
        let page = client
            .unary(VERSIONS, &request)
            .await
            .map_err(|failure| lookup_error(failure, name))?;
        let seconds =
            |time: Option<Timestamp>| time.map(|time| time.seconds).filter(|seconds| *seconds > 0);
        versions.extend(page.versions.into_iter().map(|version| VersionSummary {
            version: version.version,
            registered: seconds(version.deployed_at),
        }));
        if page.token.is_empty() || page.token == token {
            break;
        }
        token = page.token;
    }
    if versions.is_empty() {
        return Err(Error::new(
            Code::BackendNotFound,
            format!(
                "there is no task `{name}` in {}/{}",
                scope.project, scope.domain
            ),
        )
        .help("`cargo union get tasks` lists those that there are."));
    }
    versions.truncate(limit);
    Ok(versions)
}

/// A version of a task.
///
/// # Errors
/// U0714 (`VersionUnknown`); failures of the call.
pub async fn view(client: &Client, task: &TaskVersion) -> Result<TaskView> {
    let required = client.require(BackendFeature::TaskDetails).await;
    required.map_err(|failure| lookup_error(failure, &task.name))?;
    let request = GetTaskDetailsRequest {
        task_id: Some(task.id()),
    };
    let details = match client.unary(DETAILS, &request).await {
        Err(failure) if failure.is(RpcStatus::NotFound) => {
            return Err(Error::new(
                Code::VersionUnknown,
                format!(
                    "there is no version `{}` of task `{}`",
                    task.version, task.name
                ),
            )
            .help("`cargo union get task` without `--version` lists those that there are."));
        }
        details => details.map_err(|failure| lookup_error(failure, &task.name))?,
    };
    let spec = details.details.unwrap_or_default().spec.unwrap_or_default();
    let template = spec.task_template.unwrap_or_default();
    let interface = template.interface.unwrap_or_default();
    let image = template
        .target
        .map(|Target::Container(container)| container.image)
        .unwrap_or_default();
    Ok(TaskView {
        version: task.version.clone(),
        environment: spec.environment.unwrap_or_default().name,
        description: spec.documentation.unwrap_or_default().short_description,
        image,
        inputs: variables(interface.inputs),
        outputs: variables(interface.outputs),
    })
}

/// The names and types of variables; a type that the manifest does not have is `other`.
fn variables(map: Option<VariableMap>) -> Vec<(String, String)> {
    let entries = map.unwrap_or_default().variables;
    let shown = entries
        .into_iter()
        .filter(|entry| entry.key != EMPTY_OUTPUT);
    let typed = shown.map(|entry| {
        let ty = entry
            .value
            .and_then(|variable| declared(&variable.r#type?))
            .map_or_else(|| "other".to_owned(), |ty| ty.to_string());
        (entry.key, ty)
    });
    typed.collect()
}

fn lookup_error(failure: RpcFailure, name: &str) -> Error {
    failure.into_error(format!("could not look up the task `{name}`"))
}
