//! Creating a run: inputs first, then the run, under a name that makes it the same one however often it is tried.

use super::{RunIdent, RunService, TaskVersion};
use crate::flyte::idl::core::Literal;
use crate::flyte::idl::task::{CacheConfig, CacheLookupScope, Inputs, NamedLiteral, RunSpec};
use crate::flyte::idl::workflow::create_run_request::{Id, InputWrapper, Task};
use crate::flyte::idl::workflow::{CreateRunRequest, RunSource};
use crate::sys::error::Result;

/// A run that shall be.
#[derive(Clone, Debug)]
pub struct RunRequest {
    /// The run, with a name that nobody else has: [`RunIdent::new`].
    pub run: RunIdent,
    /// What runs.
    pub task: TaskVersion,
    /// Values by the names of inputs.
    pub inputs: Vec<(String, Literal)>,
    /// Where it waits for its turn; empty for the backend's choice.
    pub queue: String,
    /// How cached results are used.
    pub cache: CacheOptions,
}

/// How cached results are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheOptions {
    /// The task runs although its result is there, which is then replaced.
    pub overwrite: bool,
    /// Only results of the same project and domain count.
    pub of_project: bool,
}

/// Creates a run. However often it is called with one order, there is one run.
///
/// # Errors
/// What the backend says. A run may be there all the same, for an answer can be lost.
pub async fn create(service: &dyn RunService, order: &RunRequest) -> Result<()> {
    let literals = order.inputs.iter().map(|(name, value)| NamedLiteral { name: name.clone(), value: Some(value.clone()) });
    let inputs = Inputs { literals: literals.collect(), context: Vec::new() };
    let tried = || format!("could not bring the inputs of task `{}` to the backend", order.task.name);
    let uploaded = service.upload(&order.task, &order.run, &inputs).await.map_err(|failure| failure.into_error(tried()))?;
    let wrapper = match uploaded {
        Some(uploaded) => InputWrapper::OffloadedInputData(uploaded),
        None => InputWrapper::Inputs(inputs),
    };
    let request = CreateRunRequest {
        id: Some(Id::RunId(order.run.id())),
        task: Some(Task::TaskId(order.task.id())),
        input_wrapper: Some(wrapper),
        run_spec: Some(spec(order)),
        source: RunSource::Cli.into(),
    };
    let tried = || format!("could not create a run of task `{}`", order.task.name);
    service.create(&request).await.map_err(|failure| failure.into_error(tried()))
}

fn spec(order: &RunRequest) -> RunSpec {
    let CacheOptions { overwrite, of_project } = order.cache;
    let scope = if of_project { CacheLookupScope::ProjectDomain } else { CacheLookupScope::Unspecified };
    let config = CacheConfig { overwrite_cache: overwrite, cache_lookup_scope: scope.into() };
    RunSpec { overwrite_cache: overwrite, queue: order.queue.clone(), cache_config: (overwrite || of_project).then_some(config) }
}
