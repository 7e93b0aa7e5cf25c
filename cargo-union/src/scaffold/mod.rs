//! Packages that use the tool: a new one, or an existing one that gets a starter manifest, a task and a build script.
//!
//! Everything that can fail is checked before the first file is written. Either all files are written or none.

mod changes;
mod manifest;
mod package;
mod programs;
mod project;
mod report;

use std::path::{Path, PathBuf};

use union_build::diag::Code;
use union_build::spec::TaskKind;

pub use changes::FileChange;

use crate::sys::error::Error;

/// What is added to a package.
#[derive(Clone, Debug, Default)]
pub struct ScaffoldOptions {
    /// `--registry`
    pub registry: Option<String>,
    /// `--task` or `--rust-task`
    pub task: Option<NewTask>,
    /// `--references`: a build script that makes the references of the images constants of the crate.
    pub references: bool,
}

/// A task that is added to a package.
#[derive(Clone, Debug)]
pub struct NewTask {
    /// Its name; `None` is derived from the package's.
    pub name: Option<String>,
    /// The kind of its program.
    pub kind: TaskKind,
}

/// A package that is created.
#[derive(Clone, Debug)]
pub struct NewProject {
    /// Its directory, as it was given.
    pub path: PathBuf,
    /// `--name`
    pub name: Option<String>,
    /// `--vcs`
    pub vcs: Option<String>,
    /// What is added to what cargo creates.
    pub added: ScaffoldOptions,
}

/// What was added, or in a dry run would be.
#[derive(Debug)]
pub struct ScaffoldOutcome {
    /// The directory of the package, absolute.
    pub directory: PathBuf,
    /// The files, in the order in which they are written; empty when the package has everything.
    pub files: Vec<FileChange>,
    /// Commands that can be run next in the user's directory, in order.
    pub next: Vec<String>,
}

pub(crate) use package::init;
pub(crate) use project::create;

/// The error for a file or table that exists already.
fn conflict(message: impl Into<String>, help: impl Into<String>) -> Error {
    Error::new(Code::ScaffoldConflict, message).help(help)
}

/// The commands to run next in `current`, with the last task.
fn next_commands(current: &Path, directory: &Path, task: Option<&str>) -> Vec<String> {
    let mut commands = Vec::new();
    if directory != current {
        let shown = directory.strip_prefix(current).unwrap_or(directory);
        let shown = shown.display().to_string();
        let quoted =
            shlex::try_quote(&shown).map_or_else(|_| shown.clone(), |word| word.to_string());
        commands.push(format!("cd {quoted}"));
    }
    commands.push("cargo union build".to_owned());
    commands.extend(task.map(|task| format!("cargo union run {task} -- --x 21")));
    commands
}
