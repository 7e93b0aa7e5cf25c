//! The names of a task: the key of its table in the manifest, and its name at the backend.

use std::collections::BTreeSet;

use union_build::diag::Code;
use union_build::spec::{Task, TaskKind};

use super::context::{LoadedWorkspace, UnionPackage};
use super::options::BuildOptions;
use super::plan::check_tasks;
use super::problems::Result;
use super::state::BuildState;
use crate::flyte::interface::Description;
use crate::sys::error::Error;

/// The name of a task at the backend, if it is known without running its binary: the `name` of the manifest, or the key of
/// a `container` task.
pub(crate) fn declared_name(task: &Task) -> Option<&str> {
    match (&task.name, task.kind.value) {
        (Some(name), _) => Some(&name.value),
        (None, TaskKind::Container) => Some(&task.key),
        (None, TaskKind::Rust) => None,
    }
}

/// The name of a task at the backend, from its manifest or from the description of its binary in the last build; `None`
/// when it was not built here.
///
/// # Errors
/// `DescriptionInvalid` and the other errors of a description that cannot be read.
pub(crate) fn known_name(
    session: &LoadedWorkspace,
    package: &UnionPackage,
    task: &Task,
) -> Result<Option<String>, Error> {
    if let Some(name) = declared_name(task) {
        return Ok(Some(name.to_owned()));
    }
    let state = BuildState::load(
        &session.workspace.target_directory,
        &package.package.name,
        &package.package.directory,
    );
    let description = task.bin.as_ref().and_then(|binary| {
        let images = state.images.get(&task.image.value)?;
        let description = images.interfaces.get(&binary.value)?;
        Some(Description::read(binary, description))
    });
    Ok(description.transpose()?.map(|description| description.task))
}

/// A task of the workspace with its names.
struct NamedTask<'a> {
    package: &'a str,
    key: &'a str,
    /// Its name at the backend, as far as it is known.
    name: Option<String>,
}

impl NamedTask<'_> {
    fn describe(&self) -> String {
        let Self { package, key, name } = self;
        match name {
            Some(name) if name != key => {
                format!("`{key}` of package `{package}`, which the backend calls `{name}`")
            }
            _ => format!("`{key}` of package `{package}`"),
        }
    }
}

/// The tasks that have a name, as the key of their tables or at the backend.
fn matching<'a>(session: &'a LoadedWorkspace, typed: &str) -> Vec<NamedTask<'a>> {
    let tasks = session.packages.iter().flat_map(|package| {
        let named = |task: &'a Task| NamedTask {
            package: package.name(),
            key: &task.key,
            // A description that cannot be read is reported by the build.
            name: known_name(session, package, task).unwrap_or_default(),
        };
        package.spec.tasks.values().map(named)
    });
    tasks
        .filter(|task| task.key == typed || task.name.as_deref() == Some(typed))
        .collect()
}

/// Returns the key of the task with a given key or name at the backend. Several packages may have a task with this key.
///
/// # Errors
/// `UnknownTask`; `UsageInvalid` when the name means several tasks, with all of them.
pub(crate) fn task_key(session: &LoadedWorkspace, typed: &str) -> Result<String> {
    let tasks = matching(session, typed);
    let keys: BTreeSet<&str> = tasks.iter().map(|task| task.key).collect();
    match (keys.first(), keys.len()) {
        (Some(key), 1) => Ok((*key).to_owned()),
        (None, _) => {
            check_tasks(session, &[typed.to_owned()])?;
            Ok(typed.to_owned())
        }
        _ => Err(ambiguous(typed, &tasks).into()),
    }
}

/// Returns the name at the backend of the task with a given key or name. A name that no task of the workspace has is
/// returned unchanged.
///
/// # Errors
/// `UsageInvalid` when it means several tasks; `DescriptionInvalid` when the name at the backend is not known.
pub(crate) fn backend_name(session: Option<&LoadedWorkspace>, typed: &str) -> Result<String> {
    let tasks = session
        .map(|session| matching(session, typed))
        .unwrap_or_default();
    let names: BTreeSet<Option<&str>> = tasks.iter().map(|task| task.name.as_deref()).collect();
    match (names.first(), names.len()) {
        (None, _) => Ok(typed.to_owned()),
        (Some(Some(name)), 1) => Ok((*name).to_owned()),
        (Some(None), 1) => Err(unknown_name(typed).into()),
        _ => Err(ambiguous(typed, &tasks).into()),
    }
}

/// The key of the task that the backend has under a name.
///
/// # Errors
/// `UnknownTask`; `UsageInvalid` when several tasks have this name.
pub(crate) fn key_of_backend_name(session: &LoadedWorkspace, name: &str) -> Result<String> {
    let mut tasks = matching(session, name);
    tasks.retain(|task| task.name.as_deref() == Some(name));
    match &tasks[..] {
        [task] => Ok(task.key.to_owned()),
        [] => {
            let error = Error::new(
                Code::UnknownTask,
                format!("no task of the chosen packages is `{name}` at the backend"),
            );
            Err(error
                .help("Choose its package, build a `rust` task once so that its name is known, or repeat the run as it was with `--same-version`.")
                .into())
        }
        _ => Err(ambiguous(name, &tasks).into()),
    }
}

/// Options whose tasks are keys of tables.
///
/// # Errors
/// Those of [`task_key`].
pub(crate) fn with_task_keys(
    options: &BuildOptions,
    session: &LoadedWorkspace,
) -> Result<BuildOptions> {
    let keys = options.tasks.iter().map(|typed| task_key(session, typed));
    Ok(BuildOptions {
        tasks: keys.collect::<Result<_>>()?,
        ..options.clone()
    })
}

/// `DescriptionInvalid` for a task whose name at the backend is not known.
pub(crate) fn unknown_name(key: &str) -> Error {
    Error::new(
        Code::DescriptionInvalid,
        format!("the name of task `{key}` at the backend is not known"),
    )
    .because("its manifest has no `name`, and its binary was not built here")
    .help("Give the task a `name`, or build it once.")
}

fn ambiguous(typed: &str, tasks: &[NamedTask<'_>]) -> Error {
    let descriptions: Vec<String> = tasks.iter().map(NamedTask::describe).collect();
    Error::new(
        Code::UsageInvalid,
        format!("`{typed}` is the name of several tasks"),
    )
    .because(descriptions.join("; "))
    .help("Write the other name of the one that you mean, or choose its package with `-p`.")
}
