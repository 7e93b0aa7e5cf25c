//! Asking cargo about a workspace, once, without resolving anything.

use std::path::{Path, PathBuf};

use cargo_metadata::{Metadata, MetadataCommand, TargetKind};
use union_build::diag::{Code, SourceFile};

use super::{Binary, Cargo, Dependency, DependencyKind, Workspace, WorkspacePackage};
use crate::sys::error::{Error, Result};
use crate::sys::fs;

/// Which packages a command is about, as cargo's flags say it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// `-p NAME`.
    pub packages: Vec<String>,
    /// `--workspace`.
    pub workspace: bool,
    /// `--exclude NAME`.
    pub exclude: Vec<String>,
}

impl Workspace {
    /// Asks cargo about the workspace of a manifest, or of the user's folder.
    ///
    /// # Errors
    /// `NoManifest`; `WorkspaceInvalid` with cargo's own words; `ToolMissing`, `FileUnreadable`.
    pub async fn load(cargo: &Cargo, manifest_path: Option<&Path>) -> Result<Self> {
        let manifest_path = manifest_path.map(|path| fs::absolute(&cargo.folder, path));
        if let Some(path) = manifest_path.as_deref().filter(|path| !path.is_file()) {
            return Err(Error::new(Code::NoManifest, format!("could not find the manifest `{}`", path.display())));
        }
        let metadata = ask(cargo, &cargo.folder, manifest_path.as_deref()).await?;
        let root = metadata.workspace_root.clone().into_std_path_buf();
        let mut packages =
            metadata.packages.iter().map(|found| package(metadata.workspace_root.as_std_path(), found)).collect::<Result<Vec<_>>>()?;
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        let root_manifest = match packages.iter().find(|package| package.folder == root) {
            Some(package) => package.manifest.clone(),
            None => source(root.join("Cargo.toml"))?,
        };
        let default_members = metadata.workspace_default_members.iter().map(|id| id.repr.clone()).collect();
        let target_directory = metadata.target_directory.into_std_path_buf();
        let build_directory = metadata.build_directory.map_or_else(|| target_directory.clone(), |folder| folder.into_std_path_buf());
        let output_directories = [&target_directory, &build_directory].into_iter().chain(&cargo.target_dir).cloned().collect();
        Ok(Self { root, target_directory, build_directory, output_directories, root_manifest, packages, default_members })
    }

    /// The same workspace with the text that its manifests have now. cargo is not asked: what else it says follows from
    /// them, and from files that are inputs themselves.
    ///
    /// # Errors
    /// `FileUnreadable`.
    pub fn read_again(&self) -> Result<Self> {
        let mut now = self.clone();
        now.root_manifest = source(self.root_manifest.path.clone())?;
        for package in &mut now.packages {
            package.manifest = source(package.manifest.path.clone())?;
        }
        Ok(now)
    }

    /// A member by name.
    pub fn package(&self, name: &str) -> Option<&WorkspacePackage> {
        self.packages.iter().find(|package| package.name == name)
    }

    /// The members that a command is about, sorted by name.
    ///
    /// # Errors
    /// `UnknownPackage`.
    pub fn select(&self, selection: &Selection) -> Result<Vec<&WorkspacePackage>> {
        for name in selection.packages.iter().chain(&selection.exclude) {
            if self.package(name).is_none() {
                let names: Vec<String> = self.packages.iter().map(|package| format!("`{}`", package.name)).collect();
                let error = Error::new(Code::UnknownPackage, format!("the workspace has no package `{name}`"));
                return Err(error.help(format!("The workspace has {}.", names.join(", "))));
            }
        }
        let chosen = |package: &&WorkspacePackage| match (selection.workspace, selection.packages.is_empty()) {
            (true, _) => true,
            (false, true) => self.default_members.contains(&package.id),
            (false, false) => selection.packages.contains(&package.name),
        };
        let kept = |package: &&WorkspacePackage| !selection.exclude.contains(&package.name);
        Ok(self.packages.iter().filter(chosen).filter(kept).collect())
    }
}

/// The package whose manifest stands in a folder outside of the workspace.
pub(super) async fn outside_package(cargo: &Cargo, root: &Path, folder: &Path) -> Result<Option<WorkspacePackage>> {
    let manifest = folder.join("Cargo.toml");
    if !manifest.is_file() {
        return Ok(None);
    }
    let metadata = ask(cargo, root, Some(&manifest)).await?;
    metadata
        .packages
        .iter()
        .find(|package| package.manifest_path == manifest)
        .map(|found| package(metadata.workspace_root.as_std_path(), found))
        .transpose()
}

async fn ask(cargo: &Cargo, folder: &Path, manifest_path: Option<&Path>) -> Result<Metadata> {
    let mut command = cargo.command(folder, &cargo.environment);
    command.args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--color", "never"]);
    if let Some(path) = manifest_path {
        command.arg("--manifest-path").arg(path);
    }
    let place = manifest_path.unwrap_or(folder).display();
    let stdout = command.output().await?.success().map_err(|failed| {
        let missing = failed.stderr.contains("could not find `Cargo.toml`");
        let code = if missing { Code::NoManifest } else { Code::WorkspaceInvalid };
        Error::new(code, format!("could not read the workspace of `{place}`")).because(failed)
    })?;
    // cargo may print warnings around it; the metadata is one line.
    let text = String::from_utf8_lossy(&stdout);
    let json = text.lines().find(|line| line.starts_with('{')).unwrap_or_default();
    MetadataCommand::parse(json).map_err(|cause| {
        Error::new(Code::WorkspaceInvalid, format!("could not understand cargo's description of `{place}`")).because(cause)
    })
}

fn package(root: &Path, package: &cargo_metadata::Package) -> Result<WorkspacePackage> {
    let path = package.manifest_path.clone().into_std_path_buf();
    let manifest = source(path)?;
    let mut binaries: Vec<Binary> = package
        .targets
        .iter()
        .filter(|target| target.kind.contains(&TargetKind::Bin))
        .map(|target| Binary { name: target.name.clone(), required_features: target.required_features.clone() })
        .collect();
    binaries.sort_by(|a, b| a.name.cmp(&b.name));
    let compiled = |kind: &TargetKind| !matches!(kind, TargetKind::Test | TargetKind::Bench | TargetKind::Example);
    let sources = package.targets.iter().filter(|target| target.kind.iter().all(compiled));
    Ok(WorkspacePackage {
        id: package.id.repr.clone(),
        name: package.name.to_string(),
        version: package.version.to_string(),
        folder: manifest.folder().to_owned(),
        root: root.to_owned(),
        binaries,
        default_run: package.default_run.clone(),
        dependencies: package.dependencies.iter().map(dependency).collect(),
        declares_union: package.metadata.get("union").is_some(),
        sources: sources.map(|target| target.src_path.clone().into_std_path_buf()).collect(),
        manifest,
    })
}

fn dependency(dependency: &cargo_metadata::Dependency) -> Dependency {
    Dependency {
        name: dependency.name.clone(),
        rename: dependency.rename.clone(),
        kind: match dependency.kind {
            cargo_metadata::DependencyKind::Development => DependencyKind::Dev,
            cargo_metadata::DependencyKind::Build => DependencyKind::Build,
            // A kind that this release does not know is taken for code: too many inputs do no harm.
            _ => DependencyKind::Normal,
        },
        path: dependency.path.clone().map(|path| path.into_std_path_buf()),
        requirement: dependency.req.clone(),
    }
}

fn source(path: PathBuf) -> Result<std::sync::Arc<SourceFile>> {
    let text = fs::read_to_string(&path)?;
    Ok(SourceFile::new(path, text))
}
