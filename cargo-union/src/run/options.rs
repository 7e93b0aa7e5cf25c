//! Options of a run, as a caller sets them.

use std::path::PathBuf;

use crate::deploy::options::RegisterOptions;
use crate::pipeline::options::BuildOptions;

/// Where the inputs of a task come from.
#[derive(Clone, Debug)]
pub struct InputOptions {
    /// `--inputs FILE`
    pub file: Option<PathBuf>,
    /// The words after `--`, which take precedence over the file.
    pub arguments: Vec<String>,
}

/// Options of a run on this machine.
#[derive(Clone, Debug)]
pub struct LocalRunOptions {
    /// How the task's image is built.
    pub build: BuildOptions,
    /// The key of the task's table.
    pub task: String,
    /// The inputs of the task.
    pub inputs: InputOptions,
    /// What runs the program.
    pub target: RunTarget,
}

/// What runs the program of a task on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunTarget {
    /// A container engine, in the task's image.
    Engine,
    /// The host, as a process: `--host`.
    Host,
}

/// Options of a run on the backend.
#[derive(Clone, Debug)]
pub struct RemoteRunOptions {
    /// How the task is built and registered, with the packages and the backend.
    pub register: RegisterOptions,
    /// Whether a run is created or an existing one followed.
    pub mode: RemoteRunMode,
    /// `--save-outputs DIR`: where the files and directories of the outputs are saved; without it, only their addresses
    /// are returned.
    pub save_outputs: Option<PathBuf>,
}

/// The run to follow.
#[derive(Clone, Debug)]
pub enum RemoteRunMode {
    /// `--remote`
    New(NewRun),
    /// `--follow RUN`
    Follow(String),
    /// `rerun`
    Rerun(Rerun),
}

/// A run to create.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// The key of the task's table.
    pub task: String,
    /// `--version`
    pub version: Option<String>,
    /// The inputs of the task.
    pub inputs: InputOptions,
    /// `--overwrite-cache`
    pub overwrite_cache: bool,
    /// `--detach`
    pub detach: bool,
}

/// A run to repeat.
#[derive(Clone, Debug)]
pub struct Rerun {
    /// The name of the run.
    pub run: String,
    /// `--same-version`: the version of the run instead of the current sources.
    pub same_version: bool,
    /// `--overwrite-cache`
    pub overwrite_cache: bool,
    /// `--detach`
    pub detach: bool,
}
