//! One run of cargo for one package, target and set of settings.
//!
//! cargo's diagnostics and progress go straight to the user, in its own words and colours. The
//! flags that make the bytes the same everywhere go through `CARGO_ENCODED_RUSTFLAGS` together with
//! the user's own, wherever those were set: `--config target.*.rustflags` would be hidden by an
//! exported `RUSTFLAGS`, would hide `build.rustflags`, and cannot be joined with a user's flags that
//! are written as one string.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cargo_metadata::{Artifact, BuildScript, Message, TargetKind};
use union_build::diag::Code;

use super::linker::Linker;
use super::linking::LinkFailure;
use super::method::linker_variable;
use super::{Call, CompileSettings, Linkage, Method, Package, Reporter, Snapshot, Workshop};
use crate::base::error::{Error, Result};
use crate::base::process::{Environment, Failed};

/// What is compiled.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    /// The package.
    pub package: &'a Package,
    /// The target, always explicit: flags then never reach build scripts and macros.
    pub target: &'a str,
    /// How.
    pub settings: &'a CompileSettings,
    /// With what.
    pub method: &'a Method,
    /// All binaries that the images of these settings carry.
    pub binaries: BTreeSet<String>,
    /// Seconds since 1970 that build scripts shall take for now.
    pub source_date_epoch: u64,
}

/// What cargo has made.
#[derive(Clone, Debug, Default)]
pub struct Compiled {
    /// The executables by name.
    pub executables: BTreeMap<String, PathBuf>,
    /// `OUT_DIR` of the package's own build script.
    out_dir: Option<PathBuf>,
    /// Every build script that was run: its package and its `OUT_DIR`.
    pub(super) build_scripts: Vec<(String, PathBuf)>,
    /// Every library that was made or is fresh, and the package of each.
    pub(super) libraries: Vec<(String, PathBuf)>,
}

impl Compiled {
    /// The file that the package's build script generated from the hand-over, when there is one.
    pub fn generated_file(&self) -> Option<PathBuf> {
        let file = self.out_dir.as_ref()?.join("union_images.rs");
        file.is_file().then_some(file)
    }
}

/// Runs cargo.
///
/// # Errors
/// `CompileFailed`, with the process's [`Failed`] as its cause; `Interrupted`, `ArtifactMissing`,
/// `ToolMissing`.
pub async fn compile(snapshot: &Snapshot<'_>, job: &Job<'_>, workshop: &dyn Workshop, reporter: &dyn Reporter) -> Result<Compiled> {
    let workspace = snapshot.workspace;
    for outside in &snapshot.outside {
        let (name, folder) = (&outside.name, outside.folder.display());
        reporter.note(&format!("`{name}` at `{folder}` is outside of the workspace: equal bytes in another checkout are not promised"));
    }
    reporter.compiling(&job.package.name, job.target);
    let call = Call {
        program: snapshot.cargo.program.clone(),
        folder: workspace.root.clone(),
        environment: environment(snapshot, job).await?,
        arguments: arguments(snapshot, job),
    };
    let mut compiled = Compiled::default();
    let began = SystemTime::now();
    let ended = workshop.cargo(&call, &mut |line| compiled.read(line, &job.package.id)).await?;
    ended.map_err(|failed| failure(failed, job, || LinkFailure::of(snapshot, job, began)))?;
    if let Some(missing) = job.binaries.iter().find(|name| !compiled.executables.contains_key(*name)) {
        return Err(Error::new(Code::ArtifactMissing, format!("cargo did not produce the binary `{missing}` of `{}`", job.package.name)));
    }
    compiled.executables.retain(|name, _| job.binaries.contains(name));
    Ok(compiled)
}

