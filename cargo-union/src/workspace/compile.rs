//! One run of cargo for one target and set of settings, and for one package or several that get the same code together
//! as alone.
//!
//! cargo's diagnostics and progress go straight to the user, in its own words and colours. The
//! flags that make the bytes the same everywhere go through `CARGO_ENCODED_RUSTFLAGS` together with
//! the user's own, wherever those were set: `--config target.*.rustflags` would be hidden by an
//! exported `RUSTFLAGS`, would hide `build.rustflags`, and cannot be joined with a user's flags that
//! are written as one string.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::SystemTime;

use union_build::diag::Code;

use super::config;
use super::coverage::{self, CoverageFindings};
use super::freshness::{Freshness, FreshnessCheck};
use super::linker::Linker;
use super::linking::LinkFailure;
use super::units::CompiledUnits;
use super::{CargoInvocation, CargoRunner, CodeInputs, CompileBackend, CompileSettings, Linkage, Reporter, Snapshot, WorkspacePackage};
use crate::sys::error::{Error, Result};
use crate::sys::process::{Environment, ProcessFailure};

/// What is compiled.
#[derive(Clone, Debug)]
pub struct CargoJob<'a> {
    /// The packages, at least one. Several have no features of their own choice, and no binary of the same name.
    pub members: Vec<JobMember<'a>>,
    /// The target, always explicit: flags then never reach build scripts and macros.
    pub target: &'a str,
    /// How.
    pub settings: &'a CompileSettings,
    /// With what.
    pub method: &'a CompileBackend,
    /// Seconds since 1970 that build scripts shall take for now.
    pub source_date_epoch: u64,
}

/// A package that is compiled.
#[derive(Clone, Debug)]
pub struct JobMember<'a> {
    /// The package.
    pub package: &'a WorkspacePackage,
    /// All binaries that its images of the job's settings carry.
    pub binaries: BTreeSet<String>,
    /// The inputs of those images.
    pub inputs: Vec<&'a CodeInputs>,
}

impl CargoJob<'_> {
    /// The packages' names, as a sentence has them.
    fn names(&self) -> String {
        const SHOWN: usize = 3;
        let shown: Vec<String> = self.members.iter().take(SHOWN).map(|member| format!("`{}`", member.package.name)).collect();
        let more = self.members.len().saturating_sub(SHOWN);
        if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
    }
}

/// Compiles, and looks at what the compiler has read for each of the packages.
///
/// What cargo takes for fresh although it was made from other inputs is compiled again, and so are packages whose
/// build script must run to show what it writes.
///
/// # Errors
/// `CompileFailed`, with the process's [`ProcessFailure`] as its cause; `Interrupted`, `ArtifactMissing`, `ArtifactStale`,
/// `InputNotCovered`, `ToolMissing`.
pub async fn compile(
    snapshot: &Snapshot<'_>,
    job: &CargoJob<'_>,
    workshop: &dyn CargoRunner,
    reporter: &dyn Reporter,
) -> Result<(CompiledUnits, Vec<CoverageFindings>)> {
    for outside in elsewhere(snapshot, job) {
        let (name, folder) = (&outside.name, outside.folder.display());
        reporter.note(&format!(
            "`{name}` at `{folder}` is outside of the workspace's directory: equal bytes in another checkout are not promised"
        ));
    }
    let mut freshness = Freshness::load(snapshot.target_directory());
    let mut forgotten: BTreeSet<String> = BTreeSet::new();
    loop {
        let (compiled, result) = run_cargo(snapshot, job, workshop, reporter).await?;
        let (mut findings, mut again) = (Vec::new(), BTreeSet::new());
        for member in &job.members {
            let checked = FreshnessCheck::new(job.settings, &member.inputs);
            let observed = checked.observe(snapshot, &compiled)?;
            if result.is_err() {
                freshness.record(snapshot, &checked, &compiled, observed, &BTreeSet::new())?;
                continue;
            }
            let stale = freshness.stale(snapshot, &checked, &compiled, &observed)?;
            freshness.record(snapshot, &checked, &compiled, observed, &stale)?;
            let (found, unclear) = coverage::examine(snapshot, member.package, &member.inputs, &compiled, &freshness)?;
            findings.push(found);
            again.extend(stale.into_iter().chain(unclear));
        }
        freshness.save()?;
        result?;
        if again.is_empty() {
            return Ok((compiled, findings));
        }
        if let Some(package) = again.iter().find(|package| forgotten.contains(*package)) {
            let error = format!("cargo does not compile `{package}` again, which was made from other inputs");
            return Err(Error::new(Code::ArtifactStale, error));
        }
        forget(snapshot, job, &again, workshop).await?;
        forgotten.extend(again);
    }
}

