//! The user's workspace: what cargo says about it, which inputs its code has, and how it is compiled.
//!
//! A command goes through it in this order: [`Workspace::load`] asks cargo once; [`Snapshot::take`]
//! reads what all packages share (Cargo.lock, cargo's configuration, the toolchain) and gives the
//! [`CodeInputs`] of each image; [`ReferencesFile::write`] leaves the references where `build.rs` finds
//! them; [`compile()`] runs cargo, compiles again what is not made from its inputs, and gives as
//! [`coverage::CoverageFindings`] what was read beyond the key; loading, a second snapshot and [`check_unchanged`] show that
//! nothing moved meanwhile.
//!
//! This room never prints, never asks the network by itself, and knows nothing of images, builders
//! or registries but platforms and digests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cargo_metadata::semver::VersionReq;
use union_build::diag::SourceFile;

mod cargo;
mod compile;
mod config;
pub mod coverage;
mod depinfo;
mod features;
mod flags;
mod freshness;
mod handover;
mod inputs;
pub mod launcher;
mod learned_inputs;
mod linker;
mod linking;
mod local;
mod lockfile;
mod manifest;
mod metadata;
mod method;
mod remap;
mod repository;
mod snapshot;
mod sources;
pub mod targets;
mod toolchain;
mod union_lock;
mod units;
mod written_files;

pub use cargo::Cargo;
pub use compile::{CargoJob, JobMember, compile};
pub use features::Features;
pub use handover::ReferencesFile;
pub use inputs::{CodeInputOptions, CodeInputs, check_unchanged};
pub use learned_inputs::{AllLearned, LearnedInputs};
pub use metadata::Selection;
pub use method::{CargoInvocation, CargoRunner, CompileBackend, Host, LineHandler, PATIENCE, ProbeOutput};
pub use remap::SCOPE;
pub use snapshot::Snapshot;
pub use toolchain::Toolchain;
pub use union_lock::{LockedReference, UnionLock};
pub use units::CompiledUnits;
pub use written_files::remember;

/// A workspace as `cargo metadata --no-deps` describes it.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// Folder of the root manifest; Cargo.lock and Union.lock stand in it.
    pub root: PathBuf,
    /// Where cargo puts what it makes, as both cargo and `build.rs` see it without `--target-dir`.
    pub target_directory: PathBuf,
    /// Where cargo puts what lies between; mostly the target directory.
    pub build_directory: PathBuf,
    /// All directories that cargo makes something in, those of `--target-dir` too.
    pub output_directories: Vec<PathBuf>,
    /// The root manifest.
    pub root_manifest: Arc<SourceFile>,
    /// The members, sorted by name.
    pub packages: Vec<WorkspacePackage>,
    /// Ids of the members that cargo would take when none is named.
    default_members: Vec<String>,
}

/// A package on this disk: a member, or a path dependency outside of the workspace.
#[derive(Clone, Debug)]
pub struct WorkspacePackage {
    /// The package id, as cargo's `-p` and its messages have it.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its manifest.
    pub manifest: Arc<SourceFile>,
    /// Its folder.
    pub folder: PathBuf,
    /// The root of the workspace that it belongs to, from which it may inherit.
    pub root: PathBuf,
    /// Its binaries, sorted by name.
    pub binaries: Vec<Binary>,
    /// The binary that `cargo run` takes.
    pub default_run: Option<String>,
    /// Its direct dependencies of every kind.
    pub dependencies: Vec<Dependency>,
    /// Whether it has a `[package.metadata.union]` of its own.
    pub declares_union: bool,
    /// Root files of the library, the binaries and the build script.
    sources: Vec<PathBuf>,
}

impl Workspace {
    /// The directory for the logs of builds of a package.
    pub fn logs(&self, package: &str) -> PathBuf {
        self.target_directory.join("union/logs").join(package)
    }
}

impl WorkspacePackage {
    /// Whether it is built with the upstream `flyte` crate.
    pub fn depends_on_flyte(&self) -> bool {
        self.dependencies.iter().any(|dependency| dependency.name == "flyte" && dependency.kind == DependencyKind::Normal)
    }
}

/// A binary of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binary {
    /// Its name.
    pub name: String,
    /// Features without which cargo does not make it.
    pub required_features: Vec<String>,
}

/// A direct dependency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// Name of the package.
    pub name: String,
    /// The name it has in the code, when that is another.
    pub rename: Option<String>,
    /// What it is for.
    pub kind: DependencyKind,
    /// Its folder, when it is declared by path.
    pub path: Option<PathBuf>,
    /// The versions that fit.
    pub requirement: VersionReq,
}

/// What a dependency is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DependencyKind {
    /// For the code.
    Normal,
    /// For the build script.
    Build,
    /// For tests and examples: it never reaches an image.
    Dev,
}

/// How a package is compiled for an image. Images of a package that agree in it, and in the target,
/// share one compile.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CompileSettings {
    /// Cargo profile.
    pub profile: String,
    /// Cargo features, sorted.
    pub features: BTreeSet<String>,
    /// Whether the default features are on.
    pub default_features: bool,
    /// How binaries are linked.
    pub linkage: Linkage,
    /// Environment variables of the compile.
    pub env: BTreeMap<String, String>,
    /// Where it is compiled.
    pub place: CompileMode,
    /// The image with a toolchain that a container compile takes, as typed or as chosen for it.
    pub rust_image: Option<String>,
    /// Debian packages that a container compile needs.
    pub apt_packages: Vec<String>,
}

/// Where the user wants a package compiled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CompileMode {
    /// Wherever it can be.
    #[default]
    Auto,
    /// By the host's cargo.
    Host,
    /// By cargo-zigbuild.
    Zig,
    /// In a container.
    Container,
}

impl CompileMode {
    /// The word for it in a manifest.
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Host => "host",
            Self::Zig => "zig",
            Self::Container => "container",
        }
    }
}

/// How a binary is linked, once `auto` has been decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Linkage {
    /// No shared libraries.
    Static,
    /// Against the base image's C library.
    Dynamic,
}

/// What the room tells while it works; the user interface listens.
pub trait Reporter: Send + Sync {
    /// Something that is worth knowing and asks for nothing.
    fn note(&self, text: &str) {
        let _ = text;
    }

    /// Another run holds the lock on a file, and is waited for.
    fn waiting_for_lock(&self, path: &Path) {
        let _ = path;
    }

    /// cargo starts to compile a package for a target.
    fn compiling(&self, package: &str, target: &str) {
        let _ = (package, target);
    }
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Reporter for Silent {}
