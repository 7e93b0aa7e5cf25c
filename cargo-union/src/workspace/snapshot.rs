//! A snapshot of the workspace's files: everything that the keys of its packages share.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use toml::Table;

use super::code_inputs::SharedInputs;
use super::config::CargoConfig;
use super::lockfile::{LockedPackage, Lockfile};
use super::sources::SourceFiles;
use super::{
    Cargo, Reporter, Toolchain, Workspace, WorkspacePackage, local, manifest, written_files,
};
use crate::sys::cache::Cache;
use crate::sys::error::Result;

/// Cargo.lock, cargo's configuration and the toolchain are read at once; sources are hashed when needed and then
/// cached, so the inputs of fifty images cost little more than those of one.
#[derive(Debug)]
pub struct Snapshot<'a> {
    pub(super) workspace: &'a Workspace,
    pub(super) cargo: &'a Cargo,
    pub(super) toolchain: Toolchain,
    pub(super) config: CargoConfig,
    pub(super) lockfile: Lockfile,
    pub(super) root_manifest: Table,
    pub(super) outside: Vec<WorkspacePackage>,
    pub(super) sources: SourceFiles,
    /// Cached inputs by package id.
    pub(super) shared: Mutex<HashMap<String, Arc<SharedInputs>>>,
}

impl<'a> Snapshot<'a> {
    /// Reads what all packages share. Creates Cargo.lock when it is missing, unless cargo runs with `--locked`.
    ///
    /// # Errors
    /// `LockfileMissing`, `ManifestSyntax`, `WorkspaceInvalid`, `ToolMissing`, `FileUnreadable`.
    pub async fn take(
        cargo: &'a Cargo,
        workspace: &'a Workspace,
        cache: &Cache,
        reporter: &dyn Reporter,
    ) -> Result<Self> {
        let config = CargoConfig::load(cargo, &workspace.root)?;
        let root_manifest = manifest::parse(&workspace.root_manifest)?;
        let toolchain = Toolchain::find(cargo, &config, &workspace.root, cache).await?;
        let mut lockfile = local::read_lockfile(cargo, workspace, reporter).await?;
        let overriding =
            local::overriding_packages(cargo, workspace, &config, &mut lockfile).await?;
        let outside = local::outside_packages(
            cargo,
            workspace,
            local::NamedPaths::new(&root_manifest, &config, overriding),
            &lockfile,
        )
        .await?;
        let outputs = [
            Some(&workspace.target_directory),
            Some(&workspace.build_directory),
            cargo.target_dir.as_ref(),
        ];
        let written = written_files::list_untracked(workspace);
        let skipped = outputs
            .into_iter()
            .flatten()
            .chain(&cargo.written)
            .chain(&written)
            // An output directory may not exist yet.
            .map(|directory| {
                directory
                    .canonicalize()
                    .unwrap_or_else(|_| directory.clone())
            })
            .collect();
        Ok(Self {
            workspace,
            cargo,
            toolchain,
            config,
            lockfile,
            root_manifest,
            outside,
            sources: SourceFiles::new(skipped).with_cache(cache),
            shared: Mutex::default(),
        })
    }

    /// A snapshot for checks of this machine: its toolchain, linkers, and cargo's configuration. It has no packages of
    /// Cargo.lock, so it computes no keys. Writes nothing to the workspace.
    ///
    /// # Errors
    /// `ManifestSyntax`, `WorkspaceInvalid`, `ToolMissing`, `FileUnreadable`.
    pub async fn of_machine(
        cargo: &'a Cargo,
        workspace: &'a Workspace,
        cache: &Cache,
    ) -> Result<Self> {
        let config = CargoConfig::load(cargo, &workspace.root)?;
        let toolchain = Toolchain::find(cargo, &config, &workspace.root, cache).await?;
        Ok(Self {
            workspace,
            cargo,
            toolchain,
            config,
            lockfile: Lockfile::parse(&workspace.root.join("Cargo.lock"), "version = 4")?,
            root_manifest: manifest::parse(&workspace.root_manifest)?,
            outside: Vec::new(),
            sources: SourceFiles::new(Vec::new()),
            shared: Mutex::default(),
        })
    }

    /// The keys of cargo's configuration files that change a compile or the paths of its results, by file.
    pub fn config_keys(&self) -> Vec<(&Path, Vec<String>)> {
        self.config.relevant_keys()
    }

    /// The commit that is checked out in the workspace's repository; `None` without git.
    pub fn revision(&self) -> Option<String> {
        self.sources
            .repository(&self.workspace.root, &self.workspace.root)
            .revision()
    }

    /// The toolchain that cargo uses.
    pub fn toolchain(&self) -> &Toolchain {
        &self.toolchain
    }

    /// The paths that cargo reads for path dependencies outside of the workspace: their directories, and the workspace
    /// manifests that they inherit from.
    pub fn outside_paths(&self) -> impl Iterator<Item = PathBuf> {
        let paths = self
            .outside
            .iter()
            .flat_map(|package| [package.directory.clone(), package.root.join("Cargo.toml")]);
        paths.filter(|path| path.exists())
    }

    /// The package of a local entry of Cargo.lock.
    pub(super) fn local(&self, entry: &LockedPackage) -> Option<&WorkspacePackage> {
        let is_locked_version = |package: &&WorkspacePackage| {
            package.name == entry.name && package.version == entry.version.to_string()
        };
        let overrides =
            |package: &&WorkspacePackage| entry.is_overridden() && package.name == entry.name;
        let outside = self.outside.iter();
        self.workspace
            .packages
            .iter()
            .chain(outside.clone())
            .find(is_locked_version)
            .or_else(|| outside.clone().find(overrides))
    }

    /// Directories whose files are never inputs: cargo's output, registry sources, the standard library.
    pub(super) fn not_inputs(&self) -> Vec<PathBuf> {
        let mut directories = self.output_directories();
        // Not all of `CARGO_HOME` and the sysroot: a project may be elsewhere below them.
        directories.extend(
            self.cargo
                .home()
                .into_iter()
                .flat_map(|home| ["registry", "git"].map(|name| home.join(name))),
        );
        directories.push(self.toolchain.sysroot.join("lib/rustlib"));
        directories
    }

    /// The target directory of this run, which `--target-dir` may have changed.
    pub(super) fn target_directory(&self) -> &Path {
        self.cargo
            .target_dir
            .as_ref()
            .unwrap_or(&self.workspace.target_directory)
    }

    /// The directories that cargo writes into, sorted.
    pub(super) fn output_directories(&self) -> Vec<PathBuf> {
        let mut directories = vec![
            self.workspace.target_directory.clone(),
            self.workspace.build_directory.clone(),
        ];
        directories.extend(self.cargo.target_dir.clone());
        directories.sort();
        directories.dedup();
        directories
    }

    /// Replaces the paths of the workspace, `CARGO_HOME` and the home directory in a text by fixed names.
    pub(super) fn portable(&self, text: &str) -> String {
        let home = self.cargo.environment.get("HOME").map(PathBuf::from);
        let places = [
            (Some(self.workspace.root.clone()), "."),
            (self.cargo.home(), "$CARGO_HOME"),
            (home, "~"),
        ];
        let named = places
            .iter()
            .filter_map(|(place, name)| Some((place.as_deref()?, name)));
        // A path of `/` would replace every slash.
        let named =
            named.filter(|(place, _)| place.parent().is_some_and(|above| above != Path::new("")));
        named.fold(text.to_owned(), |text, (place, name)| {
            text.replace(&place.to_string_lossy().into_owned(), name)
        })
    }
}
