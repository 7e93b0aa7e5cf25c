//! Arguments of `get`, which lists tasks and runs of the backend.

use clap::{Args, Subcommand};

use super::{BackendArgs, PackageArgs};

/// `get`
#[derive(Debug, Subcommand)]
pub enum GetCommand {
    /// List the tasks of a project with their latest versions
    Tasks(ListArgs),
    /// List the runs of a project with their phases
    Runs(ListArgs),
}

/// Arguments of a list. A package is needed only when no flag, variable or Flyte config sets the project.
#[derive(Args, Debug)]
pub struct ListArgs {
    /// Maximum number of entries
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub limit: u32,

    /// Flyte project
    #[arg(long, value_name = "PROJECT")]
    pub project: Option<String>,

    /// Flyte domain
    #[arg(long, value_name = "DOMAIN")]
    pub domain: Option<String>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub packages: PackageArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub backend: BackendArgs,
}
