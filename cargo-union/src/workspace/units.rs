//! Reads cargo's JSON messages about the units that it has compiled or found to be fresh.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use cargo_metadata::{Artifact, BuildScript, Message, TargetKind};

use super::WorkspacePackage;
use super::features::Features;

/// The units of a compile, newly compiled or fresh.
#[derive(Clone, Debug, Default)]
pub struct CompiledUnits {
    pub(super) units: Vec<CompiledUnit>,
    pub(super) scripts: Vec<BuildScriptRun>,
    /// The features that each package was compiled with.
    pub(super) features: Features,
    /// The target directory and the build directory.
    pub(super) directories: (PathBuf, PathBuf),
}

/// One artifact of the compiler.
#[derive(Clone, Debug)]
pub(super) struct CompiledUnit {
    /// The package id.
    pub(super) package: String,
    /// The name of the cargo target.
    pub(super) name: String,
    pub(super) kind: UnitKind,
    /// The artifact.
    pub(super) path: PathBuf,
    /// The directory of the file that cargo links it from, and of its dep-info.
    pub(super) linked_in: PathBuf,
    /// Whether cargo found it to be up to date.
    pub(super) fresh: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnitKind {
    Binary,
    /// A library or a procedural macro.
    Library,
    /// A build script.
    Script,
}

/// A build script that has run, in this compile or in an earlier one.
#[derive(Clone, Debug)]
pub(super) struct BuildScriptRun {
    /// The package id.
    pub(super) package: String,
    /// Its `OUT_DIR`.
    pub(super) out_dir: PathBuf,
    /// The names of `cargo::rustc-env`.
    pub(super) sets: BTreeSet<String>,
}

impl CompiledUnits {
    /// The paths of a package's executables, by name of the binary.
    pub fn executables(&self, package: &WorkspacePackage) -> BTreeMap<String, PathBuf> {
        let binaries = self
            .units
            .iter()
            .filter(|unit| unit.kind == UnitKind::Binary && unit.package == package.id);
        binaries
            .map(|unit| (unit.name.clone(), unit.path.clone()))
            .collect()
    }

    /// Whether each package was compiled with the expected features; `None` expects nothing.
    pub fn has_features(&self, expected: Option<&Features>) -> bool {
        expected.is_none_or(|expected| expected.match_compiled(&self.features))
    }

    /// The `union_images.rs` that the package's build script generated; `None` when it generates none.
    pub fn generated_file(&self, package: &WorkspacePackage) -> Option<PathBuf> {
        let script = self
            .scripts
            .iter()
            .find(|script| script.package == package.id)?;
        let file = script.out_dir.join("union_images.rs");
        file.is_file().then_some(file)
    }
}

impl CompiledUnits {
    /// Reads a line of cargo's stdout.
    pub(super) fn read_message(&mut self, line: &str) {
        // Other lines are output of the programs that cargo starts.
        match serde_json::from_str(line) {
            Ok(Message::CompilerArtifact(artifact)) => {
                self.features.add(&artifact);
                self.units
                    .extend(compiled_unit(artifact, &self.directories));
            }
            Ok(Message::BuildScriptExecuted(BuildScript {
                package_id,
                out_dir,
                env,
                ..
            })) => {
                let sets = env.into_iter().map(|(name, _)| name).collect();
                self.scripts.push(BuildScriptRun {
                    package: package_id.repr,
                    out_dir: out_dir.into_std_path_buf(),
                    sets,
                });
            }
            _ => {}
        }
    }
}

fn compiled_unit(artifact: Artifact, (target, build): &(PathBuf, PathBuf)) -> Option<CompiledUnit> {
    let has_kind = |kind: TargetKind| artifact.target.kind.contains(&kind);
    let kind = match () {
        () if has_kind(TargetKind::Bin) => UnitKind::Binary,
        () if has_kind(TargetKind::CustomBuild) => UnitKind::Script,
        () => UnitKind::Library,
    };
    let path = match artifact.executable {
        Some(path) => path,
        None => {
            // The library itself: its metadata has the same name with another extension.
            let is_linked =
                |path: &&cargo_metadata::camino::Utf8PathBuf| path.extension() != Some("rmeta");
            let files = &artifact.filenames;
            files
                .iter()
                .find(is_linked)
                .or_else(|| files.first())?
                .clone()
        }
    };
    let package = artifact.package_id.repr;
    let path = path.into_std_path_buf();
    let profile = path.parent()?;
    let linked_in = match kind {
        UnitKind::Binary => profile
            .strip_prefix(target)
            .map_or_else(|_| profile.to_owned(), |below| build.join(below))
            .join("deps"),
        UnitKind::Library | UnitKind::Script => profile.to_owned(),
    };
    Some(CompiledUnit {
        package,
        name: artifact.target.name,
        kind,
        path,
        linked_in,
        fresh: artifact.fresh,
    })
}
