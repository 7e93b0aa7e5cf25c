//! Checks the freshness of units by the content of their inputs, in addition to cargo's check by modification time.
//!
//! For each unit, the hashes of the files and manifests of its package are recorded. cargo compares modification times:
//! after a restored cache, a checkout that preserves times, or an edit of a file that a procedural macro reads without
//! declaring it, cargo considers units fresh that were made from other inputs. Such packages are compiled again.
//!
//! A file that dep-info lists for another unit of the package, and not for this one, does not affect this one: an edit
//! of `main.rs` does not make the library stale.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use union_build::key::Value;

use super::code_inputs::PackageInputs;
use super::input_state::{PackageState, differing_inputs, hash_text, short_hash, state_key};
use super::run_inputs::{ObservedRun, declared_file};
use super::sources::relative;
use super::units::{BuildScriptRun, CompiledUnits};
use super::{CodeInputs, CompileSettings, Snapshot, depinfo};
use crate::sys::error::Result;
use crate::sys::fs;

/// The inputs of the units in a target directory, stored in `union/freshness.json`. A file that cannot be read counts
/// as empty, so that all local packages are compiled again.
#[derive(Debug, Default)]
pub(super) struct Freshness {
    path: PathBuf,
    /// The last run of each build script before this compile, by name.
    script_runs: BTreeMap<String, String>,
    file: FreshnessFile,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct FreshnessFile {
    /// Records of units by path relative to the target directory.
    units: BTreeMap<String, UnitRecord>,
    /// States of packages by their hash.
    states: BTreeMap<String, PackageState>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct UnitRecord {
    /// Size and time of the artifact, or the time at which the script ran, which identify the recorded unit.
    stamp: String,
    /// Key of a state.
    made_from: String,
}

const REVISION: &str = "revision";

/// The inputs and units of one local package in a compile.
pub(super) struct ObservedPackage<'a> {
    inputs: &'a PackageInputs,
    state: PackageState,
    /// The files in the dep-info of each unit, by artifact.
    sources: BTreeMap<&'a Path, BTreeSet<String>>,
    /// The files in the dep-info of any unit.
    attributed: BTreeSet<String>,
}

impl Freshness {
    /// Reads the records of a target directory, before a compile.
    pub(super) fn load(target_directory: &Path) -> Self {
        let path = target_directory.join("union/freshness.json");
        let file: FreshnessFile = std::fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        let scripts = file.units.keys().filter(|name| name.ends_with("/out"));
        let script_runs = scripts
            .filter_map(|name| Some((name.clone(), last_run(&target_directory.join(name))?)))
            .collect();
        Self {
            path,
            script_runs,
            file,
        }
    }

