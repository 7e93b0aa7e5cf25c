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

use cargo_metadata::{Artifact, BuildScript, Message, TargetKind};
use union_build::diag::Code;

use super::{Call, CompileSettings, Linkage, Method, Package, Reporter, Snapshot, Workshop};
use crate::base::error::{Error, Result};
use crate::base::fs;
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
    /// Where cargo puts executables, and what it links them from.
    folders: (PathBuf, PathBuf),
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
    let mut compiled = Compiled { folders: snapshot.folders(job.method), ..Compiled::default() };
    let ended = workshop.cargo(&call, &mut |line| compiled.read(line, &job.package.id)).await?;
    ended.map_err(|failed| failure(failed, job))?;
    if let Some(missing) = job.binaries.iter().find(|name| !compiled.executables.contains_key(*name)) {
        return Err(Error::new(Code::ArtifactMissing, format!("cargo did not produce the binary `{missing}` of `{}`", job.package.name)));
    }
    compiled.executables.retain(|name, _| job.binaries.contains(name));
    Ok(compiled)
}

async fn environment(snapshot: &Snapshot<'_>, job: &Job<'_>) -> Result<Environment> {
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
    if let Some(folder) = snapshot.build_folder(job.method) {
        environment.set("CARGO_BUILD_BUILD_DIR", folder);
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
    if !settings.default_features {
        arguments.push("--no-default-features".into());
    }
    arguments.push("--message-format=json-render-diagnostics".into());
    let mut all = vec![job.method.subcommand().into()];
    all.extend(snapshot.cargo.compile_flags(job.method.folder(snapshot.target_folder()).as_deref()));
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

fn failure(failed: Failed, job: &Job<'_>) -> Error {
    const SIGINT: i32 = 2;
    const SIGTERM: i32 = 15;
    let what = format!("`{}` for {}", job.package.name, job.target);
    if matches!(failed.signal, Some(SIGINT | SIGTERM)) {
        return Error::new(Code::Interrupted, format!("the compile of {what} was interrupted")).because(failed);
    }
    let error = Error::new(Code::CompileFailed, format!("could not compile {what}")).because(failed);
    match job.settings.linkage {
        Linkage::Dynamic => error,
        Linkage::Static => error.help("Correct what cargo reports. It was linked statically: a library that has no static form needs `link = \"dynamic\"` and a base image."),
    }
}

impl Snapshot<'_> {
    /// Where cargo puts what the user asked for.
    fn target_folder(&self) -> &Path {
        self.cargo.target_dir.as_ref().unwrap_or(&self.workspace.target_directory)
    }

    /// Where cargo puts what lies between, when that is not below the target folder. What one method has made is
    /// nothing for another.
    fn build_folder(&self, method: &Method) -> Option<PathBuf> {
        let folder = &self.workspace.build_directory;
        (*folder != self.workspace.target_directory).then(|| method.folder(folder).unwrap_or_else(|| folder.clone()))
    }

    fn folders(&self, method: &Method) -> (PathBuf, PathBuf) {
        let target = self.target_folder();
        let target = method.folder(target).unwrap_or_else(|| target.to_owned());
        (target.clone(), self.build_folder(method).unwrap_or(target))
    }
}

/// The compiler's own notes about a library: `libhelper-1a2b.rlib` has `helper-1a2b.d` beside it.
pub(super) fn notes_of_library(library: &Path) -> Option<PathBuf> {
    let stem = library.file_stem()?.to_str()?;
    Some(library.with_file_name(format!("{}.d", stem.strip_prefix("lib").unwrap_or(stem))))
}

impl Compiled {
    /// The compiler's own notes about an executable, which stand beside the file that cargo linked it from.
    pub(super) fn notes_of_binary(&self, executable: &Path) -> Option<PathBuf> {
        let prefix = format!("{}-", executable.file_name()?.to_str()?.replace('-', "_"));
        let (target, build) = &self.folders;
        let profile = executable.parent()?;
        let linked = profile.strip_prefix(target).map_or_else(|_| profile.to_owned(), |below| build.join(below)).join("deps");
        let candidate =
            |path: &PathBuf| path.extension().is_none() && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix));
        let entries = std::fs::read_dir(linked).ok()?;
        let candidates: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(candidate).collect();
        let found = candidates.iter().find(|path| is_same_file(path, executable));
        // Where no link can be made, on another disk, cargo copies.
        let found = found.or_else(|| candidates.iter().find(|path| is_equal_file(path, executable)))?;
        Some(found.with_extension("d"))
    }
}

#[cfg(unix)]
fn is_same_file(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let identity = |path: &Path| std::fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
    identity(a).is_some() && identity(a) == identity(b)
}

#[cfg(not(unix))]
fn is_same_file(_: &Path, _: &Path) -> bool {
    false
}

fn is_equal_file(a: &Path, b: &Path) -> bool {
    let size = |path: &Path| std::fs::metadata(path).map(|file| file.len()).ok();
    let hash = |path: &Path| fs::measure(path).map(|measured| measured.hash).ok();
    size(a).is_some() && size(a) == size(b) && hash(a).is_some() && hash(a) == hash(b)
}
