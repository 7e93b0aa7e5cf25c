//! Cargo.lock kept fit, and the path dependencies outside of the workspace that it names.

use std::collections::BTreeSet;
use std::path::PathBuf;

use toml::Table;
use union_build::diag::Code;

use super::lockfile::Lockfile;
use super::metadata::outside_package;
use super::{Cargo, DependencyKind, Package, Reporter, Workspace, manifest};
use crate::base::error::{Error, Result};
use crate::base::fs;

/// Reads Cargo.lock. Unless it is locked, a missing one is made and one that no longer fits is
/// brought up to date first, as `cargo build` would do: the key needs it before cargo is run.
///
/// # Errors
/// `LockfileMissing`, `FileUnreadable`.
pub(super) async fn lockfile(cargo: &Cargo, workspace: &Workspace, reporter: &dyn Reporter) -> Result<Lockfile> {
    let path = workspace.root.join("Cargo.lock");
    let why = match fs::read_if_exists(&path)? {
        Some(text) => {
            let lockfile = Lockfile::parse(&path, &text)?;
            match workspace.packages.iter().find_map(|member| lockfile.misfit(member)) {
                // When it is locked it is cargo's to say that it does not fit, in its own words.
                Some(misfit) if !cargo.is_locked() => format!("Cargo.lock was brought up to date: {misfit}"),
                _ => return Ok(lockfile),
            }
        }
        None if cargo.is_locked() => {
            let error = Error::new(Code::LockfileMissing, format!("`{}` does not exist and may not be made", path.display()));
            return Err(error.help("Run `cargo generate-lockfile`, commit the file, or run without `--locked`."));
        }
        None => "Cargo.lock was made; commit it".to_owned(),
    };
    let mut command = cargo.command(&workspace.root, &cargo.environment);
    command.args(["update", "--workspace", "--quiet", "--color", "never"]);
    command.args(cargo.is_offline().then_some("--offline"));
    command
        .output()
        .await?
        .success()
        .map_err(|failed| Error::new(Code::LockfileMissing, format!("could not bring `{}` up to date", path.display())).because(failed))?;
    reporter.note(&why);
    Lockfile::parse(&path, &fs::read_to_string(&path)?)
}

/// The packages outside of the workspace that Cargo.lock takes from this disk.
///
/// # Errors
/// What asking cargo about them ends with.
pub(super) async fn outside_packages(cargo: &Cargo, workspace: &Workspace, root: &Table, lockfile: &Lockfile) -> Result<Vec<Package>> {
    let is_member = |name: &str| workspace.package(name).is_some();
    let missing: BTreeSet<&str> = lockfile.local().map(|entry| entry.name.as_str()).filter(|name| !is_member(name)).collect();
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let named = |package: &Package| -> Vec<PathBuf> {
        let wanted = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind != DependencyKind::Dev && missing.contains(dependency.name.as_str()));
        wanted.filter_map(|dependency| dependency.path.clone()).collect()
    };
    let absolute = |path: &PathBuf| fs::absolute(&workspace.root, path);
    let mut open: Vec<PathBuf> = manifest::patched_folders(root).iter().map(absolute).collect();
    open.extend(workspace.packages.iter().flat_map(named));
    let mut asked: BTreeSet<PathBuf> = workspace.packages.iter().map(|package| package.folder.clone()).collect();
    let mut packages = Vec::new();
    while let Some(folder) = open.pop() {
        if asked.insert(folder.clone())
            && let Some(package) = outside_package(cargo, &workspace.root, &folder).await?
        {
            open.extend(named(&package));
            packages.push(package);
        }
    }
    packages.sort_by(|a, b| a.folder.cmp(&b.folder));
    Ok(packages)
}
