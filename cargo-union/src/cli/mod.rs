//! The command line, declared with clap. `settings` resolves it to options.

pub mod completions;
mod create;
mod get;
mod logs;
pub mod pages;
mod push;
mod register;
mod resolve;
mod run;
mod runs;
mod scaffold;
mod secret;
mod trigger;

use std::path::PathBuf;

use clap::builder::styling::Styles;
use clap::{Args, Parser, Subcommand, ValueEnum};

pub use create::{CreateCommand, CreateConfigArgs};
pub use get::{GetCommand, GetRunArgs, GetTaskArgs, ListArgs, ListRunsArgs, ListTriggersArgs};
pub use logs::LogsArgs;
pub use push::PushArgs;
pub use register::RegisterArgs;
pub use resolve::ResolveArgs;
pub use run::{RemoteRunArgs, RunArgs};
pub use runs::{AbortArgs, RerunArgs};
pub use scaffold::{InitArgs, NewArgs, ScaffoldArgs};
pub use secret::{CreateSecretArgs, DeleteSecretArgs, ListSecretsArgs, SecretCommand};
pub use trigger::{TriggerArgs, TriggerCommand};

/// Container images for Rust tasks on Flyte and Union, declared in Cargo.toml.
#[derive(Debug, Parser)]
#[command(
    name = "cargo-union",
    bin_name = "cargo union",
    version,
    styles = STYLES,
    propagate_version = true,
    disable_help_subcommand = true,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 done, 1 failed, 2 the manifest or the command line is wrong, 101 cargo failed, 130 interrupted"
)]
pub struct Cli {
    /// The subcommand.
    #[command(subcommand)]
    pub command: CommandArgs,

    /// Options of the output.
    #[command(flatten)]
    pub output: OutputArgs,
}

const STYLES: Styles = clap_cargo::style::CLAP_STYLING;

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum CommandArgs {
    /// Create a package that builds an image
    New(NewArgs),
    /// Add `[package.metadata.union]` to a package, with all keys
    Init(InitArgs),
    /// Check the manifests and show every problem at once
    Check(CheckArgs),
    /// Show the resolved configuration and where each value comes from
    Config(ConfigArgs),
    /// Check everything that a build, a push and a registration need; changes nothing
    Doctor(ConfigArgs),
    /// Show what `build` would do, and which change causes it; changes nothing
    Plan(BuildArgs),
    /// Compile, build and publish the images
    Build(BuildCommandArgs),
    /// Copy an image with its attached documents to another registry, by digest; needs no package
    Push(PushArgs),
    /// Build and push the images that YAML files name as `union://PACKAGE[/IMAGE]`, and print the files with their digests
    Resolve(ResolveArgs),
    /// Build and push the images, and register the tasks with the backend
    #[command(disable_version_flag = true)]
    Register(RegisterArgs),
    /// Run a task, on this machine or with `--remote` on the backend, and print its outputs
    #[command(disable_version_flag = true)]
    Run(RunArgs),
    /// Print the logs of a run
    Logs(LogsArgs),
    /// Show tasks, runs, triggers or projects of the backend
    #[command(subcommand)]
    Get(GetCommand),
    /// Abort a run
    Abort(AbortArgs),
    /// Run a task again with the inputs of an earlier run
    Rerun(RerunArgs),
    /// Store, list or delete secrets at the backend
    #[command(subcommand)]
    Secret(SecretCommand),
    /// Activate or deactivate a trigger
    #[command(subcommand)]
    Trigger(TriggerCommand),
    /// Write a Flyte config
    #[command(subcommand)]
    Create(CreateCommand),
    /// List the images of the last build with their digests and sizes
    Images(ImagesArgs),
    /// Resolve the tags of the base images again, and write their digests into Union.lock
    Update(UpdateArgs),
    /// Compare an image in a registry with this checkout; builds nothing without `--rebuild`
    Verify(VerifyArgs),
    /// Log in to the backend, as the Flyte config specifies
    Login(BackendArgs),
    /// Log out of the backend
    Logout(BackendArgs),
    /// Show the identity that the backend has authenticated
    Whoami(BackendArgs),
    /// Print the JSON schema of `[package.metadata.union]`
    Schema,
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Print names for the completion scripts
    #[command(hide = true)]
    Complete(CompleteArgs),
    /// Print the manual page
    Man,
}

