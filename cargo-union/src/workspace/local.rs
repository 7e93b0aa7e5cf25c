//! Cargo.lock kept fit, and the path dependencies outside of the workspace that it names.

use std::collections::BTreeSet;
use std::path::PathBuf;

use toml::Table;
use union_build::diag::Code;

use super::config::CargoConfig;
use super::lockfile::Lockfile;
use super::metadata::outside_package;
use super::{Cargo, DependencyKind, Reporter, Workspace, WorkspacePackage, manifest};
use crate::sys::error::{Error, Result};
use crate::sys::fs;

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

/// Where packages outside of the workspace may be, besides where members say.
pub(super) struct NamedPaths {
    /// Folders that `[patch]` and `[replace]` name.
    patched: Vec<PathBuf>,
    /// Packages that cargo's configuration puts in the place of others.
    overriding: Vec<WorkspacePackage>,
}

impl NamedPaths {
    pub(super) fn of(root: &Table, config: &CargoConfig, overriding: Vec<WorkspacePackage>) -> Self {
        let mut patched = manifest::patched_folders(root);
        patched.extend(config.patched_folders());
        Self { patched, overriding }
    }
}

/// The packages in the folders of `paths` in cargo's configuration that stand for packages of Cargo.lock, which is told so:
/// they are on this disk, whatever the file says.
///
/// # Errors
/// What asking cargo about them ends with.
pub(super) async fn overriding_packages(
    cargo: &Cargo,
    workspace: &Workspace,
    config: &CargoConfig,
    lockfile: &mut Lockfile,
) -> Result<Vec<WorkspacePackage>> {
    let mut packages = Vec::new();
    let mut open: Vec<(PathBuf, usize)> = config.overriding_folders().into_iter().map(|folder| (folder, 0)).collect();
    let mut asked = BTreeSet::new();
    while let Some((folder, depth)) = open.pop() {
        if !asked.insert(folder.clone()) {
            continue;
        }
        if let Some(package) = outside_package(cargo, &workspace.root, &folder).await?
            && lockfile.take_from_disk(&package.name)
        {
            packages.push(package);
        }
        // cargo looks below as well. Nobody nests packages deeper than this.
        const DEEPEST: usize = 8;
        let below = folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
        let is_looked_into = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().as_encoded_bytes();
            depth < DEEPEST && path.is_dir() && !name.starts_with(b".") && name != b"target"
        };
        open.extend(below.filter(is_looked_into).map(|path| (path, depth + 1)));
    }
    Ok(packages)
}

/// The packages outside of the workspace that Cargo.lock takes from this disk.
///
/// # Errors
/// What asking cargo about them ends with.
pub(super) async fn outside_packages(
    cargo: &Cargo,
    workspace: &Workspace,
    named: NamedPaths,
    lockfile: &Lockfile,
) -> Result<Vec<WorkspacePackage>> {
    let NamedPaths { patched, overriding: mut packages } = named;
    let is_member = |name: &str| workspace.package(name).is_some();
    let missing: BTreeSet<&str> = lockfile.local().map(|entry| entry.name.as_str()).filter(|name| !is_member(name)).collect();
    if missing.is_empty() {
        return Ok(packages);
    }
    let by_path = |package: &WorkspacePackage| -> Vec<PathBuf> {
        let wanted = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind != DependencyKind::Dev && missing.contains(dependency.name.as_str()));
        wanted.filter_map(|dependency| dependency.path.clone()).collect()
    };
    let absolute = |path: &PathBuf| fs::absolute(&workspace.root, path);
    let mut open: Vec<PathBuf> = patched.iter().map(absolute).collect();
    open.extend(workspace.packages.iter().chain(&packages).flat_map(by_path));
    let known = workspace.packages.iter().chain(&packages);
    let mut asked: BTreeSet<PathBuf> = known.map(|package| package.folder.clone()).collect();
    while let Some(folder) = open.pop() {
        if asked.insert(folder.clone())
            && let Some(package) = outside_package(cargo, &workspace.root, &folder).await?
        {
            open.extend(by_path(&package));
            packages.push(package);
        }
    }
    packages.sort_by(|a, b| a.folder.cmp(&b.folder));
    Ok(packages)
}
