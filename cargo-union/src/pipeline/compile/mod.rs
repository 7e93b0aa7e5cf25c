//! Compiles the binaries of all packages: one call of cargo for each target and set of build settings.
//!
//! A call compiles all binaries of the package's images that share target and settings, and several packages if that does
//! not change their code. The selection of images never changes the bytes of an image: packages for which cargo would
//! unify features differently than for each alone are compiled one after the other.

mod batch;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use union_build::diag::Code;
use union_build::handover::References;
use union_build::spec::Pattern;

use super::compile_plan::CompileChoice;
use super::compile_plan::jobs::collect_jobs;
use super::context::PackageContext;
use super::executables::{CompileOutput, Executables};
use super::package::PackageBuild;
use crate::pipeline::problems::Result;
use crate::pipeline::resolve::{CodeSpec, ResolvedImage};
use crate::sys::error::Error;
use crate::sys::fs;
use crate::workspace::coverage::CoverageFindings;
use crate::workspace::{CargoJob, CodeInputs, CompileSettings, CompiledUnits, JobMember, compile};
use batch::CompileBatch;

/// Compiles the binaries of all images that are missing or lack an interface. Returns, for each package, its executables
/// and the inputs that the compiler read although no key covers them.
///
/// # Errors
/// `CompileFailed`, `HandoverMismatch`, and the errors of the coverage check.
pub(super) async fn run(
    builds: &[PackageBuild<'_>],
) -> Result<Vec<(Executables, CoverageFindings)>> {
    let mut results: Vec<(Executables, CoverageFindings)> =
        builds.iter().map(|_| Default::default()).collect();
    let jobs: Vec<CompileJob<'_>> = builds
        .iter()
        .enumerate()
        .flat_map(|(position, build)| package_jobs(position, build))
        .collect();
    jobs.iter().for_each(CompileJob::warn_if_native);
    let mut batches = VecDeque::from(batch::group_jobs(jobs).await);
    let declared = builds
        .first()
        .filter(|_| !batches.is_empty())
        .map(|build| build.context.loaded.declared_inputs())
        .unwrap_or_default();
    let mut is_shared = batches.len() > 1;
    while let Some(batch) = batches.pop_front() {
        match compile_batch(&batch, is_shared, &declared, &mut results).await? {
            BatchOutcome::Done => {}
            BatchOutcome::FeaturesDiffer => {
                is_shared = true;
                batch
                    .jobs
                    .into_iter()
                    .rev()
                    .for_each(|job| batches.push_front(CompileBatch::of_single_job(job)));
            }
        }
    }
    let outside: BTreeSet<&PathBuf> = results
        .iter()
        .flat_map(|(_, findings)| &findings.outside)
        .collect();
    for file in outside {
        let reporter = builds.first().map(|build| build.context.reporter);
        let note = format!(
            "the compiler read `{}`, which is outside of the repository and not part of the key",
            file.display()
        );
        reporter
            .into_iter()
            .for_each(|reporter| reporter.note(&note));
    }
    Ok(results)
}

/// A package that is compiled for one target with one set of settings.
struct CompileJob<'a> {
    /// The index of its package in the list of all builds.
    position: usize,
    build: &'a PackageBuild<'a>,
    settings: &'a CompileSettings,
    target: &'a str,
    binaries: BTreeSet<String>,
}

fn package_jobs<'a>(
    position: usize,
    build: &'a PackageBuild<'a>,
) -> impl Iterator<Item = CompileJob<'a>> {
    let needed: Vec<&ResolvedImage> = build.needed().map(|image| &image.resolved).collect();
    let jobs = collect_jobs(&build.plan.resolved, &needed);
    jobs.into_iter()
        .map(move |((settings, target), binaries)| CompileJob {
            position,
            build,
            settings,
            target,
            binaries,
        })
}

