//! The request of a new run: one version of a task, with its inputs.

use std::sync::Arc;

use union_build::spec::TaskKind;

use super::TaskInfo;
use super::inputs::{ResolvedInputs, read_inputs};
use super::save::OutputSaver;
use crate::deploy::options::RegisterOptions;
use crate::deploy::registration::{PreparedTasks, prepare_tasks, register_task};
use crate::flyte::client::Client;
use crate::flyte::convert::LiteralForm;
use crate::flyte::interface::Interface;
use crate::flyte::runs::{self, CacheOptions, RepeatRequest, RunIdent, RunRequest, TaskVersion};
use crate::flyte::tasks;
use crate::pipeline;
use crate::pipeline::context::{LoadedWorkspace, UnionPackage, project_domain};
use crate::pipeline::names;
use crate::pipeline::options::BuildOptions;
use crate::pipeline::problems::Result;
use crate::run::Reporter;
use crate::run::options::{NewRun, RemoteRunOptions};
use crate::run::selection::select_task;
use crate::sys::error::Error;

/// A run that can be created.
pub(super) struct PreparedRun {
    pub(super) client: Client,
    pub(super) request: RunCreation,
    pub(super) task: TaskInfo,
}

/// The request of a run.
pub(super) enum RunCreation {
    /// A run with inputs of this machine.
    New(Box<RunRequest>),
    /// A repetition of a run.
    Repeat(Box<RepeatRequest>),
}

impl RunCreation {
    pub(super) fn run(&self) -> &RunIdent {
        match self {
            Self::New(request) => &request.run,
            Self::Repeat(repeat) => &repeat.run,
        }
    }

    /// Creates the run. Repeated calls create one run.
    ///
    /// # Errors
    /// Failures of the calls.
    pub(super) async fn send(&self, client: &Client) -> Result<(), Error> {
        match self {
            Self::New(request) => runs::create(client, request).await,
            Self::Repeat(repeat) => runs::create_repeated(client, repeat).await,
        }
    }
}

/// A registered version of a task, with the inputs that fit its interface.
pub(super) struct ResolvedTask<I> {
    pub(super) version: TaskVersion,
    pub(super) inputs: I,
    /// The reference that the cluster pulls.
    pub(super) image: String,
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
    let new = &NewRun {
        task: select_task(&mut session, &new.task)?,
        ..new.clone()
    };
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
        None => {
            let directory = &workspace_options.cargo.directory;
            let form = LiteralForm::of(declared.spec.tasks[&new.task].kind.value);
            let read = |interface: &Interface| read_inputs(new, interface, form, directory);
            let registration = CurrentTask {
                register: &options.register,
                session: &session,
                client: &client,
                task: &new.task,
            };
            registration.register(&pipeline_reporter, read).await?
        }
    };
    let inputs = inputs.upload(&client, &version.scope, &**reporter).await?;
    let task = TaskInfo {
        package: Some(declared.package.name.clone()),
        task: Some(new.task.clone()),
        version: Some(version.version.clone()),
        image: Some(image),
    };
    let queue = queue(declared, &new.task);
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
        request: RunCreation::New(Box::new(request)),
        task,
    })
}

/// The queue of a task; empty for the backend's default.
pub(super) fn queue(package: &UnionPackage, task: &str) -> String {
    package.spec.tasks[task]
        .queue
        .as_ref()
        .map(|queue| queue.value.clone())
        .unwrap_or_default()
}

/// A task of the only package of a loaded workspace.
pub(super) struct CurrentTask<'a> {
    pub(super) register: &'a RegisterOptions,
    pub(super) session: &'a LoadedWorkspace,
    pub(super) client: &'a Client,
    /// The key of its table.
    pub(super) task: &'a str,
}

impl CurrentTask<'_> {
    /// Builds and registers the task, unless the backend has this version. `read` returns the inputs for its interface.
    ///
    /// # Errors
    /// Those of the registration and of `read`.
    pub(super) async fn register<I>(
        &self,
        reporter: &Arc<dyn pipeline::Reporter>,
        read: impl Fn(&Interface) -> Result<I, Error>,
    ) -> Result<ResolvedTask<I>> {
        let register = &RegisterOptions {
            options: BuildOptions {
                tasks: vec![self.task.to_owned()],
                ..self.register.options.clone()
            },
            ..self.register.clone()
        };
        let declared = &self.session.packages[0].spec.tasks[self.task];
        // The manifest has the interface of a container task, so its inputs are checked before the compile.
        let early_inputs = match declared.kind.value {
            TaskKind::Container => Some(read(&Interface::of_manifest(declared))?),
            TaskKind::Rust => None,
        };
        let client = Some(self.client);
        let PreparedTasks { tasks, .. } =
            prepare_tasks(register, self.session, None, client, reporter).await?;
        let task = tasks.first().expect("the selected task was prepared");
        let inputs = match early_inputs {
            Some(inputs) => inputs,
            None => read(&task.source.interface)?,
        };
        let plan = register_task(register, Ok(self.client), task, &**reporter).await?;
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
}

/// Looks up a version at the backend; nothing is built.
async fn find_version(
    options: &RemoteRunOptions,
    new: &NewRun,
    session: &LoadedWorkspace,
    client: &Client,
    version: &str,
) -> Result<ResolvedTask<ResolvedInputs>> {
    let declared = &session.packages[0];
    let name = names::known_name(session, declared, &declared.spec.tasks[&new.task])?
        .ok_or_else(|| names::unknown_name(&new.task))?;
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
        &options.register.options.scope.cargo.directory,
    )?;
    Ok(ResolvedTask {
        version,
        inputs,
        image: registered.image,
    })
}
