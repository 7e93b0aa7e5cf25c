//! Compares the files and variables that the compiler and the build scripts read with the inputs of the key.
//!
//! Variables, and files in the repository that the key lacks, are learned. Files that the build itself writes are
//! outputs, not inputs. Files elsewhere, such as system headers, are only reported.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use union_build::diag::Code;

use super::code_inputs::PackageInputs;
use super::freshness::Freshness;
use super::sources::{SourceFiles, relative};
use super::units::{BuildScriptRun, CompiledUnits, UnitKind};
use super::{CodeInputs, LearnedInputs, LearnedPackages, Snapshot, WorkspacePackage, depinfo};
use crate::sys::error::{Error, Result};
use crate::sys::fs;

mod variables;

/// The results of comparing what a successful compile has read with the inputs of the key.
#[derive(Debug, Default)]
pub struct CoverageFindings {
    /// Inputs of the local packages beyond their own files, by package name.
    pub learned: LearnedPackages,
    /// Files outside of the repository that the compiler read, absolute.
    pub outside: BTreeSet<PathBuf>,
}

impl CoverageFindings {
    /// Adds the findings of another compile.
    pub fn merge(&mut self, other: Self) {
        for (name, learned) in other.learned {
            self.learned.entry(name).or_default().merge(&learned);
        }
        self.outside.extend(other.outside);
    }

    /// Returns the learned inputs that Union.lock has to have, and a description of each that it lacks; `None` when it
    /// lacks none.
    ///
    /// For the package `complete`, files and variables that no compile reads any more are dropped. Entries of other
    /// packages are only extended, since binaries that were not compiled may read them.
    pub fn extend_learned(
        &self,
        known: &LearnedPackages,
        complete: Option<&str>,
    ) -> Option<(LearnedPackages, Vec<String>)> {
        let mut all = known.clone();
        let mut missing = Vec::new();
        let nothing = LearnedInputs::default();
        for (name, learned) in &self.learned {
            let before = known.get(name).unwrap_or(&nothing);
            let new = learned.list_new(before);
            if new.is_empty() {
                continue;
            }
            missing.extend(new.into_iter().map(|input| format!("{input} of `{name}`")));
            let entry = all.entry(name.clone()).or_default();
            if complete == Some(name.as_str()) {
                let outputs = std::mem::take(&mut entry.outputs);
                *entry = learned.clone();
                entry.outputs.extend(outputs);
            } else {
                entry.merge(learned);
            }
        }
        (!missing.is_empty()).then_some((all, missing))
    }
}

/// Compares what was read with the inputs of some images. Also returns the ids of packages whose build script has to
/// run again to find out whether a file is its output.
///
/// # Errors
/// `InputNotCovered` for a file that an image excludes; `FileUnreadable`.
pub(super) fn examine(
    snapshot: &Snapshot<'_>,
    package: &WorkspacePackage,
    inputs: &[&CodeInputs],
    compiled: &CompiledUnits,
    freshness: &Freshness,
) -> Result<(CoverageFindings, BTreeSet<String>)> {
    let Some(first) = inputs.first() else {
        return Ok(Default::default());
    };
    let mut examination = Examination {
        snapshot,
        inputs,
        covered: covered(snapshot, inputs),
        exempt: snapshot.not_inputs(),
        findings: CoverageFindings::default(),
        undecided: BTreeSet::new(),
    };
    let is_local = |id: &str| first.packages.iter().any(|local| local.package.id == id);
    let mut attributed = BTreeSet::new();
    for local in &first.packages {
        let read = ReadFiles::collect(snapshot, local, compiled, freshness)?;
        examination.examine_package(local, &read)?;
        attributed.extend(read.files);
    }
    if let Some(selected) = first
        .packages
        .iter()
        .find(|local| local.package.id == package.id)
    {
        // Files that cargo names for the executables and that were not attributed above belong to the compiled package.
        let mut files = executables_files(snapshot, inputs, compiled, package)?;
        files.retain(|file| !attributed.contains(file));
        examination.examine_package(
            selected,
            &ReadFiles {
                files,
                ..ReadFiles::default()
            },
        )?;
        let names = variables::of_dependencies(snapshot, compiled, &is_local)?;
        examination
            .findings
            .learned
            .entry(package.name.clone())
            .or_default()
            .variables
            .extend(names);
    }
    Ok((examination.findings, examination.undecided))
}

/// What the compiler and the build script read for one package.
#[derive(Default)]
struct ReadFiles {
    /// Files and directories, absolute.
    files: BTreeSet<PathBuf>,
    variables: BTreeSet<String>,
    /// Whether it has a build script without `rerun-if-changed`, which cargo runs again after any change of the package.
    is_watched_whole: bool,
    /// When its build script last ran, and whether it ran in this compile.
    script: Option<(SystemTime, bool)>,
}

