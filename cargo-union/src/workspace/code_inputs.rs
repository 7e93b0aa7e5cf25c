//! The inputs of an image's code, and what they are computed from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use union_build::key::{Inputs, Value};
use union_build::spec::Pattern;

use super::learned_inputs::{LearnedInputs, LearnedPackages};
use super::sources::ExcludePatterns;
use super::{CompileMode, CompileSettings, WorkspacePackage};

/// The code-related settings of an image.
#[derive(Clone, Debug)]
pub struct CodeInputOptions {
    /// The compile settings.
    pub compile: CompileSettings,
    /// Target triples, in the order of the image's platforms.
    pub targets: Vec<String>,
    /// Names of the binaries in the image.
    pub binaries: BTreeSet<String>,
    /// The manifest's `inputs`: further files that are part of the key.
    pub inputs: Vec<Pattern>,
    /// The manifest's `exclude`: files that are not part of the key.
    pub exclude: Vec<Pattern>,
    /// Digests of the images with the toolchain of a container compile, by platform; empty for the host's toolchain.
    pub toolchains: Vec<(String, String)>,
    /// The compile mode of each target, with `auto` resolved.
    pub compile_modes: Vec<CompileMode>,
    /// Further inputs by name, such as zig's release and the host's processor.
    pub tools: BTreeMap<String, String>,
}

/// The inputs of an image's code, and the files and variables that they cover.
#[derive(Clone, Debug, Default)]
pub struct CodeInputs {
    /// The inputs by name.
    pub inputs: Inputs,
    /// Messages for the patterns of `inputs` that match no file, with their origins.
    pub unmatched: Vec<String>,
    /// The local packages in the dependency closure.
    pub(super) packages: Vec<Arc<PackageInputs>>,
    /// The files that the inputs cover, absolute.
    pub(super) files: BTreeSet<PathBuf>,
    /// The environment variables that the inputs cover.
    pub(super) variables: BTreeSet<String>,
    /// Names of the binaries in the image.
    pub(super) binaries: BTreeSet<String>,
    pub(super) excluded: ExcludePatterns,
    pub(super) untracked: UntrackedInputs,
}

/// The inputs of one local package alone.
#[derive(Debug)]
pub(super) struct PackageInputs {
    pub(super) package: WorkspacePackage,
    /// The learned inputs of the package, from earlier compiles.
    pub(super) learned: LearnedInputs,
    /// Inputs by name from its manifest and from the workspace manifest that it inherits from.
    pub(super) manifests: Vec<(String, Value)>,
    /// Its files, with the name of each as an input.
    pub(super) files: BTreeMap<PathBuf, String>,
    /// The git revision, when the package depends on it.
    pub(super) revision: Option<String>,
}

/// The inputs that all images of a package share.
#[derive(Debug, Default)]
pub(super) struct SharedInputs {
    pub(super) inputs: Inputs,
    pub(super) packages: Vec<Arc<PackageInputs>>,
    /// The learned inputs with which the shared inputs were computed.
    pub(super) learned: LearnedPackages,
}

impl CodeInputs {
    /// The names of the variables that the compiler or a build script has reported, whether they are set or not.
    pub fn learned_variables(&self) -> impl Iterator<Item = &String> {
        self.packages
            .iter()
            .flat_map(|package| &package.learned.variables)
    }
}

/// Code inputs of an image that belong to no package, except the files that its manifest declares.
#[derive(Clone, Debug, Default)]
pub(super) struct UntrackedInputs {
    /// Inputs by name: cargo's configuration and tools.
    pub(super) values: BTreeMap<String, Value>,
    /// The files that flags name, by the name of their input.
    pub(super) files: BTreeMap<String, PathBuf>,
}
