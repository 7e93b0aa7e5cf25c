//! Arguments of `resolve`.

use std::path::PathBuf;

use clap::Args;

use super::{CargoArgs, OverrideArgs};

/// `resolve`
#[derive(Args, Debug)]
pub struct ResolveArgs {
    /// YAML file, or directory whose YAML files are read; `-` is stdin; may be given several times
    #[arg(short, long, value_name = "PATH", required = true)]
    pub filename: Vec<PathBuf>,

    /// Path to Cargo.toml
    #[arg(long, value_name = "PATH")]
    pub manifest_path: Option<PathBuf>,

    /// How many jobs run at once
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub overrides: OverrideArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub cargo: CargoArgs,
}
