//! The build script's work: find the hand-over file, write the generated one, tell cargo what to watch.
//!
//! This is the only place that prints `cargo::` lines. It never touches the network, and on a fresh
//! clone it must work with cargo alone.
#![allow(clippy::print_stdout, reason = "cargo reads a build script's instructions from its standard output")]

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::handover::{self, References};
use declared::DeclaredImages;

pub(crate) mod declared;
mod generated;

/// Writes `union_images.rs` into `OUT_DIR`; to be called by a `build.rs`.
///
/// A problem is reported through cargo, which then fails the build.
pub fn emit() -> EmitOutput {
    run().unwrap_or_else(|problem| {
        fail(&problem);
        EmitOutput { unresolved: None }
    })
}

/// What [`emit`] has done.
#[derive(Clone, Debug)]
pub struct EmitOutput {
    /// Why something is not resolved, and what to do about it.
    unresolved: Option<String>,
}

impl EmitOutput {
    /// Fails the build when an image has no tag yet.
    pub fn require_resolved(self) {
        if let Some(problem) = self.unresolved {
            fail(&problem);
        }
    }
}

/// What cargo tells a build script.
struct EmitPackage {
    name: String,
    folder: PathBuf,
    out: PathBuf,
    cargo: std::ffi::OsString,
}

impl EmitPackage {
    fn from_env() -> Result<Self, String> {
        let variable =
            |name: &str| std::env::var_os(name).ok_or_else(|| format!("union_build::emit() is for build.rs: `{name}` is not set"));
        Ok(Self {
            name: variable("CARGO_PKG_NAME")?.to_string_lossy().into_owned(),
            folder: variable("CARGO_MANIFEST_DIR")?.into(),
            out: variable("OUT_DIR")?.into(),
            cargo: variable("CARGO")?,
        })
    }

    fn manifest(&self) -> PathBuf {
        self.folder.join("Cargo.toml")
    }

    /// Whether it was unpacked by cargo, from a registry, a git repository or a vendor folder: then
    /// nobody edits it, and its target folder is not that of the build.
    fn unpacked(&self) -> bool {
        self.vendored() || self.folder.ancestors().any(|folder| folder.join(".cargo-ok").exists())
    }

    fn vendored(&self) -> bool {
        self.folder.join(".cargo-checksum.json").exists()
    }
}

fn run() -> Result<EmitOutput, String> {
    let package = EmitPackage::from_env()?;
    let metadata = if package.vendored() { vendored_metadata(&package)? } else { handover::metadata(&package.cargo, &package.manifest())? };
    let declared = DeclaredImages::of(&metadata, &package.name);
    let references = if package.unpacked() { None } else { hand_over(&package, &metadata)? };
    let source = generated::source(&declared, references.as_ref())?;
    write_if_changed(&package.out.join("union_images.rs"), &source)?;

    let missing = declared.unresolved(references.as_ref());
    if missing.is_empty() {
        return Ok(EmitOutput { unresolved: None });
    }
    let problem = format!("the images of `{}` are not resolved yet: {}", package.name, missing.join(", "));
    if package.unpacked() {
        let why = "cargo has unpacked this package, so nothing can be resolved for it";
        return Ok(EmitOutput { unresolved: Some(format!("{problem}; {why}")) });
    }
    let cure = if declared.takes_part {
        format!("run `cargo union build -p {}`", package.name)
    } else {
        format!("add `[package.metadata.union]` to {}", package.manifest().display())
    };
    let problem = format!("{problem}; {cure}");
    println!("cargo::warning={}", one_line(&problem));
    Ok(EmitOutput { unresolved: Some(problem) })
}

/// Reads the hand-over file, and has cargo watch it and the manifests.
fn hand_over(package: &EmitPackage, metadata: &serde_json::Value) -> Result<Option<References>, String> {
    let folder_of = |key: &str| metadata.get(key).and_then(serde_json::Value::as_str).map(PathBuf::from);
    let target = folder_of("target_directory").ok_or("cargo names no target folder")?;
    watch(&package.manifest());
    if let Some(root) = folder_of("workspace_root").filter(|root| *root != package.folder) {
        watch(&root.join("Cargo.toml"));
    }
    let path = handover::path(&target, &package.name, &package.folder);
    // A file that is not there must not be watched, or the crate is compiled every time. When it cannot
    // be made, as below a read-only folder, the crate is compiled without references.
    if !exists_or_created(&path) {
        return Ok(None);
    }
    watch(&path);
    let text = fs::read_to_string(&path).map_err(|error| format!("the hand-over file {} cannot be read: {error}", path.display()))?;
    References::from_json(&text).map_err(|error| {
        let cure = format!("remove it, or run `cargo union build -p {}`", package.name);
        format!("the hand-over file {} is not valid: {error}; {cure}", path.display())
    })
}

fn exists_or_created(path: &Path) -> bool {
    if let Some(folder) = path.parent() {
        // When this fails, so does the next step.
        let _ = fs::create_dir_all(folder);
    }
    match File::create_new(path) {
        Ok(file) => {
            // Older than any build: an ordinary time would cost one more compile. Where a file system
            // cannot say so, that is all that it costs.
            let _ = file.set_modified(SystemTime::UNIX_EPOCH);
            true
        }
        Err(error) => error.kind() == ErrorKind::AlreadyExists,
    }
}

/// Cargo refuses to describe a vendored package where it stands, for it takes the surrounding
/// workspace for the package's own. So it describes a copy of the manifest that is its own workspace,
/// with empty files for the targets that older cargos leave to be found by their place.
fn vendored_metadata(package: &EmitPackage) -> Result<serde_json::Value, String> {
    let folder = package.out.join("union_manifest");
    let copy = folder.join("Cargo.toml");
    let text =
        fs::read_to_string(package.manifest()).map_err(|error| format!("{} cannot be read: {error}", package.manifest().display()))?;
    fs::create_dir_all(folder.join("src")).map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;
    for target in ["src/lib.rs", "src/main.rs"] {
        if package.folder.join(target).exists() {
            write_if_changed(&folder.join(target), "")?;
        }
    }
    write_if_changed(&copy, &format!("{text}\n[workspace]\n"))?;
    handover::metadata(&package.cargo, &copy)
}

/// Writes a file only when its content changes, so that nothing is compiled again for it.
fn write_if_changed(path: &Path, text: &str) -> Result<(), String> {
    if fs::read(path).is_ok_and(|before| before == text.as_bytes()) {
        return Ok(());
    }
    fs::write(path, text).map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

fn watch(path: &Path) {
    println!("cargo::rerun-if-changed={}", path.display());
}

/// Cargo shows the text and fails the build once the script has ended.
fn fail(problem: &str) {
    println!("cargo::error={}", one_line(problem));
}

/// An instruction ends with its line.
fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}
