//! After the compile: what the compiler and the build scripts read, beside what the key holds.
//!
//! Files in the repository that the key lacks, and variables, are learned. Files that the build itself writes are
//! outputs, and no inputs. Files elsewhere, such as headers of the system, are only told.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use union_build::diag::Code;

use super::freshness::Freshness;
use super::inputs::PackageInputs;
use super::sources::{SourceFiles, relative};
use super::units::{BuildScriptRun, CompiledUnits, UnitKind};
use super::{AllLearned, CodeInputs, LearnedInputs, Snapshot, WorkspacePackage, depinfo};
use crate::sys::error::{Error, Result};
use crate::sys::fs;

mod variables;

/// What a compile that is otherwise in order has shown.
#[derive(Debug, Default)]
pub struct CoverageFindings {
    /// Everything that the local packages depend on beyond their own files, by package.
    pub learned: AllLearned,
    /// Files outside of the repository that the compiler read.
    pub outside: BTreeSet<PathBuf>,
}

impl CoverageFindings {
    /// Adds what another compile has shown.
    pub fn merge(&mut self, other: Self) {
        for (name, learned) in other.learned {
            self.learned.entry(name).or_default().merge(&learned);
        }
        self.outside.extend(other.outside);
    }

    /// What Union.lock shall hold from now on, with what it lacks in words; `None` when it lacks nothing.
    ///
    /// When it is written, files and variables of `complete` that no compile names any more are left out. Other
    /// packages may be read in another way by the binaries of somebody else.
    pub fn beyond(&self, known: &AllLearned, complete: Option<&str>) -> Option<(AllLearned, Vec<String>)> {
        let (mut all, mut words, nothing) = (known.clone(), Vec::new(), LearnedInputs::default());
        for (name, learned) in &self.learned {
            let before = known.get(name).unwrap_or(&nothing);
            let new = learned.beyond(before);
            if new.is_empty() {
                continue;
            }
            words.extend(new.into_iter().map(|what| format!("{what} of `{name}`")));
            let entry = all.entry(name.clone()).or_default();
            if complete == Some(name.as_str()) {
                let outputs = std::mem::take(&mut entry.outputs);
                *entry = learned.clone();
                entry.outputs.extend(outputs);
            } else {
                entry.merge(learned);
            }
        }
        (!words.is_empty()).then_some((all, words))
    }
}

/// Compares what was read with what the keys of some images hold. Also gives the ids of packages whose build script
/// has to run before anybody can say whether a file is its output.
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
    let Some(first) = inputs.first() else { return Ok(Default::default()) };
    let mut examination = Examination {
        snapshot,
        inputs,
        covered: covered(snapshot, inputs),
        exempt: snapshot.not_inputs(),
        findings: CoverageFindings::default(),
        unclear: BTreeSet::new(),
    };
    let is_local = |id: &str| first.packages.iter().any(|local| local.package.id == id);
    let mut attributed = BTreeSet::new();
    for local in &first.packages {
        let read = ReadFiles::of(snapshot, local, compiled, freshness)?;
        examination.package(local, &read)?;
        attributed.extend(read.files);
    }
    if let Some(built) = first.packages.iter().find(|local| local.package.id == package.id) {
        // What cargo names for the executables, and nobody above has: it belongs to the package that is built.
        let mut files = executables_files(snapshot, inputs, compiled, package)?;
        files.retain(|file| !attributed.contains(file));
        examination.package(built, &ReadFiles { files, ..ReadFiles::default() })?;
        let names = variables::of_others(snapshot, compiled, &is_local)?;
        examination.findings.learned.entry(package.name.clone()).or_default().variables.extend(names);
    }
    Ok((examination.findings, examination.unclear))
}

/// What was read for one package.
#[derive(Default)]
struct ReadFiles {
    /// Files and directories, absolute.
    files: BTreeSet<PathBuf>,
    variables: BTreeSet<String>,
    /// Whether it has a build script that watches no file.
    is_watched_whole: bool,
    /// When its build script last ran, and whether that was in this compile.
    script: Option<(SystemTime, bool)>,
}

