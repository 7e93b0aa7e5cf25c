//! Compiles packages by running cargo once for a target and a set of settings. Several packages share a run when cargo
//! compiles each of them as it would alone.
//!
//! cargo's diagnostics and progress are shown to the user unchanged. The flags that make builds reproducible are passed
//! in `CARGO_ENCODED_RUSTFLAGS` together with the user's own, wherever those were set: `--config target.*.rustflags`
//! would be overridden by an exported `RUSTFLAGS`, would override `build.rustflags`, and cannot be merged with flags
//! that the user has written as one string.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::SystemTime;

use union_build::diag::Code;

use super::config;
use super::coverage::{self, CoverageFindings};
use super::freshness::{Freshness, FreshnessCheck};
use super::job::{CargoJob, JobMember};
use super::link_failure::LinkFailure;
use super::linker::Linker;
use super::run_inputs::{ObservedRun, RunInputs};
use super::units::CompiledUnits;
use super::{
    CargoInvocation, CargoRunner, CompileBackend, Linkage, Reporter, Snapshot, WorkspacePackage,
};
use crate::sys::error::{Error, Result};
use crate::sys::process::{Environment, ProcessFailure};

/// Compiles the packages of a job, and returns what the compiler has read for each of them.
///
/// Units that cargo considers fresh although they were made from other inputs are compiled again. Packages are compiled
/// again too if their build script has to run so that its outputs can be determined.
///
/// # Errors
/// `CompileFailed`, with the process's [`ProcessFailure`] as its cause; `Interrupted`, `ArtifactMissing`, `ArtifactStale`,
/// `InputNotCovered`, `ToolMissing`.
pub async fn compile(
    snapshot: &Snapshot<'_>,
    job: &CargoJob<'_>,
    runner: &dyn CargoRunner,
    reporter: &dyn Reporter,
) -> Result<(CompiledUnits, Vec<CoverageFindings>)> {
    for outside in packages_outside_root(snapshot, job) {
        let name = &outside.name;
        let directory = outside.directory.display();
        reporter.note(&format!(
            "`{name}` at `{directory}` is outside of the workspace's directory: another checkout may compile to different bytes"
        ));
    }
    let images = job
        .members
        .iter()
        .flat_map(|member| &member.inputs)
        .copied();
    let inputs = RunInputs::new(
        snapshot,
        job.settings,
        job.source_date_epoch,
        images,
        job.declared,
    )?;
    let mut freshness = Freshness::load(snapshot.target_directory());
    let mut cleaned: BTreeSet<String> = BTreeSet::new();
    loop {
        let (compiled, result) = run_cargo(snapshot, job, runner, reporter).await?;
        let mut findings = Vec::new();
        let mut outdated = BTreeSet::new();
        let run = ObservedRun::new(snapshot, &inputs, &compiled)?;
        for member in &job.members {
            let check = FreshnessCheck::new(job.settings, &member.inputs, &run);
            let observed = check.observe(snapshot, &compiled)?;
            if result.is_err() {
                freshness.record(snapshot, &check, &compiled, observed, &BTreeSet::new())?;
                continue;
            }
            let stale = freshness.stale(snapshot, &check, &compiled, &observed)?;
            freshness.record(snapshot, &check, &compiled, observed, &stale)?;
            let (package_findings, undecided) = coverage::examine(
                snapshot,
                member.package,
                &member.inputs,
                &compiled,
                &freshness,
            )?;
            findings.push(package_findings);
            outdated.extend(stale.into_iter().chain(undecided));
        }
        freshness.save()?;
        result?;
        if outdated.is_empty() {
            return Ok((compiled, findings));
        }
        if let Some(package) = outdated.iter().find(|package| cleaned.contains(*package)) {
            let error = format!(
                "cargo does not recompile `{package}`, which was compiled from other inputs"
            );
            return Err(Error::new(Code::ArtifactStale, error));
        }
        clean(snapshot, job, &outdated, runner).await?;
        cleaned.extend(outdated);
    }
}

