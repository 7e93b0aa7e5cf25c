//! Arguments of `new` and `init`.

use std::path::PathBuf;

use clap::Args;

/// What is added to a package.
#[derive(Args, Debug)]
#[command(next_help_heading = "Contents")]
pub struct ScaffoldArgs {
    /// Registry that images go to, `host[:port][/path]`
    #[arg(long, value_name = "REGISTRY")]
    pub registry: Option<String>,

    /// Add a task that is any program, with an input and an output
    #[arg(long, value_name = "NAME", num_args = 0..=1, require_equals = true, conflicts_with = "rust_task")]
    pub task: Option<Option<String>>,

    /// Add a task of the `flyte` crate, which describes its inputs and outputs itself
    #[arg(long, value_name = "NAME", num_args = 0..=1, require_equals = true)]
    pub rust_task: Option<Option<String>>,

    /// Add a build script that makes the references of the images constants of the crate
    #[arg(long)]
    pub references: bool,
}

/// `new`
#[derive(Args, Debug)]
pub struct NewArgs {
    /// Directory of the package, which must not exist
    #[arg(value_name = "PATH")]
    pub path: PathBuf,

    /// Name of the package [default: the directory's]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// Version control of a package outside of a repository, as of `cargo new`
    #[arg(long, value_name = "VCS", value_parser = ["git", "hg", "pijul", "fossil", "none"])]
    pub vcs: Option<String>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub added: ScaffoldArgs,
}

/// `init`
#[derive(Args, Debug)]
pub struct InitArgs {
    /// Path to Cargo.toml
    #[arg(long, value_name = "PATH")]
    pub manifest_path: Option<PathBuf>,

    /// Print what would change as a diff, and write nothing
    #[arg(long)]
    pub dry_run: bool,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub added: ScaffoldArgs,
}