/// The local packages whose paths differ from checkout to checkout: dependencies outside of the workspace, and members
/// beside its root.
fn elsewhere<'a>(snapshot: &'a Snapshot<'_>, job: &'a CargoJob<'_>) -> impl Iterator<Item = &'a WorkspacePackage> {
    let locals = job.members.iter().filter_map(|member| member.inputs.first()).flat_map(|inputs| &inputs.packages);
    let beside = locals.map(|local| &local.package).filter(|package| !package.folder.starts_with(&snapshot.workspace.root));
    let all: BTreeMap<&str, &WorkspacePackage> = beside.chain(&snapshot.outside).map(|package| (package.id.as_str(), package)).collect();
    all.into_values()
}

/// Runs cargo once. What was made before it failed is given too.
///
/// # Errors
/// `CompileFailed`, with the process's [`ProcessFailure`] as its cause; `Interrupted`, `ArtifactMissing`,
/// `ToolMissing`.
pub(super) async fn run_cargo(
    snapshot: &Snapshot<'_>,
    job: &CargoJob<'_>,
    workshop: &dyn CargoRunner,
    reporter: &dyn Reporter,
) -> Result<(CompiledUnits, Result<()>)> {
    let workspace = snapshot.workspace;
    job.members.iter().for_each(|member| reporter.compiling(&member.package.name, job.target));
    let call = CargoInvocation {
        program: snapshot.cargo.program.clone(),
        folder: workspace.root.clone(),
        environment: environment(snapshot, job).await?,
        arguments: arguments(snapshot, job),
    };
    let mut compiled = CompiledUnits { directories: snapshot.directories(job.method), ..CompiledUnits::default() };
    let began = SystemTime::now();
    let ended = workshop.cargo(&call, &mut |line| compiled.read(line)).await?;
    let ended = ended.map_err(|failed| failure(failed, job, || LinkFailure::of(snapshot, job, began)));
    let result = ended.and_then(|()| job.members.iter().try_for_each(|member| check_made(&compiled, member)));
    Ok((compiled, result))
}

fn check_made(compiled: &CompiledUnits, member: &JobMember<'_>) -> Result<()> {
    let made = compiled.executables(member.package);
    let Some(missing) = member.binaries.iter().find(|name| !made.contains_key(*name)) else { return Ok(()) };
    Err(Error::new(Code::ArtifactMissing, format!("cargo did not produce the binary `{missing}` of `{}`", member.package.name)))
}

/// Makes cargo forget what it has compiled of packages, by their ids, for the target and profile of a job.
///
/// # Errors
/// `CompileFailed` with cargo's own words; `ToolMissing`.
pub(super) async fn forget(
    snapshot: &Snapshot<'_>,
    job: &CargoJob<'_>,
    packages: &BTreeSet<String>,
    workshop: &dyn CargoRunner,
) -> Result<()> {
    let cargo = snapshot.cargo;
    let mut arguments: Vec<OsString> = vec!["clean".into(), "--quiet".into()];
    arguments.extend(cargo.lock_flags());
    packages.iter().for_each(|package| arguments.extend(["--package".into(), package.into()]));
    arguments.extend(["--target".into(), job.target.into(), "--profile".into(), job.settings.profile.as_str().into()]);
    let directory = job.method.folder(snapshot.target_directory()).unwrap_or_else(|| snapshot.target_directory().to_owned());
    arguments.extend(["--target-dir".into(), directory.into()]);
    let call = CargoInvocation {
        program: cargo.program.clone(),
        folder: snapshot.workspace.root.clone(),
        environment: environment(snapshot, job).await?,
        arguments,
    };
    let ended = workshop.cargo(&call, &mut |_| {}).await?;
    ended
        .map_err(|failed| Error::new(Code::CompileFailed, format!("could not remove what was compiled of {}", job.names())).because(failed))
}

