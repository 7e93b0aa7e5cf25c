//! One compile per target and build settings, for all binaries that the images of a package carry, and for all packages
//! that get the same code together as alone.
//!
//! Which images are made never changes the bytes of any: packages for which cargo would join features otherwise than
//! for each alone are compiled one after the other.

pub(super) mod backends;
mod batch;
mod container;
pub(super) mod executables;
pub(super) mod selector;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use anyhow::Result;
use union_build::diag::Code;
use union_build::handover::References;

use super::context::PackageContext;
use super::package::PackageBuild;
use crate::pipeline::resolve::{CodeSpec, ResolvedImage};
use crate::sys::error::Error;
use crate::sys::fs;
use crate::workspace::coverage::CoverageFindings;
use crate::workspace::{CargoJob, CodeInputs, CompileSettings, CompiledUnits, JobMember, compile};
use backends::CompileChoice;
use batch::CompileBatch;
use executables::{CompileOutput, Executables};

/// Compiles what the missing images of all packages need, out of all images of each package, and looks at what the
/// compiler has read.
///
/// # Errors
/// `CompileFailed` and whatever the checks find.
pub(super) async fn run(packages: &[PackageBuild<'_>]) -> Result<Vec<(Executables, CoverageFindings)>> {
    let mut all: Vec<(Executables, CoverageFindings)> = packages.iter().map(|_| Default::default()).collect();
    let wanted: Vec<CompileJob<'_>> = packages.iter().enumerate().flat_map(|(position, ready)| wanted(position, ready)).collect();
    wanted.iter().for_each(CompileJob::warn);
    let mut batches = VecDeque::from(batch::batches(wanted).await);
    let mut is_shared = batches.len() > 1;
    while let Some(batch) = batches.pop_front() {
        match compile_batch(&batch, is_shared, &mut all).await? {
            BatchOutcome::Done => {}
            BatchOutcome::Apart => {
                is_shared = true;
                batch.wanted.into_iter().rev().for_each(|wanted| batches.push_front(CompileBatch::of(wanted)));
            }
        }
    }
    let outside: BTreeSet<&PathBuf> = all.iter().flat_map(|(_, findings)| &findings.outside).collect();
    for file in outside {
        let reporter = packages.first().map(|ready| ready.package.reporter);
        let note = format!("the compiler read `{}`, which is outside of the repository and not part of the key", file.display());
        reporter.into_iter().for_each(|reporter| reporter.note(&note));
    }
    Ok(all)
}

/// One package for one target and one set of settings.
struct CompileJob<'a> {
    /// Where its package stands among all.
    position: usize,
    ready: &'a PackageBuild<'a>,
    settings: &'a CompileSettings,
    target: &'a str,
    binaries: BTreeSet<String>,
}

fn wanted<'a>(position: usize, ready: &'a PackageBuild<'a>) -> impl Iterator<Item = CompileJob<'a>> {
    let needed: Vec<&ResolvedImage> = ready.needed().map(|image| &image.resolved).collect();
    let jobs = jobs(&ready.plan.resolved, &needed);
    jobs.into_iter().map(move |((settings, target), binaries)| CompileJob { position, ready, settings, target, binaries })
}

impl<'a> CompileJob<'a> {
    fn codes(&self) -> impl Iterator<Item = &'a CodeSpec> {
        let settings = self.settings;
        self.ready.needed().filter_map(|image| image.resolved.code.as_ref()).filter(move |code| code.compile == *settings)
    }

    fn inputs(&self) -> Vec<&'a CodeInputs> {
        self.codes().map(|code| &code.inputs).collect()
    }

    fn chosen(&self) -> &'a CompileChoice {
        self.ready.methods.of(self.settings, self.target)
    }

    fn member(&self) -> JobMember<'a> {
        JobMember { package: &self.ready.package.declared.package, binaries: self.binaries.clone(), inputs: self.inputs() }
    }

    /// What was compiled for this machine's processor may not start on a node.
    fn warn(&self) {
        if self.codes().any(CodeSpec::is_native) {
            let warning = native(&self.ready.package.declared.package.name);
            self.ready.package.reporter.warning(&format!("[{}] {warning}\n  = help: {}", warning.code(), warning.advice()));
        }
    }
}