impl ReadFiles {
    fn of(snapshot: &Snapshot<'_>, local: &PackageInputs, compiled: &CompiledUnits, freshness: &Freshness) -> Result<Self> {
        let mut read = Self::default();
        let package = &local.package;
        let scripts: Vec<&BuildScriptRun> = compiled.scripts.iter().filter(|script| script.package == package.id).collect();
        let set: BTreeSet<&str> = scripts.iter().flat_map(|script| &script.sets).map(String::as_str).collect();
        let root = &snapshot.workspace.root;
        for unit in compiled.units.iter().filter(|unit| unit.package == package.id) {
            let notes = depinfo::notes_of(unit)?;
            read.files.extend(depinfo::files(&notes).iter().map(|file| fs::absolute(root, Path::new(file))));
            let is_script = unit.kind == UnitKind::Script;
            let names = depinfo::variables(&notes).filter(|name| !set.contains(name) && !variables::is_none_of_ours(name, is_script));
            read.variables.extend(names.map(str::to_owned));
        }
        for script in scripts {
            let output = depinfo::output_of(script)?;
            let mut paths = depinfo::watched_paths(&output).peekable();
            read.is_watched_whole |= paths.peek().is_none();
            read.files.extend(paths.map(|path| fs::absolute(&package.folder, Path::new(path))));
            let names = depinfo::watched_variables(&output).filter(|name| !variables::is_none_of_ours(name, true));
            read.variables.extend(names.map(str::to_owned));
            let at =
                script.out_dir.parent().and_then(|directory| std::fs::metadata(directory.join("invoked.timestamp")).ok()?.modified().ok());
            read.script = at.map(|at| (at, freshness.has_run(script))).max(read.script);
        }
        Ok(read)
    }
}

/// One look at a compile.
struct Examination<'a> {
    snapshot: &'a Snapshot<'a>,
    inputs: &'a [&'a CodeInputs],
    /// The files that the keys hold, under every name.
    covered: BTreeSet<PathBuf>,
    exempt: Vec<PathBuf>,
    findings: CoverageFindings,
    unclear: BTreeSet<String>,
}

