//! Task registration as a library: combines declared tasks and built images into registrations.

pub(crate) mod access;
pub(crate) mod capabilities;
pub mod flyte_config;
mod limits;
pub(crate) mod listing;
pub mod options;
pub(crate) mod outcome;
pub(crate) mod project;
pub(crate) mod registration;
mod removed_tasks;
mod requests;
pub mod secrets;
mod working_tree;

use std::collections::BTreeMap;

use union_build::diag::{Code, Origin};
use union_build::spec::{Task, TaskKind};

use crate::build::BINARIES;
use crate::build::EffectiveConfig;
use crate::flyte::convert::{ProjectDomain, TaskSource, validate_triggers};
use crate::flyte::interface::{Description, Interface};
use crate::flyte::version::TaskVersionHash;
use crate::pipeline::context::UnionPackage;
use crate::pipeline::names::declared_name;
use crate::pipeline::outcome::PackageOutcome;
use crate::pipeline::problems::Result;
use crate::pipeline::resolve::ResolvedImage;
use crate::sys::error::Error;

/// A task with everything that its registration requires.
pub(crate) struct TaskRegistration<'a> {
    pub(crate) package: &'a str,
    pub(crate) scope: ProjectDomain,
    /// The version of all tasks of the package.
    pub(crate) version: TaskVersionHash,
    pub(crate) source: TaskSource<'a>,
}

impl TaskRegistration<'_> {
    /// The identity of the task at the backend.
    pub(crate) fn named(&self) -> TaskIdent<'_> {
        TaskIdent {
            package: self.package,
            task: self.source.task,
            scope: &self.scope,
            name: &self.source.name,
        }
    }
}

/// Combines a task with its resolved image; `image` is the reference that a node pulls.
fn task_source<'a>(
    task: &'a Task,
    name: String,
    interface: Interface,
    image: String,
    resolved: &ResolvedImage,
) -> TaskSource<'a> {
    let config = EffectiveConfig::of(&resolved.chain);
    TaskSource {
        task,
        name,
        interface,
        image,
        image_key: resolved.key.to_string(),
        entrypoint: config.entrypoint.unwrap_or_default().to_vec(),
        image_env: config.env.keys().map(|name| (*name).to_owned()).collect(),
        program: program(task),
        launcher: resolved.launcher,
        override_entrypoint: resolved.is_remote(),
    }
}

/// Checks that a registry is set for every image that one of the selected tasks runs in. Images that the backend builds
/// need none.
///
/// # Errors
/// `RegistryMissing`, with the names of the images.
pub(crate) fn check_registries(package: &UnionPackage, selected: &[String]) -> Result<()> {
    let images = tasks(package, selected);
    package.check_registries(images.filter_map(|task| package.spec.images.get(&task.image.value)))
}

/// The identity of a task at the backend.
#[derive(Clone, Copy)]
pub(crate) struct TaskIdent<'a> {
    pub(crate) package: &'a str,
    pub(crate) task: &'a Task,
    pub(crate) scope: &'a ProjectDomain,
    /// Its name at the backend, which may differ from its key in the manifest.
    pub(crate) name: &'a str,
}

impl std::fmt::Display for TaskIdent<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "task `{}` of package `{}`", self.task.key, self.package)?;
        if self.task.origin == Origin::Default {
            Ok(())
        } else {
            write!(f, " ({})", self.task.origin)
        }
    }
}

/// Checks that no two tasks have the same name, project and domain at the backend, as far as their names are known.
///
/// # Errors
/// `TasksCollide`, with both tasks.
pub(crate) fn check_collisions<'a>(tasks: impl IntoIterator<Item = TaskIdent<'a>>) -> Result<()> {
    let mut known: BTreeMap<(&ProjectDomain, &str), TaskIdent<'_>> = BTreeMap::new();
    for task in tasks {
        if let Some(first) = known.insert((task.scope, task.name), task) {
            let what = format!(
                "two tasks would be `{}` in {}/{}",
                task.name, task.scope.project, task.scope.domain
            );
            return Err(Error::new(Code::TasksCollide, what)
                .because(format!("{first} and {task}"))
                .into());
        }
    }
    Ok(())
}

