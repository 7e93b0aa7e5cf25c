//! What a workspace's files say at one moment: everything that its packages' keys share.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use toml::Table;

use super::config::CargoConfig;
use super::inputs::SharedInputs;
use super::lockfile::{LockedPackage, Lockfile};
use super::sources::SourceFiles;
use super::{Cargo, Reporter, Toolchain, Workspace, WorkspacePackage, local, manifest, written_files};
use crate::sys::cache::Cache;
use crate::sys::error::Result;

/// Cargo.lock, cargo's configuration and the toolchain, read once; sources, read as they are asked
/// for and then kept. The inputs of fifty images cost little more than those of one.
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
    /// By package id.
    pub(super) parts: Mutex<HashMap<String, Arc<SharedInputs>>>,
}

impl<'a> Snapshot<'a> {
    /// Reads what all packages share. Makes Cargo.lock when it is missing, unless it is locked.
    ///
    /// # Errors
    /// `LockfileMissing`, `ManifestSyntax`, `WorkspaceInvalid`, `ToolMissing`, `FileUnreadable`.
    pub async fn take(cargo: &'a Cargo, workspace: &'a Workspace, cache: &Cache, reporter: &dyn Reporter) -> Result<Self> {
        let config = CargoConfig::load(cargo, &workspace.root)?;
        let root_manifest = manifest::parse(&workspace.root_manifest)?;
        let toolchain = Toolchain::find(cargo, &config, &workspace.root, cache).await?;
        let mut lockfile = local::lockfile(cargo, workspace, reporter).await?;
        let overriding = local::overriding_packages(cargo, workspace, &config, &mut lockfile).await?;
        let outside =
            local::outside_packages(cargo, workspace, local::NamedPaths::of(&root_manifest, &config, overriding), &lockfile).await?;
        let made = [Some(&workspace.target_directory), Some(&workspace.build_directory), cargo.target_dir.as_ref()];
        let written = written_files::known(workspace);
        // They may not exist yet.
        let skipped = made
            .into_iter()
            .flatten()
            .chain(&cargo.written)
            .chain(&written)
            .map(|folder| folder.canonicalize().unwrap_or_else(|_| folder.clone()))
            .collect();
        Ok(Self {
            workspace,
            cargo,
            toolchain,
            config,
            lockfile,
            root_manifest,
            outside,
            sources: SourceFiles::new(skipped).remembered_in(cache),
            parts: Mutex::default(),
        })
    }

    /// The git revision of the workspace, when there is one.
    pub fn revision(&self) -> Option<String> {
        self.sources.repository(&self.workspace.root, &self.workspace.root).revision()
    }

    /// The compiler that cargo takes.
    pub fn toolchain(&self) -> &Toolchain {
        &self.toolchain
    }

    /// What cargo reads of path dependencies outside of the workspace: their folders, and the manifests
    /// that they inherit from.
    pub fn outside_paths(&self) -> impl Iterator<Item = PathBuf> {
        let of =
            |package: &WorkspacePackage| [package.folder.clone(), package.root.join("Cargo.toml")].into_iter().filter(|path| path.exists());
        self.outside.iter().flat_map(of)
    }

    /// The package of a local entry of Cargo.lock.
    pub(super) fn local(&self, entry: &LockedPackage) -> Option<&WorkspacePackage> {
        let is_it = |package: &&WorkspacePackage| package.name == entry.name && package.version == entry.version.to_string();
        let stands_for_it = |package: &&WorkspacePackage| entry.is_overridden() && package.name == entry.name;
        let outside = self.outside.iter();
        self.workspace.packages.iter().chain(outside.clone()).find(is_it).or_else(|| outside.clone().find(stands_for_it))
    }

    /// Folders that hold what cargo makes or what never changes: nobody's inputs.
    pub(super) fn not_inputs(&self) -> Vec<PathBuf> {
        let mut folders = self.made();
        // Only what cargo and the toolchain keep for themselves: a project may stand anywhere else below.
        folders.extend(self.cargo.home().into_iter().flat_map(|home| ["registry", "git"].map(|name| home.join(name))));
        folders.push(self.toolchain.sysroot.join("lib/rustlib"));
        folders
    }

    /// Where cargo puts what it makes in this run.
    pub(super) fn target_directory(&self) -> &Path {
        self.cargo.target_dir.as_ref().unwrap_or(&self.workspace.target_directory)
    }

    /// Folders that cargo writes into.
    pub(super) fn made(&self) -> Vec<PathBuf> {
        let mut folders = vec![self.workspace.target_directory.clone(), self.workspace.build_directory.clone()];
        folders.extend(self.cargo.target_dir.clone());
        folders.sort();
        folders.dedup();
        folders
    }

    /// A text without what differs from checkout to checkout and from user to user.
    pub(super) fn portable(&self, text: &str) -> String {
        let home = self.cargo.environment.get("HOME").map(PathBuf::from);
        let places = [(Some(self.workspace.root.clone()), "."), (self.cargo.home(), "$CARGO_HOME"), (home, "~")];
        let named = places.iter().filter_map(|(place, name)| Some((place.as_deref()?, name)));
        // A root of one slash would replace every slash.
        let named = named.filter(|(place, _)| place.parent().is_some_and(|above| above != Path::new("")));
        named.fold(text.to_owned(), |text, (place, name)| text.replace(&place.to_string_lossy().into_owned(), name))
    }
}
