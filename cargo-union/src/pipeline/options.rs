//! What a caller of the pipeline decides: packages, overrides, the backend, where images go.

use std::path::PathBuf;

use union_build::spec::merge::Overrides;

use crate::sys::cache::Cache;
use crate::sys::process::Environment;
use crate::workspace::{Cargo, Selection};

/// Which packages, and what overrides their manifests.
#[derive(Debug)]
pub struct WorkspaceOptions {
    /// cargo, with the flags that are for it and the process's environment.
    pub cargo: Cargo,
    /// `--manifest-path`
    pub manifest_path: Option<PathBuf>,
    /// `-p`, `--workspace`, `--exclude`
    pub selection: Selection,
    /// Flags and environment variables that stand for keys.
    pub overrides: Overrides,
    /// Where the backend is looked for.
    pub backend: BackendOptions,
    /// The cache of blobs and layers.
    pub cache: Cache,
    /// The most bytes that the cache keeps.
    pub cache_limit: u64,
}

/// Where the backend is looked for: the user's Flyte config, and what overrides it.
#[derive(Clone, Debug)]
pub struct BackendOptions {
    /// The process's environment.
    pub environment: Environment,
    /// The current folder.
    pub folder: PathBuf,
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--endpoint`
    pub endpoint: Option<String>,
    /// `--org`
    pub org: Option<String>,
    /// Whether somebody looks at what is shown, who could be sent to a browser.
    pub attended: bool,
}

/// What `plan` and `build` work with.
#[derive(Debug)]
pub struct BuildOptions {
    /// Which packages.
    pub scope: WorkspaceOptions,
    /// `--task`; empty means all.
    pub tasks: Vec<String>,
    /// Where images go.
    pub output: Output,
    /// How many transfers run at once.
    pub jobs: usize,
    /// `--rebuild`
    pub rebuild: bool,
    /// Nothing is sent, and nothing is remembered of what was made.
    pub dry: bool,
    /// Every binary of a `rust` task has to say what its interface is, though that takes a compile.
    pub describe: bool,
    /// Whether a binary that could not start in its image is refused: not with `--no-check`.
    pub check: bool,
    /// Whether an image whose digest cannot be asked for is taken by its tag: `--allow-unpinned`.
    pub allow_unpinned: bool,
    /// Seconds since 1970 of every timestamp in an image.
    pub source_date_epoch: u64,
}

/// Where images go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// The registry when one is set, else the local layout.
    Default,
    /// The local layout: `--no-push`.
    Local,
    /// `oci:DIR`
    Oci(PathBuf),
    /// `tar:FILE`
    Tar(PathBuf),
    /// `docker:`
    Docker,
}