/// The local packages whose paths may differ between checkouts: dependencies outside of the workspace, and members
/// outside of its root directory.
fn packages_outside_root<'a>(
    snapshot: &'a Snapshot<'_>,
    job: &'a CargoJob<'_>,
) -> impl Iterator<Item = &'a WorkspacePackage> {
    let locals = job
        .members
        .iter()
        .filter_map(|member| member.inputs.first())
        .flat_map(|inputs| &inputs.packages);
    let outside_root = locals
        .map(|local| &local.package)
        .filter(|package| !package.directory.starts_with(&snapshot.workspace.root));
    let all: BTreeMap<&str, &WorkspacePackage> = outside_root
        .chain(&snapshot.outside)
        .map(|package| (package.id.as_str(), package))
        .collect();
    all.into_values()
}

/// Runs cargo once. The units that were compiled are returned even when cargo fails.
///
/// # Errors
/// `CompileFailed`, with the process's [`ProcessFailure`] as its cause; `Interrupted`, `ArtifactMissing`,
/// `ToolMissing`.
pub(super) async fn run_cargo(
    snapshot: &Snapshot<'_>,
    job: &CargoJob<'_>,
    runner: &dyn CargoRunner,
    reporter: &dyn Reporter,
) -> Result<(CompiledUnits, Result<()>)> {
    let workspace = snapshot.workspace;
    job.members
        .iter()
        .for_each(|member| reporter.compiling(&member.package.name, job.target));
    let call = CargoInvocation {
        program: snapshot.cargo.program.clone(),
        directory: workspace.root.clone(),
        environment: environment(snapshot, job).await?,
        arguments: arguments(snapshot, job),
    };
    let mut compiled = CompiledUnits {
        directories: snapshot.target_and_build_directory(job.method),
        ..CompiledUnits::default()
    };
    let began = SystemTime::now();
    let status = runner
        .cargo(&call, &mut |line| compiled.read_message(line))
        .await?;
    let status = status
        .map_err(|failed| compile_error(failed, job, || LinkFailure::find(snapshot, job, began)));
    let result = status.and_then(|()| {
        job.members
            .iter()
            .try_for_each(|member| check_executables(&compiled, member))
    });
    Ok((compiled, result))
}

fn check_executables(compiled: &CompiledUnits, member: &JobMember<'_>) -> Result<()> {
    let executables = compiled.executables(member.package);
    let Some(missing) = member
        .binaries
        .iter()
        .find(|name| !executables.contains_key(*name))
    else {
        return Ok(());
    };
    Err(Error::new(
        Code::ArtifactMissing,
        format!(
            "cargo did not produce the binary `{missing}` of `{}`",
            member.package.name
        ),
    ))
}

/// Runs `cargo clean` for packages, by their ids, for the target and profile of a job.
///
/// # Errors
/// `CompileFailed` with cargo's message; `ToolMissing`.
pub(super) async fn clean(
    snapshot: &Snapshot<'_>,
    job: &CargoJob<'_>,
    packages: &BTreeSet<String>,
    runner: &dyn CargoRunner,
) -> Result<()> {
    let cargo = snapshot.cargo;
    let mut arguments: Vec<OsString> = vec!["clean".into(), "--quiet".into()];
    arguments.extend(cargo.lock_flags());
    packages
        .iter()
        .for_each(|package| arguments.extend(["--package".into(), package.into()]));
    arguments.extend([
        "--target".into(),
        job.target.into(),
        "--profile".into(),
        job.settings.profile.as_str().into(),
    ]);
    let directory = job
        .method
        .directory(snapshot.target_directory())
        .unwrap_or_else(|| snapshot.target_directory().to_owned());
    arguments.extend(["--target-dir".into(), directory.into()]);
    let call = CargoInvocation {
        program: cargo.program.clone(),
        directory: snapshot.workspace.root.clone(),
        environment: environment(snapshot, job).await?,
        arguments,
    };
    let status = runner.cargo(&call, &mut |_| {}).await?;
    status.map_err(|failed| {
        Error::new(
            Code::CompileFailed,
            format!("could not remove what was compiled of {}", job.names()),
        )
        .because(failed)
    })
}