async fn environment(snapshot: &Snapshot<'_>, job: &Job<'_>) -> Result<Environment> {
    let (cargo, config) = (snapshot.cargo, &snapshot.config);
    let mut environment = cargo.environment.clone();
    let mut flags = if config.has_cfg_rustflags() {
        let applies = snapshot.toolchain.cfg(cargo, &snapshot.workspace.root, job.target).await?;
        config.rustflags(&environment, job.target, applies)
    } else {
        config.rustflags(&environment, job.target, |_| false)
    };
    flags.extend(snapshot.own_rustflags(job.target, job.settings.linkage));
    environment.set("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    environment.set("SOURCE_DATE_EPOCH", job.source_date_epoch.to_string());
    // Relative ones would be read from another folder than the user's, here and in build scripts.
    environment.set("CARGO_TARGET_DIR", &snapshot.workspace.target_directory);
    if let (Method::Host, Linker::Cross(program)) = (job.method, snapshot.linker(job.target)) {
        environment.set(linker_variable(job.target), program);
    }
    for (name, value) in &job.settings.env {
        environment.set(name, value);
    }
    Ok(environment)
}

fn arguments(snapshot: &Snapshot<'_>, job: &Job<'_>) -> Vec<OsString> {
    let (settings, profile) = (job.settings, &job.settings.profile);
    let mut arguments: Vec<OsString> = Vec::new();
    let mut add = |flag: &str, value: &str| arguments.extend([OsString::from(flag), value.into()]);
    // By id: a name could also be a dependency's, and a manifest path could mean default members.
    add("--package", &job.package.id);
    add("--target", &job.method.target(job.target));
    add("--profile", profile);
    job.binaries.iter().for_each(|name| add("--bin", name));
    settings.features.iter().for_each(|feature| add("--features", feature));
    let sets_strip = snapshot.config.profile_sets(&snapshot.root_manifest, &snapshot.cargo.environment, profile, "strip");
    if !sets_strip {
        add("--config", &format!("profile.{profile}.strip=\"symbols\""));
    }
    if !settings.default_features {
        arguments.push("--no-default-features".into());
    }
    arguments.push("--message-format=json-render-diagnostics".into());
    let target = snapshot.cargo.target_dir.as_ref().unwrap_or(&snapshot.workspace.target_directory);
    let mut all = vec![job.method.subcommand().into()];
    all.extend(snapshot.cargo.compile_flags(job.method.folder(target).as_deref()));
    all.extend(arguments);
    all
}

impl Compiled {
    fn read(&mut self, line: &str, package: &str) {
        // Lines of programs that cargo starts may stand between its own.
        match serde_json::from_str(line) {
            Ok(Message::CompilerArtifact(artifact)) => self.add_artifact(artifact, package),
            Ok(Message::BuildScriptExecuted(BuildScript { package_id, out_dir, .. })) => {
                let out_dir = out_dir.into_std_path_buf();
                if package_id.repr == package {
                    self.out_dir = Some(out_dir.clone());
                }
                self.build_scripts.push((package_id.repr, out_dir));
            }
            _ => {}
        }
    }

    fn add_artifact(&mut self, artifact: Artifact, package: &str) {
        let is_binary = artifact.target.kind.contains(&TargetKind::Bin);
        match artifact.executable {
            Some(path) if is_binary && artifact.package_id.repr == package => {
                self.executables.insert(artifact.target.name, path.into_std_path_buf());
            }
            _ => {
                let is_library = |path: &&cargo_metadata::camino::Utf8PathBuf| path.extension() == Some("rlib");
                let library = artifact.filenames.iter().find(is_library);
                self.libraries.extend(library.map(|path| (artifact.package_id.repr, path.clone().into_std_path_buf())));
            }
        }
    }
}

/// An error with advice that fits what failed.
fn failure(failed: Failed, job: &Job<'_>, linking: impl FnOnce() -> Option<LinkFailure>) -> Error {
    const SIGINT: i32 = 2;
    const SIGTERM: i32 = 15;
    let what = format!("`{}` for {}", job.package.name, job.target);
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

/// The compiler's own notes about a library: `libhelper-1a2b.rlib` has `helper-1a2b.d` beside it.
pub(super) fn notes_of_library(library: &Path) -> Option<PathBuf> {
    let stem = library.file_stem()?.to_str()?;
    Some(library.with_file_name(format!("{}.d", stem.strip_prefix("lib").unwrap_or(stem))))
}