    /// The ids of local packages with units that cargo considers fresh although they were made from other inputs, or
    /// without a record.
    pub(super) fn stale(
        &self,
        snapshot: &Snapshot<'_>,
        job: &FreshnessCheck<'_>,
        compiled: &CompiledUnits,
        observed: &[ObservedPackage<'_>],
    ) -> Result<BTreeSet<String>> {
        let mut stale = BTreeSet::new();
        for package in observed {
            let id = &package.inputs.package.id;
            let units = compiled
                .units
                .iter()
                .filter(|unit| unit.package == *id && unit.fresh);
            let has_changed =
                |name: Option<String>, stamp: Option<String>, concerns: &dyn Fn(&str) -> bool| {
                    let Some(record) = name.and_then(|name| self.file.units.get(&name)) else {
                        return true;
                    };
                    let recorded = self.file.states.get(&record.made_from);
                    stamp.as_ref() != Some(&record.stamp)
                        || recorded.is_none_or(|recorded| {
                            differing_inputs(recorded, &package.state).any(concerns)
                        })
                };
            for unit in units {
                let sources = package.sources.get(unit.path.as_path());
                // Only a build script depends on the revision, and cargo compares its output.
                let concerns = |input: &str| {
                    let file = declared_file(input).unwrap_or(input);
                    sources.is_some_and(|sources| sources.contains(file))
                        || !(package.attributed.contains(input)
                            || job.run.is_attributed(input)
                            || input == REVISION)
                };
                if has_changed(
                    self.record_key(&unit.path, job.settings),
                    file_stamp(&unit.path),
                    &concerns,
                ) {
                    stale.insert(id.clone());
                }
            }
            for script in compiled
                .scripts
                .iter()
                .filter(|script| script.package == *id && !self.has_run(script))
            {
                let watched = watched_paths(snapshot, script)?;
                let concerns = |input: &str| {
                    let file = declared_file(input).unwrap_or(input);
                    watched.iter().any(|path| is_below(file, path))
                        || !(package.attributed.contains(input) || job.run.is_attributed(input))
                };
                let known = self
                    .record_key(&script.out_dir, job.settings)
                    .filter(|name| self.file.units.contains_key(name));
                if known.is_some() && has_changed(known, last_run(&script.out_dir), &concerns) {
                    stale.insert(id.clone());
                }
            }
        }
        Ok(stale)
    }

    /// Whether a build script ran in this compile.
    pub(super) fn has_run(&self, script: &BuildScriptRun) -> bool {
        let before = relative(self.target_directory(), &script.out_dir)
            .ok()
            .and_then(|name| self.script_runs.get(&name).cloned());
        before.is_none() || before != last_run(&script.out_dir)
    }

    /// Records the inputs of all units, except of packages that are stale or whose inputs changed during the compile.
    pub(super) fn record(
        &mut self,
        snapshot: &Snapshot<'_>,
        job: &FreshnessCheck<'_>,
        compiled: &CompiledUnits,
        observed: Vec<ObservedPackage<'_>>,
        stale: &BTreeSet<String>,
    ) -> Result<()> {
        for package in observed {
            let id = &package.inputs.package.id;
            if stale.contains(id) {
                continue;
            }
            let is_new = compiled
                .units
                .iter()
                .any(|unit| unit.package == *id && !unit.fresh);
            let have_run = compiled
                .scripts
                .iter()
                .any(|script| script.package == *id && self.has_run(script));
            if (is_new || have_run) && !job.is_unchanged(snapshot, &package) {
                continue;
            }
            let made_from = state_key(&package.state);
            let units = compiled.units.iter().filter(|unit| unit.package == *id);
            let units = units.map(|unit| {
                (
                    self.record_key(&unit.path, job.settings),
                    file_stamp(&unit.path),
                )
            });
            let scripts = compiled
                .scripts
                .iter()
                .filter(|script| script.package == *id);
            let scripts = scripts.map(|script| {
                (
                    self.record_key(&script.out_dir, job.settings),
                    last_run(&script.out_dir),
                )
            });
            let records: Vec<_> = units
                .chain(scripts)
                .filter_map(|(name, stamp)| Some((name?, stamp?)))
                .collect();
            for (name, stamp) in records {
                self.file.units.insert(
                    name,
                    UnitRecord {
                        stamp,
                        made_from: made_from.clone(),
                    },
                );
            }
            self.file.states.insert(made_from, package.state);
        }
        Ok(())
    }

    /// Writes the records, without the states that no unit refers to.
    ///
    /// # Errors
    /// `FileUnwritable`.
    pub(super) fn save(&mut self) -> Result<()> {
        let used: BTreeSet<&String> = self
            .file
            .units
            .values()
            .map(|record| &record.made_from)
            .collect();
        self.file.states.retain(|name, _| used.contains(name));
        fs::replace_if_different(
            &self.path,
            &serde_json::to_vec(&self.file).unwrap_or_default(),
        )?;
        Ok(())
    }

    fn target_directory(&self) -> &Path {
        self.path
            .parent()
            .and_then(Path::parent)
            .unwrap_or(Path::new(""))
    }

    /// The key of a unit's record. Compiles with different settings overwrite each other's final artifacts, so the
    /// settings are part of their keys.
    fn record_key(&self, path: &Path, settings: &CompileSettings) -> Option<String> {
        let name = relative(self.target_directory(), path).ok()?;
        let is_shared = !name.contains("/deps/") && !name.contains("/build/");
        Some(if is_shared {
            format!("{name} {}", hash_text(format!("{settings:?}")))
        } else {
            name
        })
    }
}

/// The settings and inputs of a compile.
pub(super) struct FreshnessCheck<'a> {
    pub(super) settings: &'a CompileSettings,
    pub(super) packages: &'a [Arc<PackageInputs>],
    /// The files that are inputs of any image of the job.
    pub(super) files: BTreeSet<&'a Path>,
    run: &'a ObservedRun<'a>,
}

impl<'a> FreshnessCheck<'a> {
    pub(super) fn new(
        settings: &'a CompileSettings,
        inputs: &[&'a CodeInputs],
        run: &'a ObservedRun<'a>,
    ) -> Self {
        let packages = inputs
            .first()
            .map_or(&[][..], |inputs| inputs.packages.as_slice());
        let files = inputs
            .iter()
            .flat_map(|inputs| inputs.files.iter().map(PathBuf::as_path))
            .collect();
        Self {
            settings,
            packages,
            files,
            run,
        }
    }

    /// Observes each local package.
    ///
    /// # Errors
    /// `FileUnreadable`.
    pub(super) fn observe(
        &self,
        snapshot: &Snapshot<'_>,
        compiled: &'a CompiledUnits,
    ) -> Result<Vec<ObservedPackage<'a>>> {
        self.packages
            .iter()
            .map(|inputs| self.observe_package(snapshot, inputs, compiled))
            .collect()
    }

