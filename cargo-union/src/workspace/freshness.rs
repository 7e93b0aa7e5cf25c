//! Freshness by content, beside cargo's, which goes by time.
//!
//! For each result of the compiler it is remembered which files, variables and manifests of its package it was made
//! from. cargo compares modification times: after a restored cache, a checkout that keeps times, or an edit of a file
//! that a procedural macro reads without saying so, it calls something fresh that was made from other inputs. Such
//! packages are compiled again.
//!
//! A file that the compiler names as a source of another unit of the package, and not of this one, does not concern
//! this one: an edit of `main.rs` leaves the library beside it alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use union_build::key::{Inputs, Value, hex};

use super::inputs::PackageInputs;
use super::sources::relative;
use super::units::{BuildScriptRun, CompiledUnit, CompiledUnits};
use super::{CodeInputs, CompileSettings, Snapshot, depinfo};
use crate::sys::error::Result;
use crate::sys::fs;

/// What the units in a target directory were made from: `union/freshness.json` in it. What cannot be read counts as
/// nothing known, and costs a compile.
#[derive(Debug, Default)]
pub(super) struct Freshness {
    path: PathBuf,
    /// The times at which build scripts had last run before this compile.
    ran: BTreeMap<String, String>,
    file: FreshnessFile,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct FreshnessFile {
    /// By path of the unit, relative to the target directory.
    units: BTreeMap<String, UnitRecord>,
    /// States of packages by their hash.
    states: BTreeMap<String, PackageState>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct UnitRecord {
    /// Size and time of the file, or the time at which the script ran: another one is not what was recorded.
    stamp: String,
    /// Name of a state.
    made_from: String,
}

/// Every input of a package by name, as a short hash. Environment variables that code or scripts declare are not
/// among them: cargo compares their values.
type PackageState = BTreeMap<String, String>;

const REVISION: &str = "revision";

/// What the compile of one job has to do with one local package.
pub(super) struct ObservedPackage<'a> {
    inputs: &'a PackageInputs,
    state: PackageState,
    /// Which files each unit names, and all of them together.
    sources: BTreeMap<&'a Path, BTreeSet<String>>,
    attributed: BTreeSet<String>,
}

impl Freshness {
    /// Reads what is remembered of a target directory, before a compile.
    pub(super) fn load(target_directory: &Path) -> Self {
        let path = target_directory.join("union/freshness.json");
        let file: FreshnessFile = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let scripts = file.units.keys().filter(|name| name.ends_with("/out"));
        let ran = scripts.filter_map(|name| Some((name.clone(), ran(&target_directory.join(name))?))).collect();
        Self { path, ran, file }
    }