async fn environment(snapshot: &Snapshot<'_>, job: &CargoJob<'_>) -> Result<Environment> {
    let mut environment = snapshot.environment(job.settings);
    let mut flags = snapshot.user_rustflags(&environment, job.target).await?;
    flags.extend(snapshot.own_rustflags(job.target, job.settings.linkage));
    environment.set("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    if !job.settings.env.contains_key("SOURCE_DATE_EPOCH") {
        environment.set("SOURCE_DATE_EPOCH", job.source_date_epoch.to_string());
    }
    // How a crate is cut into parts is another with it, and so are the bytes.
    environment.set("CARGO_INCREMENTAL", "0");
    // Relative ones would be read from another folder than the user's, here and in build scripts.
    environment.set("CARGO_TARGET_DIR", &snapshot.workspace.target_directory);
    if let (CompileBackend::Host, Linker::Cross { program, .. }) = (job.method, snapshot.linker(&environment, job.target)) {
        environment.set(config::variable(job.target, "LINKER"), program);
    }
    if let Some(folder) = snapshot.build_directory(job.method) {
        environment.set("CARGO_BUILD_BUILD_DIR", folder);
    }
    Ok(environment)
}

fn arguments(snapshot: &Snapshot<'_>, job: &CargoJob<'_>) -> Vec<OsString> {
    let (settings, profile) = (job.settings, &job.settings.profile);
    let mut arguments: Vec<OsString> = Vec::new();
    let mut add = |flag: &str, value: &str| arguments.extend([OsString::from(flag), value.into()]);
    // By id: a name could also be a dependency's, and a manifest path could mean default members.
    job.members.iter().for_each(|member| add("--package", &member.package.id));
    add("--target", &job.method.target(job.target));
    add("--profile", profile);
    job.members.iter().flat_map(|member| &member.binaries).for_each(|name| add("--bin", name));
    settings.features.iter().for_each(|feature| add("--features", feature));
    if !settings.default_features {
        arguments.push("--no-default-features".into());
    }
    arguments.push("--message-format=json-render-diagnostics".into());
    let mut all = vec![job.method.subcommand().into()];
    all.extend(snapshot.cargo.compile_flags(job.method.folder(snapshot.target_directory()).as_deref()));
    all.extend(arguments);
    all
}

/// An error with advice that fits what failed.
fn failure(failed: ProcessFailure, job: &CargoJob<'_>, linking: impl FnOnce() -> Option<LinkFailure>) -> Error {
    const SIGINT: i32 = 2;
    const SIGTERM: i32 = 15;
    let what = format!("{} for {}", job.names(), job.target);
    if matches!(failed.signal, Some(SIGINT | SIGTERM)) {
        return Error::new(Code::Interrupted, format!("the compile of {what} was interrupted")).because(failed);
    }
    let error = Error::new(Code::CompileFailed, format!("could not compile {what}")).because(failed);
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
    /// Where cargo puts what lies between, when that is not below the target directory. What one method has made is
    /// nothing for another.
    fn build_directory(&self, method: &CompileBackend) -> Option<PathBuf> {
        let directory = &self.workspace.build_directory;
        (*directory != self.workspace.target_directory).then(|| method.folder(directory).unwrap_or_else(|| directory.clone()))
    }

    fn directories(&self, method: &CompileBackend) -> (PathBuf, PathBuf) {
        let target = method.folder(self.target_directory()).unwrap_or_else(|| self.target_directory().to_owned());
        (target.clone(), self.build_directory(method).unwrap_or(target))
    }
}