    fn observe_package(
        &self,
        snapshot: &Snapshot<'_>,
        inputs: &'a PackageInputs,
        compiled: &'a CompiledUnits,
    ) -> Result<ObservedPackage<'a>> {
        let mut sources = BTreeMap::new();
        for unit in compiled
            .units
            .iter()
            .filter(|unit| unit.package == inputs.package.id)
        {
            sources.insert(
                unit.path.as_path(),
                depinfo::sources_of(unit, &snapshot.workspace.root)?,
            );
        }
        let attributed = sources.values().flatten().cloned().collect();
        Ok(ObservedPackage {
            inputs,
            state: self.state(snapshot, inputs, &|file| snapshot.sources.hash(file))?,
            sources,
            attributed,
        })
    }

    fn state(
        &self,
        snapshot: &Snapshot<'_>,
        inputs: &PackageInputs,
        read: &dyn Fn(&Path) -> Result<Value>,
    ) -> Result<PackageState> {
        let mut state = self.run.state.clone();
        let mut add = |name: String, value: Value| state.insert(name, short_hash(&value));
        inputs
            .manifests
            .iter()
            .for_each(|(name, value)| drop(add(format!("manifest {name}"), value.clone())));
        inputs
            .revision
            .iter()
            .for_each(|revision| drop(add(REVISION.to_owned(), revision.as_str().into())));
        for (name, value) in &self.settings.env {
            add(format!("build.env.{name}"), value.as_str().into());
        }
        for file in inputs
            .files
            .keys()
            .filter(|file| self.files.contains(file.as_path()))
        {
            add(relative(&snapshot.workspace.root, file)?, read(file)?);
        }
        Ok(state)
    }

    fn is_unchanged(&self, snapshot: &Snapshot<'_>, package: &ObservedPackage<'_>) -> bool {
        self.state(snapshot, package.inputs, &|file| {
            snapshot.sources.hash_uncached(file)
        })
        .is_ok_and(|state| state == package.state)
            && self.run.is_unchanged(snapshot)
    }
}

/// The paths that a build script watches, relative to the workspace.
fn watched_paths(snapshot: &Snapshot<'_>, script: &BuildScriptRun) -> Result<Vec<String>> {
    let output = depinfo::output_of(script)?;
    let package = snapshot
        .workspace
        .packages
        .iter()
        .chain(&snapshot.outside)
        .find(|package| package.id == script.package);
    let from = package.map_or(&snapshot.workspace.root, |package| &package.directory);
    depinfo::watched_paths(&output)
        .map(|path| {
            relative(
                &snapshot.workspace.root,
                &fs::absolute(from, Path::new(path)),
            )
        })
        .collect()
}

fn is_below(input: &str, path: &str) -> bool {
    path.is_empty()
        || input
            .strip_prefix(path)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// When a build script last ran: the time of the file that cargo writes before it starts the script.
fn last_run(out_dir: &Path) -> Option<String> {
    let file = std::fs::metadata(out_dir.parent()?.join("invoked.timestamp")).ok()?;
    Some(
        file.modified()
            .ok()?
            .duration_since(UNIX_EPOCH)
            .ok()?
            .as_nanos()
            .to_string(),
    )
}

fn file_stamp(path: &Path) -> Option<String> {
    let file = std::fs::metadata(path).ok()?;
    Some(format!(
        "{} {}",
        file.len(),
        file.modified()
            .ok()?
            .duration_since(UNIX_EPOCH)
            .ok()?
            .as_nanos()
    ))
}
