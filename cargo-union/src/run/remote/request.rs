//! The request of a new run: one version of a task, with its inputs.

use std::sync::Arc;

use union_build::diag::Code;
use union_build::spec::{Task, TaskKind};

use super::TaskInfo;
use super::inputs::{ResolvedInputs, read_inputs};
use super::save::OutputSaver;
use crate::deploy::declared_name;
use crate::deploy::registration::{PreparedTasks, prepare_tasks, register_task};
use crate::flyte::client::Client;
use crate::flyte::convert::LiteralForm;
use crate::flyte::interface::{Description, Interface};
use crate::flyte::runs::{CacheOptions, RunIdent, RunRequest, TaskVersion};
use crate::flyte::tasks;
use crate::pipeline;
use crate::pipeline::context::{LoadedWorkspace, UnionPackage, project_domain};
use crate::pipeline::problems::Result;
use crate::pipeline::state::BuildState;
use crate::run::Reporter;
use crate::run::options::{NewRun, RemoteRunOptions};
use crate::run::selection::select_task;
use crate::sys::error::Error;

/// A run that can be created.
pub(super) struct PreparedRun {
    pub(super) client: Client,
    pub(super) request: RunRequest,
    pub(super) task: TaskInfo,
}

/// A registered version of a task, with the inputs that fit its interface.
struct ResolvedTask {
    version: TaskVersion,
    inputs: ResolvedInputs,
    /// The reference that the cluster pulls.
    image: String,
}

/// Registers the current version of a task, or looks up the version of `--version`, and uploads the inputs.
///
/// # Errors
/// Those of the registration; `UnknownTask`, `InputsInvalid`, `VersionUnknown`.
pub(super) async fn prepare_run(
    options: &RemoteRunOptions,
    new: &NewRun,
    reporter: &Arc<dyn Reporter>,
) -> Result<PreparedRun> {
    let workspace_options = &options.register.options.scope;
    let mut session = LoadedWorkspace::open_with_cache(workspace_options, &**reporter).await?;
    select_task(&mut session, &new.task)?;
    let pipeline_reporter: Arc<dyn pipeline::Reporter> = reporter.clone();
    let client = session.backend_client(&workspace_options.backend, &pipeline_reporter)?;
    let declared = &session.packages[0];
    if let Some(saver) = OutputSaver::of(options)? {
        saver.check_declared(&declared.spec.tasks[&new.task])?;
    }
    let ResolvedTask {
        version,
        inputs,
        image,
    } = match &new.version {
        Some(version) => find_version(options, new, &session, &client, version).await?,
        None => register_current(options, new, &session, &client, &pipeline_reporter).await?,
    };
    let inputs = inputs.upload(&client, &version.scope, &**reporter).await?;
    let task = TaskInfo {
        package: Some(declared.package.name.clone()),
        task: Some(new.task.clone()),
        version: Some(version.version.clone()),
        image: Some(image),
    };
    let queue = declared.spec.tasks[&new.task]
        .queue
        .as_ref()
        .map(|queue| queue.value.clone())
        .unwrap_or_default();
    let cache = CacheOptions {
        overwrite: new.overwrite_cache,
        of_project: false,
    };
    let request = RunRequest {
        run: RunIdent::new(version.scope.clone())?,
        task: version,
        inputs,
        queue,
        cache,
    };
    Ok(PreparedRun {
        client,
        request,
        task,
    })
}

/// Builds and registers the task of the workspace, unless the backend has this version.
async fn register_current(
    options: &RemoteRunOptions,
    new: &NewRun,
    session: &LoadedWorkspace,
    client: &Client,
    reporter: &Arc<dyn pipeline::Reporter>,
) -> Result<ResolvedTask> {
    let register = &options.register;
    let declared = &session.packages[0].spec.tasks[&new.task];
    let form = LiteralForm::of(declared.kind.value);
    let read = |interface: &Interface| {
        read_inputs(new, interface, form, &register.options.scope.cargo.folder)
    };
    // The manifest has the interface of a container task, so its inputs are checked before the compile.
    let early_inputs = match declared.kind.value {
        TaskKind::Container => Some(read(&Interface::of_manifest(declared))?),
        TaskKind::Rust => None,
    };
    let PreparedTasks { tasks, .. } =
        prepare_tasks(register, session, None, Some(client), reporter).await?;
    let task = tasks.first().expect("the selected task was prepared");
    let inputs = match early_inputs {
        Some(inputs) => inputs,
        None => read(&task.source.interface)?,
    };
    let plan = register_task(register, Some(client), task, &**reporter).await?;
    let version = TaskVersion {
        scope: task.scope.clone(),
        name: task.source.name.clone(),
        version: plan.version,
    };
    Ok(ResolvedTask {
        version,
        inputs,
        image: task.source.image.clone(),
    })
}

/// Looks up a version at the backend; nothing is built.
async fn find_version(
    options: &RemoteRunOptions,
    new: &NewRun,
    session: &LoadedWorkspace,
    client: &Client,
    version: &str,
) -> Result<ResolvedTask> {
    let declared = &session.packages[0];
    let name = task_name(session, declared, &declared.spec.tasks[&new.task])?;
    let version = TaskVersion {
        scope: project_domain(declared, &session.backend)?,
        name,
        version: version.to_owned(),
    };
    let registered = tasks::get_task(client, &version).await?;
    let inputs = read_inputs(
        new,
        &registered.interface,
        registered.form,
        &options.register.options.scope.cargo.folder,
    )?;
    Ok(ResolvedTask {
        version,
        inputs,
        image: registered.image,
    })
}

/// The name of a task at the backend, from its manifest or from the description of its binary in the last build.
fn task_name(session: &LoadedWorkspace, declared: &UnionPackage, task: &Task) -> Result<String> {
    if let Some(name) = declared_name(task) {
        return Ok(name.to_owned());
    }
    let state = BuildState::load(
        &session.workspace.target_directory,
        &declared.package.name,
        &declared.package.folder,
    );
    let description = task.bin.as_ref().and_then(|binary| {
        let description = state
            .images
            .get(&task.image.value)?
            .interfaces
            .get(&binary.value)?;
        Some(Description::read(binary, description))
    });
    match description.transpose()? {
        Some(description) => Ok(description.task),
        None => Err(Error::new(
            Code::DescriptionInvalid,
            format!(
                "the name of task `{}` at the backend is not known",
                task.key
            ),
        )
        .because("its manifest does not say it, and its binary was not built here")
        .help("Give the task a `name`, or run it once without `--version`.")
        .into()),
    }
}
