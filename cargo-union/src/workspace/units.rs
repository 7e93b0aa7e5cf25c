//! What cargo says that it has compiled, or found to be there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use cargo_metadata::{Artifact, BuildScript, Message, TargetKind};

use super::WorkspacePackage;
use super::features::Features;

/// What cargo has made, or found to be there.
#[derive(Clone, Debug, Default)]
pub struct CompiledUnits {
    pub(super) units: Vec<CompiledUnit>,
    pub(super) scripts: Vec<BuildScriptRun>,
    /// The features that each package was compiled with.
    pub(super) features: Features,
    /// Where cargo puts executables, and what it links them from.
    pub(super) directories: (PathBuf, PathBuf),
}

/// One result of the compiler.
#[derive(Clone, Debug)]
pub(super) struct CompiledUnit {
    /// The package id.
    pub(super) package: String,
    /// Name of the target.
    pub(super) name: String,
    pub(super) kind: UnitKind,
    /// The file.
    pub(super) path: PathBuf,
    /// The directory of what it was linked from, and of the compiler's notes on it.
    pub(super) linked_in: PathBuf,
    /// Whether cargo left it as it was.
    pub(super) fresh: bool,
}

/// What a unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnitKind {
    Binary,
    /// A library, or a procedural macro.
    Library,
    /// A build script.
    Script,
}

/// A build script that was run, in this compile or in an earlier one.
#[derive(Clone, Debug)]
pub(super) struct BuildScriptRun {
    /// The package id.
    pub(super) package: String,
    /// Its `OUT_DIR`.
    pub(super) out_dir: PathBuf,
    /// The variables that it sets for the compile of its package.
    pub(super) sets: BTreeSet<String>,
}

impl CompiledUnits {
    /// The executables of a package, by name.
    pub fn executables(&self, package: &WorkspacePackage) -> BTreeMap<String, PathBuf> {
        let of = self.units.iter().filter(|unit| unit.kind == UnitKind::Binary && unit.package == package.id);
        of.map(|unit| (unit.name.clone(), unit.path.clone())).collect()
    }

    /// Whether each package was compiled with the features that were expected of it, if any were.
    pub fn has_features(&self, expected: Option<&Features>) -> bool {
        expected.is_none_or(|expected| expected.are_kept_by(&self.features))
    }

    /// The file that the package's build script generated from the hand-over, when there is one.
    pub fn generated_file(&self, package: &WorkspacePackage) -> Option<PathBuf> {
        let script = self.scripts.iter().find(|script| script.package == package.id)?;
        let file = script.out_dir.join("union_images.rs");
        file.is_file().then_some(file)
    }
}

impl CompiledUnits {
    pub(super) fn read(&mut self, line: &str) {
        // Lines of programs that cargo starts may stand between its own.
        match serde_json::from_str(line) {
            Ok(Message::CompilerArtifact(artifact)) => {
                self.features.add(&artifact);
                self.units.extend(unit(artifact, &self.directories));
            }
            Ok(Message::BuildScriptExecuted(BuildScript { package_id, out_dir, env, .. })) => {
                let sets = env.into_iter().map(|(name, _)| name).collect();
                self.scripts.push(BuildScriptRun { package: package_id.repr, out_dir: out_dir.into_std_path_buf(), sets });
            }
            _ => {}
        }
    }
}

fn unit(artifact: Artifact, (target, build): &(PathBuf, PathBuf)) -> Option<CompiledUnit> {
    let of = |kind: TargetKind| artifact.target.kind.contains(&kind);
    let kind = match () {
        () if of(TargetKind::Bin) => UnitKind::Binary,
        () if of(TargetKind::CustomBuild) => UnitKind::Script,
        () => UnitKind::Library,
    };
    let path = match artifact.executable {
        Some(path) => path,
        None => {
            // What is linked from: metadata alone stands beside it under the same name.
            let is_linked = |path: &&cargo_metadata::camino::Utf8PathBuf| path.extension() != Some("rmeta");
            let files = &artifact.filenames;
            files.iter().find(is_linked).or_else(|| files.first())?.clone()
        }
    };
    let package = artifact.package_id.repr;
    let path = path.into_std_path_buf();
    let profile = path.parent()?;
    let linked_in = match kind {
        UnitKind::Binary => profile.strip_prefix(target).map_or_else(|_| profile.to_owned(), |below| build.join(below)).join("deps"),
        UnitKind::Library | UnitKind::Script => profile.to_owned(),
    };
    Some(CompiledUnit { package, name: artifact.target.name, kind, path, linked_in, fresh: artifact.fresh })
}