impl Examination<'_> {
    fn package(&mut self, local: &Arc<PackageInputs>, read: &ReadFiles) -> Result<()> {
        let mut learned = LearnedInputs { variables: read.variables.clone(), whole: read.is_watched_whole, ..LearnedInputs::default() };
        for file in &read.files {
            self.file(local, read, file, &mut learned)?;
        }
        if let Some((at, true)) = read.script {
            learned.outputs.extend(self.written(local, at)?);
        }
        self.findings.learned.entry(local.package.name.clone()).or_default().merge(&learned);
        Ok(())
    }

    fn file(&mut self, local: &Arc<PackageInputs>, read: &ReadFiles, file: &Path, learned: &mut LearnedInputs) -> Result<()> {
        let (snapshot, folder) = (self.snapshot, &local.package.folder);
        let repository = snapshot.sources.repository_of(&local.package);
        if self.exempt.iter().any(|directory| file.starts_with(directory)) {
            return Ok(());
        }
        if repository.is_git_file(file) {
            learned.revision = true;
            return Ok(());
        }
        let name = relative(folder, file)?;
        if !file.exists() {
            return Ok(());
        }
        let ignored = file.starts_with(&repository.root) && repository.ignores(file, file.is_dir()) && !repository.tracks(file);
        if self.inputs.iter().any(|inputs| inputs.excluded.has(file)) {
            // What a build script writes is not its input, when the user says so too.
            return if ignored && read.script.is_some() { Ok(()) } else { Err(self.excluded(local, &name)) };
        }
        if local.learned.inputs.contains(&name) {
            learned.inputs.insert(name);
            return Ok(());
        }
        if file.is_dir() {
            let watched = snapshot.sources.watched(file, &repository)?;
            if watched.iter().all(|file| self.is_covered(file) || self.is_output(local, file)) {
                return Ok(());
            }
        } else if !file.is_file() || self.is_covered(file) {
            return Ok(());
        }
        let is_ours = [&repository.root, &snapshot.workspace.root, folder].into_iter().any(|directory| file.starts_with(directory));
        if !is_ours {
            self.findings.outside.insert(file.to_owned());
            return Ok(());
        }
        if self.is_output(local, file) {
            learned.outputs.insert(name);
            return Ok(());
        }
        if let (true, Some((at, in_this_compile))) = (ignored && file.is_file() && file.starts_with(folder), read.script)
            && modified(file).is_some_and(|modified| modified >= at)
        {
            if in_this_compile {
                learned.outputs.insert(name);
            } else {
                self.unclear.insert(local.package.id.clone());
            }
            return Ok(());
        }
        learned.inputs.insert(name);
        Ok(())
    }

    /// Files of a package that did not exist before its build script ran in this compile.
    fn written(&self, local: &PackageInputs, at: SystemTime) -> Result<BTreeSet<String>> {
        let now = SourceFiles::new(self.exempt.clone()).of_package(&local.package, local.learned.whole)?;
        let new = now.into_iter().filter(|file| !local.files.contains_key(file) && !self.is_output(local, file));
        let new = new.filter(|file| !self.is_covered(file) && modified(file).is_some_and(|modified| modified >= at));
        new.map(|file| relative(&local.package.folder, &file)).collect()
    }

    fn is_covered(&self, file: &Path) -> bool {
        // A link may have given a file a second name.
        self.covered.contains(file) || file.canonicalize().is_ok_and(|real| self.covered.contains(&real))
    }

    /// Whether a file is known as something that the package's build script writes.
    fn is_output(&self, local: &PackageInputs, file: &Path) -> bool {
        let known = relative(&local.package.folder, file).is_ok_and(|name| local.learned.outputs.contains(&name));
        known && !self.snapshot.sources.repository_of(&local.package).tracks(file)
    }

    fn excluded(&self, local: &PackageInputs, name: &str) -> Error {
        let tried = format!("the code of `{}` contains `{name}`, which `exclude` leaves out of the key", local.package.name);
        Error::new(Code::InputNotCovered, tried).help("Narrow the pattern of `exclude`, so that an edit of the file makes another image.")
    }
}

fn modified(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file).ok()?.modified().ok()
}

/// The files that keys hold, by the names that they have and by those behind links. Manifests, lock files and the
/// choice of a toolchain are held by their values.
fn covered(snapshot: &Snapshot<'_>, inputs: &[&CodeInputs]) -> BTreeSet<PathBuf> {
    let mut covered: BTreeSet<PathBuf> = inputs.iter().flat_map(|inputs| inputs.files.iter().cloned()).collect();
    let by_value =
        ["Cargo.toml", "Cargo.lock", "Union.lock", "rust-toolchain", "rust-toolchain.toml", ".cargo/config", ".cargo/config.toml"];
    let packages = inputs.iter().flat_map(|inputs| &inputs.packages).map(|local| &local.package);
    for directory in packages.flat_map(|package| [&package.folder, &package.root]).chain([&snapshot.workspace.root]) {
        covered.extend(by_value.map(|name| directory.join(name)));
    }
    let real: Vec<PathBuf> = covered.iter().filter_map(|path| path.canonicalize().ok()).collect();
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
    // cargo writes relative paths when it was told from where.
    let base = snapshot.config.program(&["build", "dep-info-basedir"]).unwrap_or_else(|| snapshot.workspace.root.clone());
    let mut files = BTreeSet::new();
    for (name, executable) in compiled.executables(package) {
        if inputs.iter().any(|inputs| inputs.binaries.contains(&name)) {
            let notes = fs::read_if_exists(&executable.with_extension("d"))?.unwrap_or_default();
            files.extend(depinfo::files(&notes).iter().map(|file| fs::absolute(&base, Path::new(file))));
        }
    }
    Ok(files)
}
