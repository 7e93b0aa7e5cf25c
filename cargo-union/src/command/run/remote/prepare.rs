//! What shall run: a task in exactly one version, with its inputs.

use crate::command::reporter;
use std::sync::Arc;

use anyhow::Result;
use union_build::diag::Code;
use union_build::spec::{Task, TaskKind};

use super::inputs::{self, ResolvedInputs};
use crate::command::run::choose;
use crate::deploy::registration::{PreparedTasks, prepare_tasks, register_task};
use crate::deploy::{self, TaskRegistration};
use crate::flyte::client::Client;
use crate::flyte::convert::LiteralForm;
use crate::flyte::interface::{Description, Interface};
use crate::flyte::runs::{CacheOptions, RunIdent, RunRequest, TaskVersion};
use crate::flyte::tasks;
use crate::pipeline::backend;
use crate::pipeline::context;
use crate::pipeline::context::{LoadedWorkspace, UnionPackage};
use crate::pipeline::state::BuildState;
use crate::settings::{NewRun, RemoteRunOptions};
use crate::sys::error::Error;
use crate::ui::Ui;

/// A run that shall be, and what is known of its task.
pub(super) struct PreparedRun {
    pub(super) client: Client,
    pub(super) order: RunRequest,
    pub(super) known: TaskInfo,
}

/// What is known of the task of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct TaskInfo {
    /// Its package.
    pub(super) package: Option<String>,
    /// The key of its table; for a run of somebody else its name at the backend.
    pub(super) task: Option<String>,
    /// Its version.
    pub(super) version: Option<String>,
    /// Its image.
    pub(super) image: Option<String>,
}

/// Builds and registers the task as far as it has changed, or looks up the version that was named.
///
/// # Errors
/// Those of `register`; `InputsInvalid`, `VersionUnknown`.
pub(super) async fn order(remote: &RemoteRunOptions, wanted: &NewRun, ui: &Arc<Ui>) -> Result<PreparedRun> {
    let scope = &remote.register.work.scope;
    let mut session = LoadedWorkspace::open_with_cache(scope, &**ui).await?;
    choose(&mut session, &wanted.task)?;
    let client = backend::client(&scope.backend, &session.backend, false, &reporter(ui))?;
    let declared = &session.packages[0];
    let task = &declared.spec.tasks[&wanted.task];
    let (version, inputs, image) = match &wanted.version {
        Some(version) => registered_version(remote, wanted, &session, &client, version).await?,
        None => latest(remote, wanted, &session, &client, ui).await?,
    };
    let inputs = inputs.sent(&client, &version.scope, ui).await?;
    let known = TaskInfo {
        package: Some(declared.package.name.clone()),
        task: Some(wanted.task.clone()),
        version: Some(version.version.clone()),
        image: Some(image),
    };
    let cache = CacheOptions { overwrite: wanted.overwrite_cache, of_project: false };
    let queue = task.queue.as_ref().map(|queue| queue.value.clone()).unwrap_or_default();
    let order = RunRequest { run: RunIdent::new(version.scope.clone())?, task: version, inputs, queue, cache };
    Ok(PreparedRun { client, order, known })
}

/// The task as it is here: built and registered, unless the backend has it.
async fn latest(
    remote: &RemoteRunOptions,
    wanted: &NewRun,
    session: &LoadedWorkspace,
    client: &Client,
    ui: &Arc<Ui>,
) -> Result<(TaskVersion, ResolvedInputs, String)> {
    let register = &remote.register;
    let task = &session.packages[0].spec.tasks[&wanted.task];
    let (form, folder) = (LiteralForm::of(task.kind.value), &register.work.scope.cargo.folder);
    let read = |interface: &Interface| inputs::read(wanted, interface, form, folder);
    // Nobody should wait for a compile to hear what is wrong with the inputs, where that is known before.
    let early = (task.kind.value == TaskKind::Container).then(|| read(&Interface::of_manifest(task))).transpose()?;
    let PreparedTasks { tasks, .. } = prepare_tasks(register, session, None, Some(client), &reporter(ui)).await?;
    let task: &TaskRegistration<'_> = tasks.first().expect("the chosen task is there");
    let inputs = match early {
        Some(inputs) => inputs,
        None => read(&task.source.interface)?,
    };
    let decision = register_task(register, Some(client), task, &**ui).await?;
    let version = TaskVersion { scope: task.scope.clone(), name: task.source.name.clone(), version: decision.version };
    Ok((version, inputs, task.source.image.clone()))
}

/// The version that was named, which nobody builds.
async fn registered_version(
    remote: &RemoteRunOptions,
    wanted: &NewRun,
    session: &LoadedWorkspace,
    client: &Client,
    version: &str,
) -> Result<(TaskVersion, ResolvedInputs, String)> {
    let declared = &session.packages[0];
    let task = &declared.spec.tasks[&wanted.task];
    let name = name(session, declared, task)?;
    let version = TaskVersion { scope: context::project_domain(declared, &session.backend)?, name, version: version.to_owned() };
    let found = tasks::get_task(client, &version).await?;
    let inputs = inputs::read(wanted, &found.interface, found.form, &remote.register.work.scope.cargo.folder)?;
    Ok((version, inputs, found.image))
}

/// The name of a task at the backend: that of its manifest, or what its binary has said when it was built.
fn name(session: &LoadedWorkspace, declared: &UnionPackage, task: &Task) -> Result<String> {
    if let Some(name) = deploy::declared_name(task) {
        return Ok(name.to_owned());
    }
    let results = BuildState::load(&session.workspace.target_directory, &declared.package.name, &declared.package.folder);
    let told = task.bin.as_ref().and_then(|bin| {
        let line = results.images.get(&task.image.value)?.interfaces.get(&bin.value)?;
        Some(Description::read(bin, line))
    });
    match told.transpose()? {
        Some(description) => Ok(description.task),
        None => Err(Error::new(Code::DescriptionInvalid, format!("the name of task `{}` at the backend is not known", task.key))
            .because("its manifest does not say it, and its binary was not built here")
            .help("Give the task a `name`, or run it once without `--version`.")
            .into()),
    }
}
