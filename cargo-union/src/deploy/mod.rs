//! From declared tasks and built images to what is registered.

pub(crate) mod access;
pub mod options;
pub(crate) mod project;
pub(crate) mod registration;
mod requests;
mod working_tree;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use union_build::diag::{Code, Origin};
use union_build::spec::{Task, TaskKind};

use crate::build::BINARIES;
use crate::build::EffectiveConfig;
use crate::build::environment::is_remote;
use crate::flyte::convert::{ProjectDomain, TaskSource, validate_triggers};
use crate::flyte::interface::{Description, Interface};
use crate::flyte::version::TaskVersionHash;
use crate::pipeline::context::UnionPackage;
use crate::pipeline::outcome::PackageOutcome;
use crate::pipeline::resolve::ResolvedImage;
use crate::sys::error::Error;
use crate::sys::words;

/// A task that can be registered.
pub(crate) struct TaskRegistration<'a> {
    /// Its package.
    pub(crate) package: &'a str,
    /// Project, domain and tenant.
    pub(crate) scope: ProjectDomain,
    /// The version of its package's tasks.
    pub(crate) version: TaskVersionHash,
    /// What it is registered from.
    pub(crate) source: TaskSource<'a>,
}

impl TaskRegistration<'_> {
    /// What it is called, and where.
    pub(crate) fn named(&self) -> TaskIdent<'_> {
        TaskIdent { package: self.package, task: self.source.task, scope: &self.scope, name: &self.source.name }
    }
}

/// Everything that a task is registered from; `image` as a node pulls it.
fn task_source<'a>(task: &'a Task, name: String, interface: Interface, image: String, resolved: &ResolvedImage) -> TaskSource<'a> {
    TaskSource {
        task,
        name,
        interface,
        image,
        image_key: resolved.key.to_string(),
        entrypoint: EffectiveConfig::of(&resolved.chain).entrypoint.unwrap_or_default().to_vec(),
        program: program(task),
        over_entrypoint: resolved.is_remote(),
    }
}

/// Requires a registry for every image that a chosen task runs in.
///
/// # Errors
/// `RegistryMissing`.
pub(crate) fn check_registries(declared: &UnionPackage, chosen: &[String]) -> Result<()> {
    let images = tasks(declared, chosen).filter_map(|task| declared.spec.images.get(&task.image.value));
    // The backend has a registry of its own for what it makes.
    let without = images.filter(|image| image.registry.is_none() && !is_remote(image));
    let without: BTreeSet<&String> = without.map(|image| &image.key).collect();
    if without.is_empty() {
        return Ok(());
    }
    let what = format!(
        "no registry is set for {} of package `{}`, and a cluster has to pull from one",
        images_of(&without),
        declared.package.name
    );
    Err(Error::new(Code::RegistryMissing, what).into())
}

fn images_of(names: &BTreeSet<&String>) -> String {
    format!("{} {}", if names.len() == 1 { "image" } else { "images" }, words::list(names))
}

/// A task whose name at the backend is known.
#[derive(Clone, Copy)]
pub(crate) struct TaskIdent<'a> {
    /// Its package.
    pub(crate) package: &'a str,
    /// What its manifest declares.
    pub(crate) task: &'a Task,
    /// Where it is registered.
    pub(crate) scope: &'a ProjectDomain,
    /// Its name there.
    pub(crate) name: &'a str,
}

impl std::fmt::Display for TaskIdent<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "task `{}` of package `{}`", self.task.key, self.package)?;
        if self.task.origin == Origin::Default { Ok(()) } else { write!(f, " ({})", self.task.origin) }
    }
}

/// Requires that no two tasks are one at the backend, as far as their names are known.
///
/// # Errors
/// `TasksCollide`.
pub(crate) fn check_collisions<'a>(tasks: impl IntoIterator<Item = TaskIdent<'a>>) -> Result<()> {
    let mut known: BTreeMap<(&ProjectDomain, &str), TaskIdent<'_>> = BTreeMap::new();
    for task in tasks {
        if let Some(first) = known.insert((task.scope, task.name), task) {
            let what = format!("two tasks would be `{}` in {}/{}", task.name, task.scope.project, task.scope.domain);
            return Err(Error::new(Code::TasksCollide, what).because(format!("{first} and {task}")).into());
        }
    }
    Ok(())
}

