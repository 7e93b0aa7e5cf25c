//! Arguments of `register`.

use std::path::PathBuf;

use clap::Args;

use super::{BackendArgs, CargoArgs, WorkspaceArgs};

/// `register`
#[derive(Args, Debug, Default)]
pub struct RegisterArgs {
    /// Only this task; may be given several times
    #[arg(long, value_name = "TASK")]
    pub task: Vec<String>,

    /// Version of the tasks [default: a hash of their declarations and sources]
    #[arg(long, value_name = "VERSION")]
    pub version: Option<String>,

    /// Overwrite a version that has other content
    #[arg(long)]
    pub replace: bool,

    /// Refuse a working tree with changes
    #[arg(long)]
    pub require_clean: bool,

    /// Accept images of the remote builder whose registry does not report their digests
    #[arg(long)]
    pub allow_unpinned: bool,

    /// Refuse images that cannot be pulled without a login
    #[arg(long)]
    pub require_public: bool,

    /// Sign the images in the registry with a P-256 key in PEM, plain or encrypted by cosign
    #[arg(long, value_name = "FILE")]
    pub sign_key: Option<PathBuf>,

    /// Compile and pack, and show what would be sent; send nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Write each request to the backend into a directory, as protobuf and as JSON
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,

    /// How many jobs run at once
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,

    /// Read every file again, also those whose inode, size and times have not changed
    #[arg(long)]
    pub rehash: bool,

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
