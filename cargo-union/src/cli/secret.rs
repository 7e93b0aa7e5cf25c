//! Arguments of `secret`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ProjectArgs;

/// `secret`
#[derive(Debug, Subcommand)]
pub enum SecretCommand {
    /// Store a secret: a value for tasks, or a login with which the cluster pulls images
    #[command(after_long_help = CREATE)]
    Create(CreateSecretArgs),
    /// List the secrets of a project, without their values
    List(ListSecretsArgs),
    /// Delete a secret
    Delete(DeleteSecretArgs),
}

/// `secret create`
#[derive(Args, Debug)]
pub struct CreateSecretArgs {
    /// Name of the secret: letters, digits, `-` and `_`
    #[arg(value_name = "NAME")]
    pub name: String,

    /// Read the value from a file, byte by byte, rather than from stdin
    #[arg(long, value_name = "FILE", conflicts_with = "image_pull")]
    pub from_file: Option<PathBuf>,

    /// Store the login of Docker or podman to `--registry`, with which the cluster pulls images of all projects
    #[arg(long, requires = "registry")]
    pub image_pull: bool,

    /// Registry of `--image-pull`, `host[:port][/path]`
    #[arg(long, value_name = "REGISTRY", requires = "image_pull")]
    pub registry: Option<String>,

    /// Overwrite an existing secret
    #[arg(long)]
    pub replace: bool,

    /// For all projects of the organization
    #[arg(long, conflicts_with_all = ["project", "domain"])]
    pub all_projects: bool,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub project: ProjectArgs,
}

/// `secret list`
#[derive(Args, Debug)]
pub struct ListSecretsArgs {
    /// Those for all projects of the organization
    #[arg(long, conflicts_with_all = ["project", "domain"])]
    pub all_projects: bool,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub project: ProjectArgs,
}

/// `secret delete`
#[derive(Args, Debug)]
pub struct DeleteSecretArgs {
    /// Name of the secret
    #[arg(value_name = "NAME")]
    pub name: String,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub scope: ListSecretsArgs,
}

const CREATE: &str = "\
The value is typed at a prompt that does not show it, or written to stdin by another program, or read from a file. It is never given on the command line, where other users of the machine can read it. From stdin, one line end at the end is removed, which `echo` adds; a file is stored byte by byte, so `--from-file /dev/stdin` keeps it. An empty value and one of more than 1 MiB are refused.";