async fn environment(snapshot: &Snapshot<'_>, job: &CargoJob<'_>) -> Result<Environment> {
    let mut environment = snapshot.environment(job.settings);
    let mut flags = snapshot.user_rustflags(&environment, job.target).await?;
    flags.extend(snapshot.own_rustflags(job.target, job.settings.linkage));
    environment.set("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    if !job.settings.env.contains_key("SOURCE_DATE_EPOCH") {
        environment.set("SOURCE_DATE_EPOCH", job.source_date_epoch.to_string());
    }
    // Incremental compilation changes how a crate is split into codegen units, and with it the bytes.
    environment.set("CARGO_INCREMENTAL", "0");
    // A relative path of the user would be resolved from another directory, by cargo and by build scripts.
    environment.set("CARGO_TARGET_DIR", &snapshot.workspace.target_directory);
    if let (CompileBackend::Host, Linker::Cross { program, .. }) =
        (job.method, snapshot.linker(&environment, job.target))
    {
        environment.set(config::variable(job.target, "LINKER"), program);
    }
    if let Some(directory) = snapshot.build_directory(job.method) {
        environment.set("CARGO_BUILD_BUILD_DIR", directory);
    }
    Ok(environment)
}

fn arguments(snapshot: &Snapshot<'_>, job: &CargoJob<'_>) -> Vec<OsString> {
    let settings = job.settings;
    let mut arguments: Vec<OsString> = Vec::new();
    let mut add = |flag: &str, value: &str| arguments.extend([OsString::from(flag), value.into()]);
    // By id: a name may also be that of a dependency, and with a manifest path cargo may select default members.
    job.members
        .iter()
        .for_each(|member| add("--package", &member.package.id));
    add("--target", &job.method.target(job.target));
    add("--profile", &settings.profile);
    job.members
        .iter()
        .flat_map(|member| &member.binaries)
        .for_each(|name| add("--bin", name));
    settings
        .features
        .iter()
        .for_each(|feature| add("--features", feature));
    if !settings.default_features {
        arguments.push("--no-default-features".into());
    }
    arguments.push("--message-format=json-render-diagnostics".into());
    let mut all = vec![job.method.subcommand().into()];
    all.extend(
        snapshot
            .cargo
            .compile_flags(job.method.directory(snapshot.target_directory()).as_deref()),
    );
    all.extend(arguments);
    all
}

/// The error of a failed compile, with advice for the linker only when the linker failed.
fn compile_error(
    failed: ProcessFailure,
    job: &CargoJob<'_>,
    linking: impl FnOnce() -> Option<LinkFailure>,
) -> Error {
    const SIGINT: i32 = 2;
    const SIGTERM: i32 = 15;
    let subject = format!("{} for {}", job.names(), job.target);
    if matches!(failed.signal, Some(SIGINT | SIGTERM)) {
        return Error::new(
            Code::Interrupted,
            format!("the compile of {subject} was interrupted"),
        )
        .because(failed);
    }
    let error =
        Error::new(Code::CompileFailed, format!("could not compile {subject}")).because(failed);
    match (linking(), job.settings.linkage) {
        (None, _) => error,
        (Some(LinkFailure::Missing(linker)), _) => error.help(format!(
            "Install the linker `{linker}`; or install zig and cargo-zigbuild; or set `compile = \"container\"`."
        )),
        (Some(LinkFailure::Failed(_)), Linkage::Static) => error.help("Correct what the linker reports. It linked statically: a library that has no static form needs `link = \"dynamic\"` and a base image."),
        (Some(LinkFailure::Failed(missing)), Linkage::Dynamic) if !missing.is_empty() => error.help(format!(
            "The linker did not find {}: install what brings the library with its development files, or set `compile = \"container\"` and name that package under `build.apt-packages`.",
            missing.iter().map(|name| format!("`lib{name}`")).collect::<Vec<_>>().join(", "),
        )),
        (Some(LinkFailure::Failed(_)), Linkage::Dynamic) => error.help("Correct what the linker reports."),
    }
}

impl Snapshot<'_> {
    /// cargo's build directory for intermediate artifacts, when it differs from the target directory. Each backend has its
    /// own, since they cannot share artifacts.
    fn build_directory(&self, method: &CompileBackend) -> Option<PathBuf> {
        let directory = &self.workspace.build_directory;
        (*directory != self.workspace.target_directory).then(|| {
            method
                .directory(directory)
                .unwrap_or_else(|| directory.clone())
        })
    }

    fn target_and_build_directory(&self, method: &CompileBackend) -> (PathBuf, PathBuf) {
        let target = method
            .directory(self.target_directory())
            .unwrap_or_else(|| self.target_directory().to_owned());
        (
            target.clone(),
            self.build_directory(method).unwrap_or(target),
        )
    }
}
