//! `cargo union run`: one task on this machine, with its inputs and outputs as on the backend; or on
//! the backend itself, in [`remote`].
//!
//! Inputs are read and everything that could not work is refused before anything is compiled. Then
//! the program runs: [`in_engine`] in the task's image, [`on_host`] as a process. A task of the kind
//! `rust` is a [`worker`], whose inputs are known only when it is compiled.

mod arguments;
mod dirs;
mod file;
mod image;
mod in_engine;
mod input_args;
mod on_host;
mod output_tail;
pub(super) mod remote;
mod secrets;
mod unsupported;
mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;
use union_build::diag::Code;
use union_build::spec::types::Type;
use union_build::spec::value::InputValue;
use union_build::spec::{self, TaskKind};

use crate::copilot::{InputLiteral, OutputDir};
use crate::exit::Exit;
use crate::flyte::actions::RecordedAction;
use crate::pipeline::context::{LoadedWorkspace, UnionPackage};
use crate::pipeline::plan::check_tasks;
use crate::pipeline::problems::ManifestProblems;
use crate::settings::{RunOptions, RunTarget};
use crate::sys::error::Error;
use crate::sys::secret::Secret;
use crate::ui::{self, Ui};
use dirs::RunDirs;

#[derive(Serialize)]
struct Document<'a> {
    package: &'a str,
    task: &'a str,
    /// Where its image is; `None` for a process of this machine.
    image: Option<String>,
    /// Values as JSON has them, and paths of files and folders.
    outputs: &'a BTreeMap<String, serde_json::Value>,
    /// The traced steps of a worker.
    traces: &'a [RecordedAction],
}

/// A task that is about to run.
struct LocalRun<'a> {
    run: &'a RunOptions,
    session: &'a LoadedWorkspace,
    declared: &'a UnionPackage,
    task: &'a spec::Task,
    /// The values of its secrets.
    secrets: Vec<(&'a spec::task::TaskSecret, Secret<String>)>,
    ui: &'a Arc<Ui>,
}

/// How a program ran to a good end.
struct ProgramOutput {
    /// Where its image is, when it has one.
    image: Option<String>,
    /// What it has written.
    written: OutputDir,
}

/// What is told of a task that has ended well.
struct RunReport {
    image: Option<String>,
    outputs: BTreeMap<String, serde_json::Value>,
    traces: Vec<RecordedAction>,
}

pub(super) async fn run(run: &RunOptions, ui: &Arc<Ui>) -> Result<Exit> {
    let mut session = LoadedWorkspace::open_with_cache(&run.work.scope, &**ui).await?;
    choose(&mut session, &run.task)?;
    let declared = &session.packages[0];
    let task = &declared.spec.tasks[&run.task];
    let has_entrypoint = image::ContainerStart::of(&declared.spec, &task.image).entrypoint.is_some_and(|words| !words.is_empty());
    let obstacles = unsupported::unsupported_locally(task, has_entrypoint, run.place);
    if !obstacles.is_empty() {
        return Err(ManifestProblems(obstacles).into());
    }
    let ready = LocalRun { run, session: &session, declared, task, secrets: Vec::new(), ui };
    let done = match task.kind.value {
        TaskKind::Container => container(ready).await?,
        TaskKind::Rust => worker::run(ready.with_secrets()?).await?,
    };
    report(run, &declared.package.name, done, ui)?;
    Ok(Exit::Success)
}

/// Runs any program.
async fn container(ready: LocalRun<'_>) -> Result<RunReport> {
    let inputs = ready.inputs(&types(&ready.task.inputs), InputLiteral::of)?;
    let ready = ready.with_secrets()?;
    let kept = ready.run_dirs()?;
    let ran = match ready.run.place {
        RunTarget::Engine => in_engine::run(&ready, &inputs, &kept).await?,
        RunTarget::Host => on_host::run(&ready, &inputs, &kept).await?,
    };
    let outputs = kept.take(&ready, &ran.written)?;
    Ok(RunReport { image: ran.image, outputs, traces: Vec::new() })
}

impl LocalRun<'_> {
    /// The inputs, as `take` makes them of what was given.
    fn inputs<T>(
        &self,
        types: &BTreeMap<String, Type>,
        take: impl Fn(&Type, &InputValue) -> Result<T, String>,
    ) -> Result<BTreeMap<String, T>> {
        let asked = input_args::InputArgs { task: &self.run.task, types, words: &self.run.arguments, file: self.run.inputs.as_deref() };
        Ok(asked.read(&self.run.work.scope.cargo.folder, take)?)
    }

    /// With the secrets of its task, which must all be there.
    fn with_secrets(self) -> Result<Self> {
        let secrets = secrets::task_secrets(self.task, &self.run.work.scope.cargo.environment)?;
        Ok(Self { secrets, ..self })
    }

    fn run_dirs(&self) -> Result<RunDirs> {
        Ok(RunDirs::begin(&self.session.workspace.target_directory, &self.run.task)?)
    }
}

/// Leaves only the package that has the task.
fn choose(session: &mut LoadedWorkspace, task: &str) -> Result<()> {
    check_tasks(session, &[task.to_owned()])?;
    session.packages.retain(|declared| declared.spec.tasks.contains_key(task));
    if session.packages.len() > 1 {
        let names = ui::list(session.packages.iter().map(|declared| &declared.package.name));
        let error = Error::new(Code::UsageInvalid, format!("the packages {names} have a task `{task}` each"));
        return Err(error.help("Choose one of them with `-p`.").into());
    }
    Ok(())
}

fn types(declared: &BTreeMap<String, spec::Sourced<Type>>) -> BTreeMap<String, Type> {
    declared.iter().map(|(name, ty)| (name.clone(), ty.value.clone())).collect()
}

fn report(run: &RunOptions, package: &str, done: RunReport, ui: &Ui) -> Result<()> {
    let RunReport { image, outputs, traces } = done;
    if ui.output_options().json {
        ui.document("run", &Document { package, task: &run.task, image, outputs: &outputs, traces: &traces })?;
    } else {
        ui.data(&lines(outputs.iter()))?;
    }
    Ok(())
}

/// Outputs as people read them, `NAME = VALUE`.
fn lines<'a>(outputs: impl Iterator<Item = (&'a String, &'a serde_json::Value)>) -> String {
    outputs.map(|(name, value)| format!("{name} = {value}\n")).collect()
}
