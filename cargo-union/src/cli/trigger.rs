//! Arguments of `trigger`.

use clap::{Args, Subcommand};

use super::ProjectArgs;

/// `trigger`
#[derive(Debug, Subcommand)]
pub enum TriggerCommand {
    /// Let a trigger start runs
    Activate(TriggerArgs),
    /// Let a trigger start no more runs
    Deactivate(TriggerArgs),
}

/// Arguments of both.
#[derive(Args, Debug)]
pub struct TriggerArgs {
    /// The trigger, `NAME` or `TASK/NAME`
    #[arg(value_name = "NAME")]
    pub name: String,

    /// The task of the trigger, by its name at the backend or in the manifest
    #[arg(long, value_name = "TASK")]
    pub task: Option<String>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub project: ProjectArgs,
}
