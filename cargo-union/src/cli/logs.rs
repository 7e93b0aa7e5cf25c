//! Arguments of `logs`.

use clap::Args;

use super::ProjectArgs;

/// `logs`
#[derive(Args, Debug)]
pub struct LogsArgs {
    /// The run
    #[arg(value_name = "RUN")]
    pub run: String,

    /// Only the logs of this attempt
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub attempt: Option<u32>,

    /// An action of the run instead of its task itself
    #[arg(long, value_name = "ACTION")]
    pub action: Option<String>,

    /// Go on until the run has ended
    #[arg(long)]
    pub follow: bool,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub project: ProjectArgs,
}