    /// The ids of local packages of which cargo took something for fresh that was made from other inputs, or of which
    /// nobody knows from what it was made.
    pub(super) fn stale(
        &self,
        snapshot: &Snapshot<'_>,
        job: &FreshnessCheck<'_>,
        compiled: &CompiledUnits,
        observed: &[ObservedPackage<'_>],
    ) -> Result<BTreeSet<String>> {
        let mut stale = BTreeSet::new();
        for seen in observed {
            let id = &seen.inputs.package.id;
            let units = compiled.units.iter().filter(|unit| unit.package == *id && unit.fresh);
            let is_other = |name: Option<String>, stamp: Option<String>, concerns: &dyn Fn(&str) -> bool| {
                let Some(record) = name.and_then(|name| self.file.units.get(&name)) else { return true };
                let before = self.file.states.get(&record.made_from);
                stamp.as_ref() != Some(&record.stamp) || before.is_none_or(|before| differ(before, &seen.state).any(concerns))
            };
            for unit in units {
                let sources = seen.sources.get(unit.path.as_path());
                // A build script alone watches the revision; cargo compares what it prints.
                let concerns =
                    |input: &str| sources.is_some_and(|own| own.contains(input)) || !(seen.attributed.contains(input) || input == REVISION);
                if is_other(self.name(&unit.path, job.settings), stamp(&unit.path), &concerns) {
                    stale.insert(id.clone());
                }
            }
            for script in compiled.scripts.iter().filter(|script| script.package == *id && !self.has_run(script)) {
                let watched = watched(snapshot, script)?;
                let concerns = |input: &str| watched.iter().any(|path| is_at(input, path)) || !seen.attributed.contains(input);
                let known = self.name(&script.out_dir, job.settings).filter(|name| self.file.units.contains_key(name));
                if known.is_some() && is_other(known, ran(&script.out_dir), &concerns) {
                    stale.insert(id.clone());
                }
            }
        }
        Ok(stale)
    }

    /// Whether a build script ran in this compile.
    pub(super) fn has_run(&self, script: &BuildScriptRun) -> bool {
        let before = relative(self.target_directory(), &script.out_dir).ok().and_then(|name| self.ran.get(&name).cloned());
        before.is_none() || before != ran(&script.out_dir)
    }

    /// Remembers what was made, but for packages that are stale or whose inputs have moved since they were read.
    pub(super) fn record(
        &mut self,
        snapshot: &Snapshot<'_>,
        job: &FreshnessCheck<'_>,
        compiled: &CompiledUnits,
        observed: Vec<ObservedPackage<'_>>,
        stale: &BTreeSet<String>,
    ) -> Result<()> {
        for seen in observed {
            let id = &seen.inputs.package.id;
            if stale.contains(id) {
                continue;
            }
            let is_new = compiled.units.iter().any(|unit| unit.package == *id && !unit.fresh);
            let have_run = compiled.scripts.iter().any(|script| script.package == *id && self.has_run(script));
            if (is_new || have_run) && !job.is_unmoved(snapshot, &seen) {
                continue;
            }
            let made_from = name_of(&seen.state);
            let units = compiled.units.iter().filter(|unit| unit.package == *id);
            let units = units.map(|unit| (self.name(&unit.path, job.settings), stamp(&unit.path)));
            let scripts = compiled.scripts.iter().filter(|script| script.package == *id);
            let scripts = scripts.map(|script| (self.name(&script.out_dir, job.settings), ran(&script.out_dir)));
            let records: Vec<_> = units.chain(scripts).filter_map(|(name, stamp)| Some((name?, stamp?))).collect();
            for (name, stamp) in records {
                self.file.units.insert(name, UnitRecord { stamp, made_from: made_from.clone() });
            }
            self.file.states.insert(made_from, seen.state);
        }
        Ok(())
    }

    /// Writes what is remembered.
    ///
    /// # Errors
    /// `FileUnwritable`.
    pub(super) fn save(&mut self) -> Result<()> {
        let used: BTreeSet<&String> = self.file.units.values().map(|record| &record.made_from).collect();
        self.file.states.retain(|name, _| used.contains(name));
        fs::replace_if_different(&self.path, &serde_json::to_vec(&self.file).unwrap_or_default())?;
        Ok(())
    }

    fn target_directory(&self) -> &Path {
        self.path.parent().and_then(Path::parent).unwrap_or(Path::new(""))
    }

    /// Executables of several compiles take turns in one place, so that settings are part of their names.
    fn name(&self, path: &Path, settings: &CompileSettings) -> Option<String> {
        let name = relative(self.target_directory(), path).ok()?;
        let is_shared = !name.contains("/deps/") && !name.contains("/build/");
        Some(if is_shared { format!("{name} {}", hash(format!("{settings:?}"))) } else { name })
    }
}

/// What is compiled, and from which inputs.
pub(super) struct FreshnessCheck<'a> {
    pub(super) settings: &'a CompileSettings,
    pub(super) packages: &'a [Arc<PackageInputs>],
    /// The files that count for any image of the job.
    pub(super) files: BTreeSet<&'a Path>,
}

impl<'a> FreshnessCheck<'a> {
    pub(super) fn new(settings: &'a CompileSettings, inputs: &[&'a CodeInputs]) -> Self {
        let packages = inputs.first().map_or(&[][..], |inputs| inputs.packages.as_slice());
        let files = inputs.iter().flat_map(|inputs| inputs.files.iter().map(PathBuf::as_path)).collect();
        Self { settings, packages, files }
    }

