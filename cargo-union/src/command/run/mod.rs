//! `cargo union run`: one task on this machine, with its inputs and outputs as on the backend; or on
//! the backend itself, in [`remote`].
//!
//! Inputs are read and everything that could not work is refused before anything is compiled. Then
//! the program runs: [`in_engine`] in the task's image, [`on_host`] as a process.

mod arguments;
mod asked;
mod ended;
mod file;
mod image;
mod in_engine;
mod kept;
mod obstacles;
mod on_host;
pub(super) mod remote;
mod secrets;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;
use union_build::diag::Code;
use union_build::spec;
use union_build::spec::types::Type;

use super::planning::check_tasks;
use super::session::{Declared, Problems, Session};
use crate::base::error::Error;
use crate::base::secret::Secret;
use crate::copilot::{Value, Written};
use crate::exit::Exit;
use crate::settings::{Place, Run};
use crate::ui::{self, Ui};
use kept::Kept;

#[derive(Serialize)]
struct Document<'a> {
    package: &'a str,
    task: &'a str,
    /// Where its image is; `None` for a process of this machine.
    image: Option<String>,
    /// Values as JSON has them, and paths of files and folders.
    outputs: BTreeMap<&'a str, &'a serde_json::Value>,
}

/// A task that is about to run.
struct Ready<'a> {
    run: &'a Run,
    session: &'a Session,
    declared: &'a Declared,
    task: &'a spec::Task,
    inputs: BTreeMap<String, Value>,
    /// The values of its secrets.
    secrets: Vec<(&'a spec::task::TaskSecret, Secret<String>)>,
    ui: &'a Arc<Ui>,
}

/// How a program ran to a good end.
struct Ran {
    /// Where its image is, when it has one.
    image: Option<String>,
    /// What it has written.
    written: Written,
}

pub(super) async fn run(run: &Run, ui: &Arc<Ui>) -> Result<Exit> {
    let mut session = Session::open(&run.work.scope, ui).await?;
    choose(&mut session, &run.task)?;
    let declared = &session.packages[0];
    let task = &declared.spec.tasks[&run.task];
    let obstacles = obstacles::of(task, run.place);
    if !obstacles.is_empty() {
        return Err(Problems(obstacles).into());
    }
    let types = types(&task.inputs);
    let asked = asked::Asked { task: &run.task, types: &types, words: &run.arguments, file: run.inputs.as_deref() };
    let inputs = asked.read(&run.work.scope.cargo.folder, Value::of)?;
    let secrets = secrets::of(task, &run.work.scope.cargo.environment)?;
    let ready = Ready { run, session: &session, declared, task, inputs, secrets, ui };
    let kept = Kept::begin(&session.workspace.target_directory, &run.task)?;
    let ran = match run.place {
        Place::Engine => in_engine::run(&ready, &kept).await?,
        Place::Host => on_host::run(&ready, &kept).await?,
    };
    let outputs = kept.take(&ready, &ran.written)?;
    report(&ready, ran.image, &outputs)?;
    Ok(Exit::Success)
}

/// Leaves only the package that has the task.
fn choose(session: &mut Session, task: &str) -> Result<()> {
    check_tasks(session, &[task.to_owned()])?;
    session.packages.retain(|declared| declared.spec.tasks.contains_key(task));
    if session.packages.len() > 1 {
        let names = ui::list(session.packages.iter().map(|declared| &declared.package.name));
        let error = Error::new(Code::UsageInvalid, format!("the packages {names} have a task `{task}` each"));
        return Err(error.help("Choose one of them with `-p`.").into());
    }
    Ok(())
}

fn types(declared: &BTreeMap<String, spec::Placed<Type>>) -> BTreeMap<String, Type> {
    declared.iter().map(|(name, ty)| (name.clone(), ty.value.clone())).collect()
}

fn report(ready: &Ready<'_>, image: Option<String>, outputs: &BTreeMap<String, serde_json::Value>) -> Result<()> {
    if ready.ui.talk().json {
        let outputs = outputs.iter().map(|(name, value)| (name.as_str(), value)).collect();
        let (package, task) = (&ready.declared.package.name, &ready.run.task);
        ready.ui.document("run", &Document { package, task, image, outputs })?;
    } else {
        ready.ui.data(&lines(outputs.iter()))?;
    }
    Ok(())
}

/// Outputs as people read them, `NAME = VALUE`.
fn lines<'a>(outputs: impl Iterator<Item = (&'a String, &'a serde_json::Value)>) -> String {
    outputs.map(|(name, value)| format!("{name} = {value}\n")).collect()
}
