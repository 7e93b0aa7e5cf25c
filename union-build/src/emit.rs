//! The work of the build script: finds the hand-over file, writes the generated file, and prints the files that cargo
//! watches.
//!
//! Only this module prints `cargo::` lines. It never uses the network, and on a fresh clone it
//! requires nothing but cargo.
#![allow(
    clippy::print_stdout,
    reason = "cargo reads a build script's instructions from its standard output"
)]

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::handover::{self, References};
use declarations::DeclaredImages;

mod constants;
pub(crate) mod declarations;

/// Writes `union_images.rs` into `OUT_DIR`. Call it from `build.rs`.
///
/// Problems are reported as `cargo::error`, which fails the build.
pub fn emit() -> EmitOutput {
    try_emit().unwrap_or_else(|problem| {
        report_error(&problem);
        EmitOutput { unresolved: None }
    })
}

/// The result of [`emit`].
#[derive(Clone, Debug)]
pub struct EmitOutput {
    /// Why an image is not resolved, with advice.
    unresolved: Option<String>,
}

impl EmitOutput {
    /// Fails the build when an image of the package is not resolved.
    pub fn require_resolved(self) {
        if let Some(problem) = self.unresolved {
            report_error(&problem);
        }
    }
}

/// The environment variables that cargo sets for a build script.
struct EmitPackage {
    name: String,
    directory: PathBuf,
    out: PathBuf,
    cargo: std::ffi::OsString,
}

impl EmitPackage {
    fn from_env() -> Result<Self, String> {
        let variable = |name: &str| {
            std::env::var_os(name)
                .ok_or_else(|| format!("union_build::emit() is for build.rs: `{name}` is not set"))
        };
        Ok(Self {
            name: variable("CARGO_PKG_NAME")?.to_string_lossy().into_owned(),
            directory: variable("CARGO_MANIFEST_DIR")?.into(),
            out: variable("OUT_DIR")?.into(),
            cargo: variable("CARGO")?,
        })
    }

    fn manifest(&self) -> PathBuf {
        self.directory.join("Cargo.toml")
    }

    /// Whether cargo unpacked it from a registry, a git repository or a vendor directory: then it is not
    /// edited, and its target directory is not the one of the build.
    fn unpacked(&self) -> bool {
        self.vendored()
            || self
                .directory
                .ancestors()
                .any(|directory| directory.join(".cargo-ok").exists())
    }

    fn vendored(&self) -> bool {
        self.directory.join(".cargo-checksum.json").exists()
    }
}

fn try_emit() -> Result<EmitOutput, String> {
    let package = EmitPackage::from_env()?;
    let metadata = if package.vendored() {
        vendored_metadata(&package)?
    } else {
        handover::metadata(&package.cargo, &package.manifest())?
    };
    let declared = DeclaredImages::of(&metadata, &package.name);
    let references = if package.unpacked() {
        None
    } else {
        read_references(&package, &metadata)?
    };
    let source = constants::render(&declared, references.as_ref())?;
    write_if_changed(&package.out.join("union_images.rs"), &source)?;

    let missing = declared.unresolved(references.as_ref());
    if missing.is_empty() {
        return Ok(EmitOutput { unresolved: None });
    }
    let problem = format!(
        "the images of `{}` are not resolved yet: {}",
        package.name,
        missing.join(", ")
    );
    if package.unpacked() {
        let reason = "cargo has unpacked this package, so its images cannot be resolved";
        return Ok(EmitOutput {
            unresolved: Some(format!("{problem}; {reason}")),
        });
    }
    let help = if declared.takes_part {
        format!("run `cargo union build -p {}`", package.name)
    } else {
        format!(
            "add `[package.metadata.union]` to {}",
            package.manifest().display()
        )
    };
    let problem = format!("{problem}; {help}");
    println!("cargo::warning={}", one_line(&problem));
    Ok(EmitOutput {
        unresolved: Some(problem),
    })
}

/// Reads the hand-over file, and makes cargo watch it and the manifests.
fn read_references(
    package: &EmitPackage,
    metadata: &serde_json::Value,
) -> Result<Option<References>, String> {
    let path_of = |key: &str| {
        metadata
            .get(key)
            .and_then(serde_json::Value::as_str)
            .map(PathBuf::from)
    };
    let target = path_of("target_directory").ok_or("cargo names no target directory")?;
    rerun_if_changed(&package.manifest());
    if let Some(root) = path_of("workspace_root").filter(|root| *root != package.directory) {
        rerun_if_changed(&root.join("Cargo.toml"));
    }
    let path = handover::path(&target, &package.name, &package.directory);
    // Watching a file that does not exist would compile the crate every time. Where it cannot be
    // created, as below a read-only directory, the crate is compiled without references.
    if !exists_or_created(&path) {
        return Ok(None);
    }
    rerun_if_changed(&path);
    let text = fs::read_to_string(&path).map_err(|error| {
        format!(
            "the hand-over file {} cannot be read: {error}",
            path.display()
        )
    })?;
    References::from_json(&text).map_err(|error| {
        let help = format!("remove it, or run `cargo union build -p {}`", package.name);
        format!(
            "the hand-over file {} is not valid: {error}; {help}",
            path.display()
        )
    })
}

fn exists_or_created(path: &Path) -> bool {
    if let Some(directory) = path.parent() {
        // If this fails, creating the file fails too.
        let _ = fs::create_dir_all(directory);
    }
    match File::create_new(path) {
        Ok(file) => {
            // Older than any build: a current time would cause one more compile. On a file system that
            // does not support this, that compile is the only cost.
            let _ = file.set_modified(SystemTime::UNIX_EPOCH);
            true
        }
        Err(error) => error.kind() == ErrorKind::AlreadyExists,
    }
}

/// `cargo metadata` fails for a vendored package in place, because cargo finds the surrounding workspace, of which the
/// package is not a member. So it is run for a copy of the manifest that is a workspace of its own, with empty files
/// for the targets that older versions of cargo find by their path.
fn vendored_metadata(package: &EmitPackage) -> Result<serde_json::Value, String> {
    let directory = package.out.join("union_manifest");
    let copy = directory.join("Cargo.toml");
    let text = fs::read_to_string(package.manifest())
        .map_err(|error| format!("{} cannot be read: {error}", package.manifest().display()))?;
    fs::create_dir_all(directory.join("src"))
        .map_err(|error| format!("{} cannot be created: {error}", directory.display()))?;
    for target in ["src/lib.rs", "src/main.rs"] {
        if package.directory.join(target).exists() {
            write_if_changed(&directory.join(target), "")?;
        }
    }
    write_if_changed(&copy, &format!("{text}\n[workspace]\n"))?;
    handover::metadata(&package.cargo, &copy)
}

/// Writes a file only when its content changes, so that its timestamp causes no recompile.
fn write_if_changed(path: &Path, text: &str) -> Result<(), String> {
    if fs::read(path).is_ok_and(|before| before == text.as_bytes()) {
        return Ok(());
    }
    fs::write(path, text).map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

fn rerun_if_changed(path: &Path) {
    println!("cargo::rerun-if-changed={}", path.display());
}

/// cargo shows the text, and fails the build when the script has ended.
fn report_error(problem: &str) {
    println!("cargo::error={}", one_line(problem));
}

/// An instruction to cargo is one line.
fn one_line(text: &str) -> String {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("; ")
}
