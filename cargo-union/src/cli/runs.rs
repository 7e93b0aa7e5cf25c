//! Arguments of `abort` and `rerun`.

use std::path::PathBuf;

use clap::Args;

use super::{BackendArgs, CargoArgs, ProjectArgs, WorkspaceArgs};

/// `abort`
#[derive(Args, Debug)]
pub struct AbortArgs {
    /// The run
    #[arg(value_name = "RUN")]
    pub run: String,

    /// Why, as the backend shows it
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "aborted with `cargo union abort`"
    )]
    pub reason: String,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub project: ProjectArgs,
}

/// `rerun`
#[derive(Args, Debug)]
#[command(after_long_help = RERUN)]
pub struct RerunArgs {
    /// The run to repeat
    #[arg(value_name = "RUN")]
    pub run: String,

    /// Run the version that the run had, and build nothing
    #[arg(long)]
    pub same_version: bool,

    /// Run the task although its result is cached
    #[arg(long)]
    pub overwrite_cache: bool,

    /// Accept an image of the remote builder whose registry does not report its digest
    #[arg(long)]
    pub allow_unpinned: bool,

    /// Print the name of the new run, and do not wait for it to finish
    #[arg(long)]
    pub detach: bool,

    /// Fetch the files and directories of the outputs into a directory, and print their paths there
    #[arg(long, value_name = "DIR", conflicts_with = "detach")]
    pub save_outputs: Option<PathBuf>,

    /// How many jobs run at once
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub scope: WorkspaceArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub backend: BackendArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub cargo: CargoArgs,
}

const RERUN: &str = "\
The new run has the inputs of the old one. Without `--same-version` the task of the present sources is built and registered first if it has changed, as by `run --remote`; it has to take the inputs that the old version took. With `--same-version` labels, annotations, variables and queue of the old run are repeated too, and no package is needed.";
