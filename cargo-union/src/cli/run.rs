//! Arguments of `run`: a task, where it runs, and its inputs.

use std::path::PathBuf;

use clap::Args;

use super::{BackendArgs, CargoArgs, WorkspaceArgs};

/// `run`
#[derive(Args, Debug)]
#[command(after_long_help = RUN)]
pub struct RunArgs {
    /// The task
    #[arg(
        value_name = "TASK",
        required_unless_present = "follow",
        conflicts_with = "follow"
    )]
    pub task: Option<String>,

    /// Inputs by their names, such as `-- --x 21 --label Ada`
    #[arg(last = true, value_name = "INPUT")]
    pub values: Vec<String>,

    /// Read inputs from a JSON object (`.json`) or from TOML (`.toml`); those after `--` override them
    #[arg(long, value_name = "FILE")]
    pub inputs: Option<PathBuf>,

    /// Run the binary as a process of this machine, with neither image nor engine
    ///
    /// The crate is compiled for this machine, with the build settings of the task's image. Of the image
    /// only its entrypoint and its environment variables remain: no base, no packages, no copied files,
    /// no other user and no working directory. `input-path` and `output-path` in the task's command or
    /// environment are replaced by directories of this run; a program that has the paths in its code does
    /// not find them.
    #[arg(long)]
    pub host: bool,

    /// How many jobs run at once
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,

    /// Read every file again, also those whose inode, size and times have not changed
    #[arg(long)]
    pub rehash: bool,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub remote: RemoteRunArgs,

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

/// Arguments of a run on the backend.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "On the backend")]
pub struct RemoteRunArgs {
    /// Run the task on the backend: build and register it if it has changed, then run that version
    #[arg(long, conflicts_with = "host")]
    pub remote: bool,

    /// Run this version, which is registered already, and build nothing
    #[arg(long, value_name = "VERSION", requires = "remote")]
    pub version: Option<String>,

    /// Run the task although its result is cached
    #[arg(long, requires = "remote")]
    pub overwrite_cache: bool,

    /// Accept an image of the remote builder whose registry does not report its digest
    #[arg(long, requires = "remote")]
    pub allow_unpinned: bool,

    /// Print the name of the run, and do not wait for it to finish
    #[arg(long, requires = "remote")]
    pub detach: bool,

    /// Fetch the files and directories of the outputs into a directory, and print their paths there
    ///
    /// An output goes to the path of its name below DIR. Nothing that exists there is replaced. The files are read from their
    /// store with the login of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["host", "detach"])]
    pub save_outputs: Option<PathBuf>,

    /// Follow an existing run, and print its outputs
    #[arg(long, value_name = "RUN", conflicts_with_all = ["host", "version", "overwrite_cache", "allow_unpinned", "detach", "inputs", "values"])]
    pub follow: Option<String>,
}

const RUN: &str = "\
Inputs are written as `--x 21`, `--ok` or `--ok=false`, a list as `--xs 1 --xs 2` or as JSON, a map or a struct as JSON, a file or a directory as its path, and with `--remote` as its address.

Outputs are printed as `NAME = VALUE` with VALUE in JSON, or as one document with `--format json`. Files and directories are left in `target/union/run/TASK`, and their paths are printed; those of a run on the backend stay there, and their addresses are printed, unless `--save-outputs` fetches them. The program's own output goes to stderr.

On this machine, a task of the kind `rust` is compiled before its inputs are parsed, since its binary declares them. The run replaces the backend: traced steps are shown, and conditions are not supported.

Secrets are then read from the environment variables that they have in the task. Resources, retries, timeouts and caches apply only on the backend.

A run on the backend continues when the connection is lost, and the tool reconnects to it. Ctrl-C detaches from it, and a second one within five seconds aborts it; without a terminal the first one aborts it. A run that `--follow` found running is aborted only by a second Ctrl-C.";
