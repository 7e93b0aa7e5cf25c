//! Updates Cargo.lock where needed, and finds the path dependencies outside of the workspace that it names.

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

/// Reads Cargo.lock. Without `--locked`, a missing file is created and an outdated one is updated first, as
/// `cargo build` would do: the key depends on it before cargo is run.
///
/// # Errors
/// `LockfileMissing`, `FileUnreadable`.
pub(super) async fn read_lockfile(
    cargo: &Cargo,
    workspace: &Workspace,
    reporter: &dyn Reporter,
) -> Result<Lockfile> {
    let path = workspace.root.join("Cargo.lock");
    let reason = match fs::read_if_exists(&path)? {
        Some(text) => {
            let lockfile = Lockfile::parse(&path, &text)?;
            match workspace
                .packages
                .iter()
                .find_map(|member| lockfile.mismatch(member))
            {
                // With `--locked`, cargo itself reports the mismatch.
                Some(mismatch) if !cargo.is_locked() => {
                    format!("Cargo.lock was updated: {mismatch}")
                }
                _ => return Ok(lockfile),
            }
        }
        None if cargo.is_locked() => {
            let error = Error::new(
                Code::LockfileMissing,
                format!(
                    "`{}` does not exist, and `--locked` forbids creating it",
                    path.display()
                ),
            );
            return Err(error.help(
                "Run `cargo generate-lockfile`, commit the file, or run without `--locked`.",
            ));
        }
        None => "created Cargo.lock; commit it".to_owned(),
    };
    let mut command = cargo.command(&workspace.root, &cargo.environment);
    command.args(["update", "--workspace", "--quiet", "--color", "never"]);
    command.args(cargo.is_offline().then_some("--offline"));
    command.output().await?.success().map_err(|failed| {
        Error::new(
            Code::LockfileMissing,
            format!("could not update `{}`", path.display()),
        )
        .because(failed)
    })?;
    reporter.note(&reason);
    Lockfile::parse(&path, &fs::read_to_string(&path)?)
}

/// Where packages outside of the workspace may be, besides the paths in the members' manifests.
pub(super) struct NamedPaths {
    /// Directories in `[patch]` and `[replace]`.
    patched: Vec<PathBuf>,
    /// Packages of `paths` in cargo's configuration.
    overriding: Vec<WorkspacePackage>,
}

impl NamedPaths {
    pub(super) fn new(
        root: &Table,
        config: &CargoConfig,
        overriding: Vec<WorkspacePackage>,
    ) -> Self {
        let mut patched = manifest::patched_directories(root);
        patched.extend(config.patched_directories());
        Self {
            patched,
            overriding,
        }
    }
}

/// The packages in the directories of `paths` in cargo's configuration, which override packages of Cargo.lock. Marks
/// those entries of `lockfile` as local.
///
/// # Errors
/// `WorkspaceInvalid`, `ToolMissing`, `FileUnreadable`, when cargo cannot describe a package.
pub(super) async fn overriding_packages(
    cargo: &Cargo,
    workspace: &Workspace,
    config: &CargoConfig,
    lockfile: &mut Lockfile,
) -> Result<Vec<WorkspacePackage>> {
    let mut packages = Vec::new();
    let mut pending: Vec<(PathBuf, usize)> = config
        .overriding_directories()
        .into_iter()
        .map(|directory| (directory, 0))
        .collect();
    let mut visited = BTreeSet::new();
    while let Some((directory, depth)) = pending.pop() {
        if !visited.insert(directory.clone()) {
            continue;
        }
        if let Some(package) = outside_package(cargo, &workspace.root, &directory).await?
            && lockfile.override_package(&package.name)
        {
            packages.push(package);
        }
        // cargo searches subdirectories as well, without a limit.
        const MAX_DEPTH: usize = 8;
        let children = directory
            .read_dir()
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path());
        let is_searched = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().as_encoded_bytes();
            depth < MAX_DEPTH && path.is_dir() && !name.starts_with(b".") && name != b"target"
        };
        pending.extend(children.filter(is_searched).map(|path| (path, depth + 1)));
    }
    Ok(packages)
}

/// The packages outside of the workspace that are local in Cargo.lock.
///
/// # Errors
/// `WorkspaceInvalid`, `ToolMissing`, `FileUnreadable`, when cargo cannot describe a package.
pub(super) async fn outside_packages(
    cargo: &Cargo,
    workspace: &Workspace,
    named: NamedPaths,
    lockfile: &Lockfile,
) -> Result<Vec<WorkspacePackage>> {
    let NamedPaths {
        patched,
        overriding: mut packages,
    } = named;
    let is_member = |name: &str| workspace.package(name).is_some();
    let missing: BTreeSet<&str> = lockfile
        .local()
        .map(|entry| entry.name.as_str())
        .filter(|name| !is_member(name))
        .collect();
    if missing.is_empty() {
        return Ok(packages);
    }
    let path_dependencies = |package: &WorkspacePackage| -> Vec<PathBuf> {
        let dependencies = package.dependencies.iter().filter(|dependency| {
            dependency.kind != DependencyKind::Dev && missing.contains(dependency.name.as_str())
        });
        dependencies
            .filter_map(|dependency| dependency.path.clone())
            .collect()
    };
    let absolute = |path: &PathBuf| fs::absolute(&workspace.root, path);
    let mut pending: Vec<PathBuf> = patched.iter().map(absolute).collect();
    pending.extend(
        workspace
            .packages
            .iter()
            .chain(&packages)
            .flat_map(path_dependencies),
    );
    let known = workspace.packages.iter().chain(&packages);
    let mut visited: BTreeSet<PathBuf> = known.map(|package| package.directory.clone()).collect();
    while let Some(directory) = pending.pop() {
        if visited.insert(directory.clone())
            && let Some(package) = outside_package(cargo, &workspace.root, &directory).await?
        {
            pending.extend(path_dependencies(&package));
            packages.push(package);
        }
    }
    packages.sort_by(|a, b| a.directory.cmp(&b.directory));
    Ok(packages)
}