    /// Looks at each local package once.
    ///
    /// # Errors
    /// `FileUnreadable`.
    pub(super) fn observe(&self, snapshot: &Snapshot<'_>, compiled: &'a CompiledUnits) -> Result<Vec<ObservedPackage<'a>>> {
        self.packages.iter().map(|inputs| self.observe_package(snapshot, inputs, compiled)).collect()
    }

    fn observe_package(
        &self,
        snapshot: &Snapshot<'_>,
        inputs: &'a PackageInputs,
        compiled: &'a CompiledUnits,
    ) -> Result<ObservedPackage<'a>> {
        let mut sources = BTreeMap::new();
        for unit in compiled.units.iter().filter(|unit| unit.package == inputs.package.id) {
            sources.insert(unit.path.as_path(), named_sources(snapshot, unit)?);
        }
        let attributed = sources.values().flatten().cloned().collect();
        Ok(ObservedPackage { inputs, state: self.state(snapshot, inputs, &|file| snapshot.sources.hash(file))?, sources, attributed })
    }

    fn state(&self, snapshot: &Snapshot<'_>, inputs: &PackageInputs, read: &dyn Fn(&Path) -> Result<Value>) -> Result<PackageState> {
        let mut state = PackageState::new();
        let mut add = |name: String, value: Value| state.insert(name, short(&value));
        inputs.manifests.iter().for_each(|(name, value)| drop(add(format!("manifest {name}"), value.clone())));
        inputs.revision.iter().for_each(|revision| drop(add(REVISION.to_owned(), revision.as_str().into())));
        for (name, value) in &self.settings.env {
            add(format!("build.env.{name}"), value.as_str().into());
        }
        for file in inputs.files.keys().filter(|file| self.files.contains(file.as_path())) {
            add(relative(&snapshot.workspace.root, file)?, read(file)?);
        }
        Ok(state)
    }

    fn is_unmoved(&self, snapshot: &Snapshot<'_>, seen: &ObservedPackage<'_>) -> bool {
        self.state(snapshot, seen.inputs, &|file| snapshot.sources.hash_again(file)).is_ok_and(|now| now == seen.state)
    }
}

/// The files that the compiler names for a unit, relative to the workspace.
fn named_sources(snapshot: &Snapshot<'_>, unit: &CompiledUnit) -> Result<BTreeSet<String>> {
    let notes = depinfo::notes_of(unit)?;
    let root = &snapshot.workspace.root;
    depinfo::files(&notes).iter().map(|file| relative(root, &fs::absolute(root, Path::new(file)))).collect()
}

/// The paths that a build script watches, relative to the workspace.
fn watched(snapshot: &Snapshot<'_>, script: &BuildScriptRun) -> Result<Vec<String>> {
    let output = depinfo::output_of(script)?;
    let package = snapshot.workspace.packages.iter().chain(&snapshot.outside).find(|package| package.id == script.package);
    let from = package.map_or(&snapshot.workspace.root, |package| &package.folder);
    depinfo::watched_paths(&output).map(|path| relative(&snapshot.workspace.root, &fs::absolute(from, Path::new(path)))).collect()
}

fn is_at(input: &str, path: &str) -> bool {
    path.is_empty() || input.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn differ<'a>(before: &'a PackageState, now: &'a PackageState) -> impl Iterator<Item = &'a str> {
    let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    names.into_iter().filter(|name| before.get(*name) != now.get(*name)).map(String::as_str)
}

/// When a build script last ran, by the file that cargo writes before it starts it.
fn ran(out_dir: &Path) -> Option<String> {
    let file = std::fs::metadata(out_dir.parent()?.join("invoked.timestamp")).ok()?;
    Some(file.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos().to_string())
}

fn stamp(path: &Path) -> Option<String> {
    let file = std::fs::metadata(path).ok()?;
    Some(format!("{} {}", file.len(), file.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos()))
}

fn name_of(state: &PackageState) -> String {
    let mut inputs = Inputs::new();
    state.iter().for_each(|(name, value)| inputs.insert(name.as_str(), value.as_str()));
    hash(inputs.key("state").to_string())
}

fn hash(text: String) -> String {
    short(&Value::hash_of(text))
}

/// 128 bits are enough to tell states apart.
fn short(value: &Value) -> String {
    let mut inputs = Inputs::new();
    match value {
        Value::Hash(hash) => return hex(&hash[..16]),
        other => inputs.insert("value", other.clone()),
    }
    short(&Value::from(inputs.key("value")))
}
