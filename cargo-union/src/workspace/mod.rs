//! The user's cargo workspace: its metadata, the inputs of its code, and its compile.
//!
//! A command calls, in this order: [`Workspace::load`], which runs `cargo metadata` once; [`Snapshot::take`], which reads
//! what all packages share (Cargo.lock, cargo's configuration, the toolchain) and computes the [`CodeInputs`] of each
//! image; [`ReferencesFile::write`], which writes the references for `build.rs`; [`compile()`], which runs cargo, again
//! for stale units, and returns as [`coverage::CoverageFindings`] what was read beyond the key; and after a second load
//! and snapshot [`check_unchanged`], which checks that no input has changed meanwhile.
//!
//! This module does not print, does not use the network, and does not depend on images, builders or registries, except
//! for platforms and digests.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cargo_metadata::semver::{Version, VersionReq};
use union_build::diag::SourceFile;

mod cargo;
mod code_inputs;
mod compile;
mod compile_settings;
mod config;
pub mod coverage;
mod crates;
mod depinfo;
mod features;
mod flags;
mod freshness;
mod handover;
mod input_state;
mod inputs;
mod job;
pub mod launcher;
mod learned_inputs;
mod link_failure;
mod linker;
mod local;
mod lockfile;
mod manifest;
mod metadata;
mod method;
mod remap;
mod repository;
mod run_inputs;
mod snapshot;
mod sources;
pub mod targets;
mod toolchain;
mod union_lock;
mod units;
mod written_files;

pub use cargo::Cargo;
pub use code_inputs::{CodeInputOptions, CodeInputs};
pub use compile::compile;
pub use compile_settings::{CompileMode, CompileSettings, Linkage};
pub use features::Features;
pub use handover::ReferencesFile;
pub use inputs::check_unchanged;
pub use job::{CargoJob, JobMember};
pub use learned_inputs::{LearnedInputs, LearnedPackages};
pub use metadata::Selection;
pub use method::{
    CargoInvocation, CargoRunner, CompileBackend, Host, LineHandler, LinkerProgram, PROBE_TIMEOUT,
    ProbeOutput,
};
pub use remap::SCOPE;
pub use snapshot::Snapshot;
pub use toolchain::Toolchain;
pub use union_lock::{LockedReference, UnionLock};
pub use units::CompiledUnits;
pub use written_files::remember;

/// A workspace as `cargo metadata --no-deps` describes it.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// Directory of the root manifest, of Cargo.lock and of Union.lock.
    pub root: PathBuf,
    /// cargo's target directory, without `--target-dir`.
    pub target_directory: PathBuf,
    /// cargo's build directory for intermediate artifacts; the target directory unless configured.
    pub build_directory: PathBuf,
    /// All output directories of cargo, including `--target-dir`.
    pub output_directories: Vec<PathBuf>,
    /// Text and path of the root manifest.
    pub root_manifest: Arc<SourceFile>,
    /// The members, sorted by name.
    pub packages: Vec<WorkspacePackage>,
    /// Ids of the default members.
    default_members: Vec<String>,
}

/// A local package: a member, or a path dependency outside of the workspace.
#[derive(Clone, Debug)]
pub struct WorkspacePackage {
    /// The package id of cargo's `-p` and of its JSON messages.
    pub id: String,
    /// The package name.
    pub name: String,
    /// The semantic version.
    pub version: String,
    /// Text and path of Cargo.toml.
    pub manifest: Arc<SourceFile>,
    /// The directory of Cargo.toml, absolute.
    pub directory: PathBuf,
    /// The root directory of its workspace, from whose manifest it may inherit.
    pub root: PathBuf,
    /// Binary targets, sorted by name.
    pub binaries: Vec<Binary>,
    /// `package.default-run`.
    pub default_run: Option<String>,
    /// Direct dependencies of every kind.
    pub dependencies: Vec<Dependency>,
    /// Whether its manifest has `[package.metadata.union]`.
    pub declares_union: bool,
    /// Root files of the library, binary and build script targets, absolute.
    sources: Vec<PathBuf>,
}

impl Workspace {
    /// The directory for the logs of builds of a package.
    pub fn logs(&self, package: &str) -> PathBuf {
        self.target_directory.join("union/logs").join(package)
    }
}

impl WorkspacePackage {
    /// Whether it depends on the `flyte` crate.
    pub fn depends_on_flyte(&self) -> bool {
        self.dependencies.iter().any(|dependency| {
            dependency.name == "flyte" && dependency.kind == DependencyKind::Normal
        })
    }
}

/// A binary target of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binary {
    /// The target name.
    pub name: String,
    /// `required-features`, without which cargo does not compile it.
    pub required_features: Vec<String>,
}

/// A direct dependency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The name of the package.
    pub name: String,
    /// The name under which it is imported, when renamed.
    pub rename: Option<String>,
    /// The table that declares it.
    pub kind: DependencyKind,
    /// The directory of a path dependency, absolute.
    pub path: Option<PathBuf>,
    /// The version requirement.
    pub requirement: VersionReq,
}

impl Dependency {
    /// Whether its version requirement accepts a version.
    pub fn accepts(&self, version: &str) -> bool {
        Version::parse(version).is_ok_and(|version| self.requirement.matches(&version))
    }
}

/// The kind of a dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DependencyKind {
    /// `[dependencies]`, or a kind that this release does not support.
    Normal,
    /// `[build-dependencies]`.
    Build,
    /// `[dev-dependencies]`, which do not reach an image.
    Dev,
}

/// Receives progress of this module; the user interface implements it.
pub trait Reporter: Send + Sync {
    /// An informational message.
    fn note(&self, text: &str) {
        let _ = text;
    }

    /// Another run holds the lock on a file; this run waits.
    fn waiting_for_lock(&self, path: &Path) {
        let _ = path;
    }

    /// cargo starts to compile a package for a target triple.
    fn compiling(&self, package: &str, target: &str) {
        let _ = (package, target);
    }
}

/// A reporter that ignores everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Reporter for Silent {}
