//! Arguments of `get`, which shows what the backend has.

use clap::{Args, Subcommand};

use super::ProjectArgs;

/// `get`
#[derive(Debug, Subcommand)]
pub enum GetCommand {
    /// List the tasks of a project with their latest versions, newest first
    Tasks(ListArgs),
    /// Show a task: its versions, inputs, outputs and image
    #[command(disable_version_flag = true)]
    Task(GetTaskArgs),
    /// List the runs of a project with their phases, newest first
    Runs(ListRunsArgs),
    /// List the triggers of a project
    Triggers(ListTriggersArgs),
    /// List the projects of the backend with their domains
    Projects(super::BackendArgs),
    /// Show one run: attempts with their events, inputs, outputs, error, image and actions
    Run(GetRunArgs),
}

/// `get run`
#[derive(Args, Debug)]
pub struct GetRunArgs {
    /// The run
    #[arg(value_name = "RUN")]
    pub run: String,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub project: ProjectArgs,
}

/// Arguments of a list.
#[derive(Args, Debug)]
pub struct ListArgs {
    /// Maximum number of entries
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub limit: u32,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub project: ProjectArgs,
}

/// `get task`
#[derive(Args, Debug)]
pub struct GetTaskArgs {
    /// The task, by its name at the backend or in the manifest
    #[arg(value_name = "TASK")]
    pub task: String,

    /// Show this version instead of the latest
    #[arg(long, value_name = "VERSION")]
    pub version: Option<String>,

    /// Maximum number of versions in the list
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub project: ProjectArgs,
}

/// `get runs`
#[derive(Args, Debug)]
pub struct ListRunsArgs {
    /// Maximum number of runs
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,

    /// Only runs in this phase, such as `running` or `failed`; may be given several times
    #[arg(long, value_name = "PHASE", value_parser = PHASES)]
    pub phase: Vec<String>,

    /// Only runs of this task, by its name at the backend or in the manifest
    #[arg(long, value_name = "TASK")]
    pub task: Option<String>,

    /// Only runs that were started since: a duration such as `2h` or `1d12h`, or a time such as `2030-01-31T12:00:00Z`
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub project: ProjectArgs,
}

/// The phases, as JSON documents have them.
const PHASES: [&str; 10] = [
    "queued",
    "waiting",
    "starting",
    "running",
    "paused",
    "succeeded",
    "recovered",
    "failed",
    "aborted",
    "timed-out",
];

/// `get triggers`
#[derive(Args, Debug)]
pub struct ListTriggersArgs {
    /// Only triggers of this task, by its name at the backend or in the manifest
    #[arg(long, value_name = "TASK")]
    pub task: Option<String>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub project: ProjectArgs,
}
