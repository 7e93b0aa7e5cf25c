//! After the compile: did the compiler read only what the key holds?

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use union_build::diag::Code;

use super::compile::{Compiled, notes_of_library};
use super::sources::relative;
use super::{CodeInputs, Package, Snapshot, depinfo};
use crate::base::error::{Error, Result};
use crate::base::fs;

/// What is to be said about a compile that is otherwise in order.
#[derive(Debug, Default)]
pub struct Findings {
    /// Variables that reached the code and are not in the key, as `EnvNotCovered`.
    pub warnings: Vec<Error>,
    /// Files outside of the workspace that the compiler read.
    pub outside: Vec<PathBuf>,
}

/// Compares what was read for an image's binaries with what its key holds.
///
/// # Errors
/// `InputNotCovered`, with the line to add; `FileUnreadable`.
pub fn uncovered(snapshot: &Snapshot<'_>, package: &Package, inputs: &CodeInputs, compiled: &Compiled) -> Result<Findings> {
    let read = read_files(snapshot, inputs, compiled)?;
    let mut covered = inputs.files.clone();
    covered.extend(inputs.folders.iter().map(|folder| folder.join("Cargo.toml")));
    covered.extend(["Cargo.toml", "Cargo.lock"].map(|name| snapshot.workspace.root.join(name)));
    let missing: Vec<PathBuf> = read.into_iter().filter(|file| !covered.contains(file)).collect();
    // A link may have given a file a second name.
    let real = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone());
    let real_covered: BTreeSet<PathBuf> = if missing.is_empty() { BTreeSet::new() } else { covered.iter().map(real).collect() };
    let missing = missing.into_iter().filter(|file| !real_covered.contains(&real(file)));
    let is_ours =
        |file: &PathBuf| file.starts_with(&snapshot.workspace.root) || inputs.folders.iter().any(|folder| file.starts_with(folder));
    let (ours, outside): (Vec<PathBuf>, Vec<PathBuf>) = missing.partition(is_ours);
    if !ours.is_empty() {
        return Err(not_covered(package, inputs, &ours)?);
    }
    Ok(Findings { warnings: watched(snapshot, inputs, compiled)?, outside })
}

/// Every file that cargo names as read for the image's executables, less what is nobody's input. A
/// folder, which only a build script can watch, stands for all files in it.
fn read_files(snapshot: &Snapshot<'_>, inputs: &CodeInputs, compiled: &Compiled) -> Result<BTreeSet<PathBuf>> {
    let exempt = snapshot.not_inputs();
    // cargo writes relative paths when it was told from where.
    let base = snapshot.config.program(&["build", "dep-info-basedir"]).unwrap_or_else(|| snapshot.workspace.root.clone());
    let mut files = BTreeSet::new();
    for (_, executable) in compiled.executables.iter().filter(|(name, _)| inputs.binaries.contains(*name)) {
        for file in depinfo::files(&fs::read_to_string(&executable.with_extension("d"))?) {
            let path = fs::absolute(&base, Path::new(&file));
            if exempt.iter().any(|folder| path.starts_with(folder)) {
                continue;
            }
            if path.is_dir() {
                files.extend(snapshot.sources.below(&path)?.iter().cloned());
            } else if path.exists() {
                files.insert(path);
            }
        }
    }
    Ok(files)
}

fn not_covered(package: &Package, inputs: &CodeInputs, files: &[PathBuf]) -> Result<Error> {
    let names = files.iter().map(|file| relative(&package.folder, file)).collect::<Result<Vec<_>>>()?;
    let list = |quote: char| names.iter().map(|name| format!("{quote}{name}{quote}")).collect::<Vec<_>>().join(", ");
    let error =
        Error::new(Code::InputNotCovered, format!("the code of `{}` contains {}, which the key does not cover", package.name, list('`')));
    Ok(if files.iter().any(|file| inputs.excluded.has(file)) {
        error.help("It is left out by `exclude`: narrow the pattern.")
    } else {
        error.help(format!("Add `inputs = [{}]` to the image in `{}`.", list('"'), package.manifest.path.display()))
    })
}