/// The selected tasks of a package; all of them if `selected` is empty.
pub(crate) fn tasks<'a>(
    package: &'a UnionPackage,
    selected: &'a [String],
) -> impl Iterator<Item = &'a Task> {
    package
        .spec
        .tasks
        .values()
        .filter(|task| selected.is_empty() || selected.contains(&task.key))
}

/// The registrations of the selected tasks of a package. Without a `version` it is derived from all tasks of the package.
///
/// # Errors
/// `DescriptionInvalid` if the interface of a `rust` task is not known, `TriggerUnfit` if it does not match a trigger.
pub(crate) fn registrables<'a>(
    package: &'a UnionPackage,
    built: &PackageOutcome,
    scope: &ProjectDomain,
    version: Option<&TaskVersionHash>,
    selected: &'a [String],
) -> Result<Vec<TaskRegistration<'a>>> {
    let version = version
        .cloned()
        .unwrap_or_else(|| derive_version(package, &built.plan.resolved));
    tasks(package, selected)
        .map(|task| task_registration(package, built, task, scope, &version))
        .collect()
}

fn task_registration<'a>(
    package: &'a UnionPackage,
    built: &PackageOutcome,
    task: &'a Task,
    scope: &ProjectDomain,
    version: &TaskVersionHash,
) -> Result<TaskRegistration<'a>> {
    let resolved = resolved_image(&built.plan.resolved, task);
    let image = built
        .images
        .iter()
        .find(|image| image.planned.image == resolved.name)
        .expect("the images of chosen tasks are chosen");
    let description = task.bin.as_ref().and_then(|bin| {
        image
            .record
            .interfaces
            .get(&bin.value)
            .map(|line| Description::read(bin, line))
    });
    let (described_name, interface) = match (task.kind.value, description.transpose()?) {
        (TaskKind::Container, _) => (None, Interface::of_manifest(task)),
        (TaskKind::Rust, Some(description)) => (Some(description.task), description.interface),
        (TaskKind::Rust, None) => return Err(missing_interface(task, &resolved.name).into()),
    };
    let problems = validate_triggers(task, &interface);
    if !problems.is_empty() {
        let error = Error::new(
            Code::TriggerUnfit,
            format!("could not convert the triggers of task `{}`", task.key),
        );
        return Err(error.because(problems.join("; ")).into());
    }
    let name = declared_name(task)
        .map(str::to_owned)
        .or(described_name)
        .expect("a binary that described itself has named its task");
    // An image without a digest is allowed only with `--allow-unpinned`.
    let reference = image
        .record
        .pinned
        .clone()
        .unwrap_or_else(|| image.record.location.clone());
    Ok(TaskRegistration {
        package: package.name(),
        scope: scope.clone(),
        version: version.clone(),
        source: task_source(task, name, interface, reference, resolved),
    })
}

fn missing_interface(task: &Task, image: &str) -> Error {
    Error::new(
        Code::DescriptionInvalid,
        format!("the interface of task `{}` is not known", task.key),
    )
    .because(format!(
        "its binary cannot run on this host, and image `{image}` has no interface label"
    ))
    .help("Build the image once on a machine that its binaries run on.")
}

/// The version of all tasks of a package, independent of the selection. It does not depend on the result of a compile: the
/// tag of an image represents its binaries.
fn derive_version(package: &UnionPackage, images: &[ResolvedImage]) -> TaskVersionHash {
    let source = |task| {
        let resolved = resolved_image(images, task);
        let name = declared_name(task).unwrap_or(&task.key).to_owned();
        let image = resolved
            .reference()
            .map_or_else(|| resolved.tag.clone(), |reference| reference.to_string());
        task_source(task, name, Interface::of_manifest(task), image, resolved)
    };
    let sources: Vec<TaskSource<'_>> = package.spec.tasks.values().map(source).collect();
    TaskVersionHash::of(&sources)
}

fn resolved_image<'a>(images: &'a [ResolvedImage], task: &Task) -> &'a ResolvedImage {
    images
        .iter()
        .find(|resolved| resolved.name == task.image.value)
        .expect("a valid task names an image of its package")
}

/// The path of a task's binary in its image; empty for a task without one.
pub(crate) fn program(task: &Task) -> String {
    task.bin
        .as_ref()
        .map(|bin| format!("{BINARIES}/{}", bin.value))
        .unwrap_or_default()
}