/// Options of the output.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Print more; `-vv` even more, with every request
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,

    /// Print errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// When to colour [default: CARGO_TERM_COLOR, else auto]
    #[arg(long, value_name = "WHEN", global = true)]
    pub color: Option<When>,

    /// Format of stdout
    #[arg(long, value_name = "FORMAT", default_value = "text", global = true)]
    pub format: Format,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// When stderr is a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl When {
    /// The value of cargo's `--color`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "never",
        }
    }
}

/// The format of stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Lines of text.
    Text,
    /// One JSON document.
    Json,
}

/// The selected packages.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Packages")]
pub struct PackageArgs {
    /// Package to work on; may be given several times
    #[arg(short, long = "package", value_name = "NAME")]
    pub package: Vec<String>,

    /// All packages of the workspace that declare `[package.metadata.union]`
    #[arg(long, conflicts_with = "package")]
    pub workspace: bool,

    /// Leave out a package of the workspace; may be given several times
    #[arg(long, value_name = "NAME", requires = "workspace")]
    pub exclude: Vec<String>,

    /// Path to Cargo.toml
    #[arg(long, value_name = "PATH")]
    pub manifest_path: Option<PathBuf>,
}

/// Values that override the manifest.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Instead of the manifest")]
pub struct OverrideArgs {
    /// Flyte project
    #[arg(long, value_name = "PROJECT")]
    pub project: Option<String>,

    /// Flyte domain
    #[arg(long, value_name = "DOMAIN")]
    pub domain: Option<String>,

    /// Registry that images go to, `host[:port][/path]`
    #[arg(long, value_name = "REGISTRY")]
    pub registry: Option<String>,

    /// Docker config.json to read logins from
    #[arg(long, value_name = "PATH")]
    pub registry_config: Option<String>,

    /// Builder of the environments: auto, native, docker, remote
    #[arg(long, value_name = "BUILDER")]
    pub builder: Option<String>,

    /// Cargo profile to compile with
    #[arg(long, value_name = "PROFILE")]
    pub profile: Option<String>,

    /// Cargo features to compile with, separated by commas
    #[arg(short = 'F', long, value_name = "FEATURES", value_delimiter = ',')]
    pub features: Vec<String>,

    /// Compile without the default features
    #[arg(long)]
    pub no_default_features: bool,
}

/// The backend.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Backend")]
pub struct BackendArgs {
    /// Flyte config to read instead of the first one found
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Backend, `host[:port]`
    #[arg(long, value_name = "ENDPOINT")]
    pub endpoint: Option<String>,

    /// Organization of the backend [default: the first label of its host]
    #[arg(long, value_name = "ORG")]
    pub org: Option<String>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub generation: GenerationArgs,
}

/// The generation of the backend.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Backend")]
pub struct GenerationArgs {
    /// Generation of Flyte; `auto` asks the backend once
    #[arg(long, value_name = "BACKEND", value_parser = ["auto", "flyte1", "flyte2"])]
    pub backend: Option<String>,
}

/// `check`
#[derive(Args, Clone, Debug, Default)]
pub struct CheckArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub scope: WorkspaceArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub generation: GenerationArgs,
}

/// The project of a command that builds nothing. A package is needed only when no flag, variable or Flyte config sets the
/// project.
#[derive(Args, Clone, Debug, Default)]
pub struct ProjectArgs {
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

/// Flags that are passed to cargo.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Cargo")]
pub struct CargoArgs {
    /// Directory for compiled artifacts
    #[arg(long, value_name = "DIRECTORY")]
    pub target_dir: Option<PathBuf>,