impl ReadFiles {
    fn collect(
        snapshot: &Snapshot<'_>,
        local: &PackageInputs,
        compiled: &CompiledUnits,
        freshness: &Freshness,
    ) -> Result<Self> {
        let mut read = Self::default();
        let package = &local.package;
        let scripts: Vec<&BuildScriptRun> = compiled
            .scripts
            .iter()
            .filter(|script| script.package == package.id)
            .collect();
        let set_by_scripts: BTreeSet<&str> = scripts
            .iter()
            .flat_map(|script| &script.sets)
            .map(String::as_str)
            .collect();
        let root = &snapshot.workspace.root;
        for unit in compiled
            .units
            .iter()
            .filter(|unit| unit.package == package.id)
        {
            let notes = depinfo::notes_of(unit)?;
            read.files.extend(
                depinfo::files(&notes)
                    .iter()
                    .map(|file| fs::absolute(root, Path::new(file))),
            );
            let is_script = unit.kind == UnitKind::Script;
            let names = depinfo::variables(&notes).filter(|name| {
                !set_by_scripts.contains(name) && !variables::is_ignored(name, is_script)
            });
            read.variables.extend(names.map(str::to_owned));
        }
        for script in scripts {
            let output = depinfo::output_of(script)?;
            let mut paths = depinfo::watched_paths(&output).peekable();
            read.is_watched_whole |= paths.peek().is_none();
            read.files
                .extend(paths.map(|path| fs::absolute(&package.directory, Path::new(path))));
            let names = depinfo::watched_variables(&output)
                .filter(|name| !variables::is_ignored(name, true));
            read.variables.extend(names.map(str::to_owned));
            let ran_at = script.out_dir.parent().and_then(|directory| {
                std::fs::metadata(directory.join("invoked.timestamp"))
                    .ok()?
                    .modified()
                    .ok()
            });
            read.script = ran_at
                .map(|ran_at| (ran_at, freshness.has_run(script)))
                .max(read.script);
        }
        Ok(read)
    }
}

/// The comparison of one compile.
struct Examination<'a> {
    snapshot: &'a Snapshot<'a>,
    inputs: &'a [&'a CodeInputs],
    /// The files that are inputs of a key, under every name.
    covered: BTreeSet<PathBuf>,
    exempt: Vec<PathBuf>,
    findings: CoverageFindings,
    undecided: BTreeSet<String>,
}