/// What became of a batch.
enum BatchOutcome {
    Done,
    /// cargo gave some package other features than it would get alone.
    Apart,
}

/// `is_shared` says whether a later compile puts its executables where these are.
async fn compile_batch(batch: &CompileBatch<'_>, is_shared: bool, all: &mut [(Executables, CoverageFindings)]) -> Result<BatchOutcome> {
    let Some(first) = batch.wanted.first() else { return Ok(BatchOutcome::Done) };
    let PackageContext { work, session, snapshot, reporter, .. } = first.ready.package;
    let CompileChoice { method, workshop } = first.chosen();
    let (target, settings) = (first.target, first.settings);
    let members = batch.wanted.iter().map(CompileJob::member).collect();
    let job = CargoJob { members, target, settings, method, source_date_epoch: work.source_date_epoch };
    let lent = reporter.suspend_progress();
    let (compiled, findings) = compile(snapshot, &job, &**workshop, &**reporter).await?;
    drop(lent);
    if !compiled.has_features(batch.features.as_ref()) {
        return Ok(BatchOutcome::Apart);
    }
    for (wanted, found) in batch.wanted.iter().zip(findings) {
        let package = &wanted.ready.package.declared.package;
        check_generated(&compiled, package, &wanted.ready.plan.references)?;
        let (executables, findings) = &mut all[wanted.position];
        findings.merge(found);
        let mut made = compiled.executables(package);
        if is_shared {
            let aside = session.workspace.target_directory.join("union/executables").join(&package.name);
            set_aside(&mut made, &aside.join(executables.0.len().to_string()))?;
        }
        let made = CompileOutput { executables: made, workshop: workshop.clone() };
        executables.0.insert((settings.clone(), target.to_owned()), made);
    }
    Ok(BatchOutcome::Done)
}

type Jobs<'a> = BTreeMap<(&'a CompileSettings, &'a str), BTreeSet<String>>;

/// What has to be compiled for the missing images, with the binaries of all images that share it.
fn jobs<'a>(images: &'a [ResolvedImage], missing: &[&ResolvedImage]) -> Jobs<'a> {
    let mut jobs: Jobs<'a> = BTreeMap::new();
    for code in images.iter().filter_map(|resolved| resolved.code.as_ref()) {
        for target in code.targets() {
            jobs.entry((&code.compile, target)).or_default().extend(code.binaries.iter().cloned());
        }
    }
    let is_needed = |settings: &CompileSettings, target: &str| {
        let needs = |resolved: &&ResolvedImage| {
            resolved.code.as_ref().is_some_and(|code| code.compile == *settings && code.targets().any(|own| own == target))
        };
        missing.iter().any(needs)
    };
    jobs.retain(|(settings, target), _| is_needed(settings, target));
    jobs
}

/// The next compile puts its executables where these are.
fn set_aside(executables: &mut BTreeMap<String, PathBuf>, folder: &Path) -> Result<()> {
    fs::create_folder(folder)?;
    for (name, path) in executables {
        let aside = folder.join(name);
        std::fs::copy(&*path, &aside).map_err(|cause| fs::unwritable(&aside, cause))?;
        *path = aside;
    }
    Ok(())
}

/// The crate must have been compiled with the references that were handed over.
fn check_generated(compiled: &CompiledUnits, package: &crate::workspace::WorkspacePackage, references: &References) -> Result<()> {
    let Some(path) = compiled.generated_file(package) else { return Ok(()) };
    let text = fs::read_to_string(&path)?;
    let holds = |value: &Option<String>| value.as_ref().is_none_or(|value| text.contains(&format!("{value:?}")));
    if references.images.iter().all(|image| holds(&image.id) && holds(&image.tag) && holds(&image.repository)) {
        return Ok(());
    }
    let error = Error::new(Code::HandoverMismatch, format!("`{}` does not hold the references of this build", path.display()));
    Err(error.into())
}

/// What was compiled for this machine's processor may not start on a node.
fn native(package: &str) -> Error {
    let tried = format!(
        "the flags of `{package}` say `target-cpu=native`: where the processor is another one, it ends with an illegal instruction"
    );
    Error::new(Code::NativeProcessor, tried)
}