    /// Require that Cargo.lock and Union.lock need no change
    #[arg(long)]
    pub locked: bool,

    /// Do not access the network for crates
    #[arg(long)]
    pub offline: bool,

    /// Same as `--locked --offline`
    #[arg(long)]
    pub frozen: bool,
}

/// The selected packages, and values that override their manifests.
#[derive(Args, Clone, Debug, Default)]
pub struct WorkspaceArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub packages: PackageArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub overrides: OverrideArgs,
}

/// `config` and `doctor`
#[derive(Args, Clone, Debug, Default)]
pub struct ConfigArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub scope: WorkspaceArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub backend: BackendArgs,
}

/// Arguments of `plan` and `build`.
#[derive(Args, Clone, Debug, Default)]
pub struct BuildArgs {
    /// Only the image of this task; may be given several times
    #[arg(long, value_name = "TASK")]
    pub task: Vec<String>,

    /// Where images go instead of the registry: `oci:DIR`, `tar:FILE` or `docker:`
    #[arg(long, value_name = "WHERE", conflicts_with = "no_push")]
    pub output: Option<String>,

    /// Build into the local OCI layout although a registry is set
    #[arg(long)]
    pub no_push: bool,

    /// How many jobs run at once
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,

    /// Build and publish even images that exist already; the old image keeps a name of its own
    #[arg(long)]
    pub rebuild: bool,

    /// Read every file again, also those whose inode, size and times have not changed
    #[arg(long)]
    pub rehash: bool,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub scope: WorkspaceArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub cargo: CargoArgs,
}

/// `build`
#[derive(Args, Clone, Debug)]
pub struct BuildCommandArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub work: BuildArgs,

    /// Do not check that the binaries can start in their images; the images record this
    #[arg(long)]
    pub no_check: bool,

    /// Accept images of the remote builder whose registry does not report their digests
    #[arg(long)]
    pub allow_unpinned: bool,

    /// Write a bill of materials, CycloneDX in JSON; `{package}`, `{image}` and `{platform}` stand for their names
    #[arg(long, value_name = "FILE")]
    pub sbom: Option<PathBuf>,

    /// Sign the images in the registry with a P-256 key in PEM, plain or encrypted by cosign
    #[arg(long, value_name = "FILE")]
    pub sign_key: Option<PathBuf>,
}

/// `images`
#[derive(Args, Debug)]
pub struct ImagesArgs {
    /// Print the Dockerfile of this image's environment instead of the list
    #[arg(long, value_name = "IMAGE")]
    pub dockerfile: Option<String>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub packages: PackageArgs,
}

/// `verify`
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// Image to verify: `registry/repository:tag` or `registry/repository@sha256:…`
    #[arg(value_name = "REF")]
    pub reference: String,

    /// Image of the manifest to compare with [default: the one with the name of the repository]
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,

    /// Build the image again, publish nothing, and compare the digests
    #[arg(long)]
    pub rebuild: bool,

    /// Require a signature by this public key in PEM; without a package, only the signature is verified
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub scope: WorkspaceArgs,
}

/// `update`
#[derive(Args, Debug)]
pub struct UpdateArgs {
    /// Build this image's environment again next time, to update its packages; may be given several times
    #[arg(long = "packages", value_name = "IMAGE")]
    pub packages_of: Vec<String>,

    /// Show what would change, and write nothing
    #[arg(long)]
    pub dry_run: bool,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub scope: WorkspaceArgs,
}

/// `completions`
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// `complete`
#[derive(Args, Debug)]
pub struct CompleteArgs {
    /// Which names
    pub kind: CompleteKind,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub project: ProjectArgs,
}

/// Names that shells complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CompleteKind {
    /// Tasks of the manifest.
    Tasks,
    /// Runs of the backend.
    Runs,
}