impl<'a> CompileJob<'a> {
    fn codes(&self) -> impl Iterator<Item = &'a CodeSpec> {
        let settings = self.settings;
        self.build
            .needed()
            .filter_map(|image| image.resolved.code.as_ref())
            .filter(move |code| code.compile == *settings)
    }

    fn inputs(&self) -> Vec<&'a CodeInputs> {
        self.codes().map(|code| &code.inputs).collect()
    }

    fn choice(&self) -> &'a CompileChoice {
        self.build.compile_plan.of(self.settings, self.target)
    }

    fn member(&self) -> JobMember<'a> {
        JobMember {
            package: &self.build.context.package.package,
            binaries: self.binaries.clone(),
            inputs: self.inputs(),
        }
    }

    fn warn_if_native(&self) {
        if self.codes().any(CodeSpec::is_native) {
            let warning = native_processor(self.build.context.package.name());
            self.build.context.reporter.warning(&format!(
                "[{}] {warning}\n  = help: {}",
                warning.code(),
                warning.advice()
            ));
        }
    }
}

enum BatchOutcome {
    Done,
    /// cargo compiled a package with other features than it has alone.
    FeaturesDiffer,
}

/// Compiles a batch. `is_shared` says that a later compile overwrites its executables in the target directory; `declared` are
/// the patterns of `inputs` of all packages in the workspace.
async fn compile_batch(
    batch: &CompileBatch<'_>,
    is_shared: bool,
    declared: &[Pattern],
    results: &mut [(Executables, CoverageFindings)],
) -> Result<BatchOutcome> {
    let Some(first) = batch.jobs.first() else {
        return Ok(BatchOutcome::Done);
    };
    let PackageContext {
        options,
        loaded,
        snapshot,
        reporter,
        ..
    } = first.build.context;
    let CompileChoice { method, runner } = first.choice();
    let CompileJob {
        target, settings, ..
    } = *first;
    let members = batch.jobs.iter().map(CompileJob::member).collect();
    let cargo_job = CargoJob {
        members,
        target,
        settings,
        method,
        source_date_epoch: options.source_date_epoch,
        declared,
    };
    let suspended = reporter.suspend_progress();
    let (compiled, findings) = compile(snapshot, &cargo_job, &**runner, &**reporter).await?;
    drop(suspended);
    if !compiled.has_features(batch.features.as_ref()) {
        return Ok(BatchOutcome::FeaturesDiffer);
    }
    for (job, job_findings) in batch.jobs.iter().zip(findings) {
        let package = &job.build.context.package.package;
        check_generated(&compiled, package, &job.build.plan.references)?;
        let (outputs, package_findings) = &mut results[job.position];
        package_findings.merge(job_findings);
        let mut executables = compiled.executables(package);
        if is_shared {
            let directory = loaded
                .workspace
                .target_directory
                .join("union/executables")
                .join(&package.name);
            set_aside(
                &mut executables,
                &directory.join(outputs.0.len().to_string()),
            )?;
        }
        let output = CompileOutput::new(executables, runner.clone())?;
        outputs
            .0
            .insert((settings.clone(), target.to_owned()), output);
    }
    Ok(BatchOutcome::Done)
}

/// Copies executables to a directory of their own, since the next compile overwrites them in the target directory.
fn set_aside(executables: &mut BTreeMap<String, PathBuf>, directory: &Path) -> Result<()> {
    fs::create_directory(directory)?;
    for (name, path) in executables {
        let copy = directory.join(name);
        std::fs::copy(&*path, &copy).map_err(|cause| fs::unwritable(&copy, cause))?;
        *path = copy;
    }
    Ok(())
}

/// Checks that the crate was compiled with the references of this build.
fn check_generated(
    compiled: &CompiledUnits,
    package: &crate::workspace::WorkspacePackage,
    references: &References,
) -> Result<()> {
    let Some(path) = compiled.generated_file(package) else {
        return Ok(());
    };
    let text = fs::read_to_string(&path)?;
    let has_literal = |value: &Option<String>| {
        value
            .as_ref()
            .is_none_or(|value| text.contains(&format!("{value:?}")))
    };
    if references.images.iter().all(|image| {
        has_literal(&image.id) && has_literal(&image.tag) && has_literal(&image.repository)
    }) {
        return Ok(());
    }
    let error = Error::new(
        Code::HandoverMismatch,
        format!(
            "`{}` does not hold the references of this build",
            path.display()
        ),
    );
    Err(error.into())
}

/// A binary that was compiled for the processor of this machine may not run on a node of the cluster.
fn native_processor(package: &str) -> Error {
    let what = format!(
        "the flags of `{package}` set `target-cpu=native`: on another processor the program may end with an illegal instruction"
    );
    Error::new(Code::NativeProcessor, what)
}
