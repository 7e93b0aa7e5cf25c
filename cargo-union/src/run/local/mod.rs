//! Runs on this machine, with inputs, outputs and secrets as on the backend.
//!
//! Inputs are read, and tasks that cannot run here are rejected, before anything is compiled. The program then runs in
//! a container of the task's image ([`engine`]) or as a process ([`host`]). A task of the kind `rust` is a worker of
//! the `flyte` crate ([`worker`]), whose inputs are read after the compile, because their types are only in its binary.

mod compatibility;
mod compile;
mod directories;
mod engine;
mod host;
mod image;
mod output;
mod path_mapping;
mod secrets;
mod task_inputs;
mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use union_build::spec::types::Type;
use union_build::spec::value::InputValue;
use union_build::spec::{self, TaskKind};

use super::Reporter;
use super::inputs::InputReader;
use super::options::{LocalRunOptions, RunTarget};
use super::selection::select_task;
use crate::copilot::OutputDir;
use crate::flyte::actions::RecordedAction;
use crate::pipeline::context::{LoadedWorkspace, UnionPackage};
use crate::pipeline::options::BuildOptions;
use crate::pipeline::problems::{ManifestProblems, Result};
use crate::sys::secret::Secret;
use directories::RunDirs;
use image::ContainerStart;
use task_inputs::{CheckedInput, TaskInputs};

/// The result of a task that succeeded on this machine.
pub(crate) struct LocalRunOutcome {
    pub(crate) package: String,
    /// The key of the task's table.
    pub(crate) task: String,
    /// The location of the task's image; `None` on the host.
    pub(crate) image: Option<String>,
    /// Plain values, and the paths of files and directories.
    pub(crate) outputs: BTreeMap<String, Value>,
    /// The traced steps of a worker.
    pub(crate) traces: Vec<RecordedAction>,
}

/// A task with everything that its run needs.
struct LocalRun<'a> {
    options: &'a LocalRunOptions,
    session: &'a LoadedWorkspace,
    declared: &'a UnionPackage,
    task: &'a spec::Task,
    /// Empty until [`LocalRun::with_secrets`].
    secrets: Vec<(&'a spec::task::TaskSecret, Secret<String>)>,
    reporter: &'a Arc<dyn Reporter>,
}

/// The output directory of a program that exited with 0.
struct ProgramOutput {
    /// The location of the image; `None` on the host.
    image: Option<String>,
    directory: OutputDir,
}

/// Builds and runs a task.
///
/// # Errors
/// Those of the build; `UnknownTask`, `InputsInvalid`, `TaskSecretMissing`, `EngineUnreachable`, `EngineFailed`,
/// `ProgramFailed`, `OutputsInvalid`; [`ManifestProblems`] of the code `NotRunHere`.
pub(crate) async fn run_task(
    options: &LocalRunOptions,
    reporter: &Arc<dyn Reporter>,
) -> Result<LocalRunOutcome> {
    let mut session = LoadedWorkspace::open_with_cache(&options.build.scope, &**reporter).await?;
    let task = select_task(&mut session, &options.task)?;
    let options = &LocalRunOptions {
        build: BuildOptions {
            tasks: vec![task.clone()],
            ..options.build.clone()
        },
        task,
        ..options.clone()
    };
    let declared = &session.packages[0];
    let task = &declared.spec.tasks[&options.task];
    let has_entrypoint = ContainerStart::of(&declared.spec, &task.image)
        .entrypoint
        .is_some_and(|words| !words.is_empty());
    let problems = compatibility::check_task(task, has_entrypoint, options.target);
    if !problems.is_empty() {
        return Err(ManifestProblems(problems).into());
    }
    let run = LocalRun {
        options,
        session: &session,
        declared,
        task,
        secrets: Vec::new(),
        reporter,
    };
    match task.kind.value {
        TaskKind::Container => run_container_task(run).await,
        TaskKind::Rust => worker::run_worker(run.with_secrets()?).await,
    }
}

async fn run_container_task(run: LocalRun<'_>) -> Result<LocalRunOutcome> {
    let inputs = run.read_inputs(&input_types(run.task), CheckedInput::of)?;
    let inputs: TaskInputs = inputs.into_iter().collect();
    let run = run.with_secrets()?;
    let directories = RunDirs::create(&run)?;
    let output = match run.options.target {
        RunTarget::Engine => engine::run_program(&run, &inputs, &directories).await?,
        RunTarget::Host => host::run_program(&run, &inputs, &directories).await?,
    };
    let outputs = directories.take_outputs(&run, &output.directory)?;
    Ok(run.outcome(output.image, outputs, Vec::new()))
}

impl LocalRun<'_> {
    fn read_inputs<T>(
        &self,
        types: &BTreeMap<String, Type>,
        convert: impl Fn(&Type, &InputValue) -> Result<T, String>,
    ) -> Result<BTreeMap<String, T>> {
        let reader = InputReader {
            task: &self.options.task,
            types,
            options: &self.options.inputs,
        };
        Ok(reader.read(&self.options.build.scope.cargo.directory, convert)?)
    }

    /// Reads the secrets of the task.
    ///
    /// # Errors
    /// `TaskSecretMissing`.
    fn with_secrets(self) -> Result<Self> {
        let secrets =
            secrets::read_secrets(self.task, &self.options.build.scope.cargo.environment)?;
        Ok(Self { secrets, ..self })
    }

    fn outcome(
        &self,
        image: Option<String>,
        outputs: BTreeMap<String, Value>,
        traces: Vec<RecordedAction>,
    ) -> LocalRunOutcome {
        LocalRunOutcome {
            package: self.declared.package.name.clone(),
            task: self.options.task.clone(),
            image,
            outputs,
            traces,
        }
    }
}

fn input_types(task: &spec::Task) -> BTreeMap<String, Type> {
    task.inputs
        .iter()
        .map(|(name, ty)| (name.clone(), ty.value.clone()))
        .collect()
}
