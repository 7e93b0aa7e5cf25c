//! Creates runs: uploads the inputs, then creates the run under a name that makes retries idempotent.

use super::{RunIdent, RunService, TaskVersion};
use crate::flyte::idl::core::Literal;
use crate::flyte::idl::task::{CacheConfig, CacheLookupScope, Inputs, NamedLiteral, RunSpec};
use crate::flyte::idl::workflow::create_run_request::{Id, InputWrapper, Task};
use crate::flyte::idl::workflow::{CreateRunRequest, RunSource};
use crate::sys::error::Result;

/// A run to create.
#[derive(Clone, Debug)]
pub struct RunRequest {
    /// The run, with a new name from [`RunIdent::new`].
    pub run: RunIdent,
    /// The task to run.
    pub task: TaskVersion,
    /// Literals by input name.
    pub inputs: Vec<(String, Literal)>,
    /// The queue; empty for the backend's default.
    pub queue: String,
    /// Use of cached results.
    pub cache: CacheOptions,
}

/// Use of cached results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheOptions {
    /// Whether the task runs even when a cached result exists, and replaces it.
    pub overwrite: bool,
    /// Whether only results of the same project and domain are used.
    pub of_project: bool,
}

/// Creates a run. Repeated calls with the same request create one run.
///
/// # Errors
/// Failures of the upload and of the call. The run may exist nevertheless, because a response can be lost.
pub async fn create(service: &dyn RunService, run_request: &RunRequest) -> Result<()> {
    let literals = run_request.inputs.iter().map(|(name, value)| NamedLiteral {
        name: name.clone(),
        value: Some(value.clone()),
    });
    let inputs = Inputs {
        literals: literals.collect(),
        context: Vec::new(),
    };
    let tried = || {
        format!(
            "could not send the inputs of task `{}` to the backend",
            run_request.task.name
        )
    };
    let uploaded = service
        .upload(&run_request.task, &run_request.run, &inputs)
        .await
        .map_err(|failure| failure.into_error(tried()))?;
    let wrapper = match uploaded {
        Some(uploaded) => InputWrapper::OffloadedInputData(uploaded),
        None => InputWrapper::Inputs(inputs),
    };
    let request = CreateRunRequest {
        id: Some(Id::RunId(run_request.run.id())),
        task: Some(Task::TaskId(run_request.task.id())),
        input_wrapper: Some(wrapper),
        run_spec: Some(spec(run_request)),
        source: RunSource::Cli.into(),
    };
    let tried = || format!("could not create a run of task `{}`", run_request.task.name);
    service
        .create(&request)
        .await
        .map_err(|failure| failure.into_error(tried()))
}

fn spec(run_request: &RunRequest) -> RunSpec {
    let CacheOptions {
        overwrite,
        of_project,
    } = run_request.cache;
    let scope = if of_project {
        CacheLookupScope::ProjectDomain
    } else {
        CacheLookupScope::Unspecified
    };
    let config = CacheConfig {
        overwrite_cache: overwrite,
        cache_lookup_scope: scope.into(),
    };
    RunSpec {
        overwrite_cache: overwrite,
        queue: run_request.queue.clone(),
        cache_config: (overwrite || of_project).then_some(config),
    }
}