/// Variables that are set, that a build script watches or code embeds, and that the key lacks.
fn watched(snapshot: &Snapshot<'_>, inputs: &CodeInputs, compiled: &Compiled) -> Result<Vec<Error>> {
    let environment = &snapshot.cargo.environment;
    let matters = |name: &str| environment.has(name) && !is_cargo_s_own(name) && !inputs.variables.contains(name);
    let mut found: BTreeMap<String, (String, &str)> = BTreeMap::new();
    for (package, out_dir) in &compiled.build_scripts {
        let output = out_dir.parent().map(|folder| fs::read_if_exists(&folder.join("output"))).transpose()?.flatten().unwrap_or_default();
        for name in depinfo::watched(&output).filter(|name| matters(name)) {
            found.entry(name.to_owned()).or_insert_with(|| (short_name(package), "the build script of"));
        }
    }
    let libraries = compiled.libraries.iter().filter_map(|(package, path)| Some((short_name(package), notes_of_library(path)?)));
    let binaries = compiled.executables.iter().filter(|(name, _)| inputs.binaries.contains(*name));
    let binaries = binaries.filter_map(|(name, path)| Some((name.clone(), compiled.notes_of_binary(path)?)));
    for (package, notes) in libraries.chain(binaries) {
        let text = fs::read_if_exists(&notes)?.unwrap_or_default();
        for name in depinfo::variables(&text).filter(|name| matters(name)) {
            found.entry(name.to_owned()).or_insert_with(|| (package.clone(), "the code of"));
        }
    }
    let warning = |(name, (package, who)): (String, (String, &str))| {
        let tried = format!("{who} `{package}` depends on the variable `{name}`, which is set and which the key does not hold");
        Error::new(Code::EnvNotCovered, tried).help(format!("Set `{name}` under `build.env`, or unset it."))
    };
    Ok(found.into_iter().map(warning).collect())
}

/// Variables that cargo sets for what it runs, and those that belong to the machine.
fn is_cargo_s_own(name: &str) -> bool {
    const OWN: &[&str] = &[
        "DEBUG",
        "HOME",
        "HOST",
        "NUM_JOBS",
        "OPT_LEVEL",
        "OUT_DIR",
        "PATH",
        "PROFILE",
        "RUSTC",
        "RUSTC_LINKER",
        "RUSTDOC",
        "SOURCE_DATE_EPOCH",
        "TARGET",
    ];
    name == "CARGO" || name.starts_with("CARGO_") || name.starts_with("DEP_") || OWN.contains(&name)
}

/// `helper` of `path+file:///ws/helper#0.1.0` and of `registry+https://…#helper@0.1.0`.
fn short_name(id: &str) -> String {
    let (place, fragment) = id.split_once('#').unwrap_or(("", id));
    match fragment.split_once('@') {
        Some((name, _)) => name.to_owned(),
        None => place.rsplit('/').next().unwrap_or(fragment).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_called_by_its_name() {
        for (id, name) in [
            ("path+file:///ws/helper#0.1.0", "helper"),
            ("path+file:///ws/folder#helper@0.1.0", "helper"),
            ("registry+https://example.com/index#serde@1.0.0", "serde"),
        ] {
            assert_eq!(short_name(id), name);
        }
    }

    #[test]
    fn what_cargo_sets_itself_is_nobody_s_input() {
        assert!(["OUT_DIR", "CARGO_PKG_VERSION", "DEP_Z_ROOT", "CARGO"].iter().all(|name| is_cargo_s_own(name)));
        assert!(!["OPENSSL_DIR", "CC", "CARGOES"].iter().any(|name| is_cargo_s_own(name)));
    }
}