impl Examination<'_> {
    fn examine_package(&mut self, local: &Arc<PackageInputs>, read: &ReadFiles) -> Result<()> {
        let mut learned = LearnedInputs {
            variables: read.variables.clone(),
            whole: read.is_watched_whole,
            ..LearnedInputs::default()
        };
        for file in &read.files {
            self.examine_file(local, read, file, &mut learned)?;
        }
        if let Some((ran_at, true)) = read.script {
            learned.outputs.extend(self.new_files(local, ran_at)?);
        }
        self.findings
            .learned
            .entry(local.package.name.clone())
            .or_default()
            .merge(&learned);
        Ok(())
    }

    fn examine_file(
        &mut self,
        local: &Arc<PackageInputs>,
        read: &ReadFiles,
        file: &Path,
        learned: &mut LearnedInputs,
    ) -> Result<()> {
        let snapshot = self.snapshot;
        let directory = &local.package.directory;
        let repository = snapshot.sources.repository_of(&local.package);
        if self
            .exempt
            .iter()
            .any(|directory| file.starts_with(directory))
        {
            return Ok(());
        }
        if repository.is_git_file(file) {
            learned.revision = true;
            return Ok(());
        }
        let name = relative(directory, file)?;
        if !file.exists() {
            return Ok(());
        }
        let ignored = file.starts_with(&repository.root)
            && repository.ignores(file, file.is_dir())
            && !repository.tracks(file);
        if self.inputs.iter().any(|inputs| inputs.excluded.has(file)) {
            // An excluded file that git ignores is assumed to be an output of the build script.
            return if ignored && read.script.is_some() {
                Ok(())
            } else {
                Err(self.excluded_input_error(local, &name))
            };
        }
        if local.learned.inputs.contains(&name) {
            learned.inputs.insert(name);
            return Ok(());
        }
        if file.is_dir() {
            let watched = snapshot.sources.watched(file, &repository)?;
            if watched
                .iter()
                .all(|file| self.is_covered(file) || self.is_output(local, file))
            {
                return Ok(());
            }
        } else if !file.is_file() || self.is_covered(file) {
            return Ok(());
        }
        let is_in_repository = [&repository.root, &snapshot.workspace.root, directory]
            .into_iter()
            .any(|directory| file.starts_with(directory));
        if !is_in_repository {
            self.findings.outside.insert(file.to_owned());
            return Ok(());
        }
        if self.is_output(local, file) {
            learned.outputs.insert(name);
            return Ok(());
        }
        if let (true, Some((ran_at, in_this_compile))) = (
            ignored && file.is_file() && file.starts_with(directory),
            read.script,
        ) && modified(file).is_some_and(|modified| modified >= ran_at)
        {
            if in_this_compile {
                learned.outputs.insert(name);
            } else {
                self.undecided.insert(local.package.id.clone());
            }
            return Ok(());
        }
        learned.inputs.insert(name);
        Ok(())
    }

    /// Files of a package that its build script has created in this compile.
    fn new_files(&self, local: &PackageInputs, ran_at: SystemTime) -> Result<BTreeSet<String>> {
        let files = SourceFiles::new(self.exempt.clone())
            .package_files(&local.package, local.learned.whole)?;
        let new = files
            .into_iter()
            .filter(|file| !local.files.contains_key(file) && !self.is_output(local, file));
        let new = new.filter(|file| {
            !self.is_covered(file) && modified(file).is_some_and(|modified| modified >= ran_at)
        });
        new.map(|file| relative(&local.package.directory, &file))
            .collect()
    }

    fn is_covered(&self, file: &Path) -> bool {
        // The path may lead through a symbolic link.
        self.covered.contains(file)
            || file
                .canonicalize()
                .is_ok_and(|real| self.covered.contains(&real))
    }

    /// Whether a file is a known output of the package's build script.
    fn is_output(&self, local: &PackageInputs, file: &Path) -> bool {
        let known = relative(&local.package.directory, file)
            .is_ok_and(|name| local.learned.outputs.contains(&name));
        known
            && !self
                .snapshot
                .sources
                .repository_of(&local.package)
                .tracks(file)
    }

    fn excluded_input_error(&self, local: &PackageInputs, name: &str) -> Error {
        let message = format!(
            "the code of `{}` contains `{name}`, which `exclude` leaves out of the key",
            local.package.name
        );
        Error::new(Code::InputNotCovered, message)
            .help("Narrow the pattern of `exclude`, so that an edit of the file changes the image.")
    }
}

fn modified(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file).ok()?.modified().ok()
}

/// The files that are inputs of the keys, as they are named and with symbolic links resolved. Manifests, lock files and
/// toolchain files are inputs by their values.
fn covered(snapshot: &Snapshot<'_>, inputs: &[&CodeInputs]) -> BTreeSet<PathBuf> {
    let mut covered: BTreeSet<PathBuf> = inputs
        .iter()
        .flat_map(|inputs| inputs.files.iter().cloned())
        .collect();
    let by_value = [
        "Cargo.toml",
        "Cargo.lock",
        "Union.lock",
        "rust-toolchain",
        "rust-toolchain.toml",
        ".cargo/config",
        ".cargo/config.toml",
    ];
    let packages = inputs
        .iter()
        .flat_map(|inputs| &inputs.packages)
        .map(|local| &local.package);
    for directory in packages
        .flat_map(|package| [&package.directory, &package.root])
        .chain([&snapshot.workspace.root])
    {
        covered.extend(by_value.map(|name| directory.join(name)));
    }
    let real: Vec<PathBuf> = covered
        .iter()
        .filter_map(|path| path.canonicalize().ok())
        .collect();
    covered.extend(real);
    covered
}

/// Every file that cargo names as read for the images' executables.
fn executables_files(
    snapshot: &Snapshot<'_>,
    inputs: &[&CodeInputs],
    compiled: &CompiledUnits,
    package: &WorkspacePackage,
) -> Result<BTreeSet<PathBuf>> {
    // cargo writes relative paths when `build.dep-info-basedir` is set.
    let base = snapshot
        .config
        .program(&["build", "dep-info-basedir"])
        .unwrap_or_else(|| snapshot.workspace.root.clone());
    let mut files = BTreeSet::new();
    for (name, executable) in compiled.executables(package) {
        if inputs.iter().any(|inputs| inputs.binaries.contains(&name)) {
            let notes = fs::read_if_exists(&executable.with_extension("d"))?.unwrap_or_default();
            files.extend(
                depinfo::files(&notes)
                    .iter()
                    .map(|file| fs::absolute(&base, Path::new(file))),
            );
        }
    }
    Ok(files)
}