/// The name of a task at the backend, when its manifest says it.
pub(crate) fn declared_name(task: &Task) -> Option<&str> {
    match (&task.name, task.kind.value) {
        (Some(name), _) => Some(&name.value),
        (None, TaskKind::Container) => Some(&task.key),
        (None, TaskKind::Rust) => None,
    }
}

/// The chosen tasks of a package.
pub(crate) fn tasks<'a>(declared: &'a UnionPackage, chosen: &'a [String]) -> impl Iterator<Item = &'a Task> {
    declared.spec.tasks.values().filter(|task| chosen.is_empty() || chosen.contains(&task.key))
}

/// Everything that the chosen tasks of a package are registered from.
///
/// # Errors
/// When the interface of a `rust` task is not known, or does not fit its triggers.
pub(crate) fn registrables<'a>(
    declared: &'a UnionPackage,
    built: &PackageOutcome,
    scope: &ProjectDomain,
    version: Option<&TaskVersionHash>,
    chosen: &'a [String],
) -> Result<Vec<TaskRegistration<'a>>> {
    let version = version.cloned().unwrap_or_else(|| derived(declared, &built.plan.resolved));
    tasks(declared, chosen).map(|task| registrable(declared, built, task, scope, &version)).collect()
}

fn registrable<'a>(
    declared: &'a UnionPackage,
    built: &PackageOutcome,
    task: &'a Task,
    scope: &ProjectDomain,
    version: &TaskVersionHash,
) -> Result<TaskRegistration<'a>> {
    let resolved = resolved(&built.plan.resolved, task);
    let made = built.images.iter().find(|made| made.planned.image == resolved.name).expect("the images of chosen tasks are chosen");
    let description = task.bin.as_ref().and_then(|bin| made.record.interfaces.get(&bin.value).map(|line| Description::read(bin, line)));
    let (told, interface) = match (task.kind.value, description.transpose()?) {
        (TaskKind::Container, _) => (None, Interface::of_manifest(task)),
        (TaskKind::Rust, Some(description)) => (Some(description.task), description.interface),
        (TaskKind::Rust, None) => return Err(missing_interface(task, &resolved.name).into()),
    };
    let problems = validate_triggers(task, &interface);
    if !problems.is_empty() {
        let error = Error::new(Code::TriggerUnfit, format!("could not take over the triggers of task `{}`", task.key));
        return Err(error.because(problems.join("; ")).into());
    }
    let name = declared_name(task).map(str::to_owned).or(told).expect("a binary that described itself has named its task");
    // One without a digest was allowed to go by its tag.
    let image = made.record.pinned.clone().unwrap_or_else(|| made.record.location.clone());
    Ok(TaskRegistration {
        package: &declared.package.name,
        scope: scope.clone(),
        version: version.clone(),
        source: task_source(task, name, interface, image, resolved),
    })
}

fn missing_interface(task: &Task, image: &str) -> Error {
    Error::new(Code::DescriptionInvalid, format!("the interface of task `{}` is not known", task.key))
        .because(format!("its binary cannot run on this host, and image `{image}` has no interface label"))
        .help("Build the image once on a machine that its binaries run on.")
}

/// The version of all tasks of a package, whichever are chosen. Nothing that only a compile tells is in
/// it: the image's tag stands for its binaries.
fn derived(declared: &UnionPackage, images: &[ResolvedImage]) -> TaskVersionHash {
    let source = |task| {
        let resolved = resolved(images, task);
        let name = declared_name(task).unwrap_or(&task.key).to_owned();
        let image = resolved.reference().map_or_else(|| resolved.tag.clone(), |reference| reference.to_string());
        task_source(task, name, Interface::of_manifest(task), image, resolved)
    };
    let sources: Vec<TaskSource<'_>> = declared.spec.tasks.values().map(source).collect();
    TaskVersionHash::of(&sources)
}

fn resolved<'a>(images: &'a [ResolvedImage], task: &Task) -> &'a ResolvedImage {
    images.iter().find(|resolved| resolved.name == task.image.value).expect("a valid task names an image of its package")
}

/// Where the binary of a task is in its image.
pub(crate) fn program(task: &Task) -> String {
    task.bin.as_ref().map(|bin| format!("{BINARIES}/{}", bin.value)).unwrap_or_default()
}
