//! Loads a workspace with `cargo metadata --no-deps`, which resolves nothing.

use std::path::{Path, PathBuf};

use cargo_metadata::{Metadata, MetadataCommand, TargetKind};
use union_build::diag::{Code, SourceFile};

use super::{Binary, Cargo, Dependency, DependencyKind, Workspace, WorkspacePackage};
use crate::sys::error::{Error, Result};
use crate::sys::fs;

/// The packages that a command acts on, by cargo's flags.
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
    /// Loads the workspace of a manifest, or of the current directory.
    ///
    /// # Errors
    /// `NoManifest`; `WorkspaceInvalid` with cargo's message; `ToolMissing`, `FileUnreadable`.
    pub async fn load(cargo: &Cargo, manifest_path: Option<&Path>) -> Result<Self> {
        let manifest_path = manifest_path.map(|path| fs::absolute(&cargo.directory, path));
        if let Some(path) = manifest_path.as_deref().filter(|path| !path.is_file()) {
            return Err(Error::new(
                Code::NoManifest,
                format!("could not find the manifest `{}`", path.display()),
            ));
        }
        let metadata = cargo_metadata(cargo, &cargo.directory, manifest_path.as_deref()).await?;
        let root = metadata.workspace_root.clone().into_std_path_buf();
        let mut packages = metadata
            .packages
            .iter()
            .map(|package| convert_package(metadata.workspace_root.as_std_path(), package))
            .collect::<Result<Vec<_>>>()?;
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        let root_manifest = match packages.iter().find(|package| package.directory == root) {
            Some(package) => package.manifest.clone(),
            None => read_source(root.join("Cargo.toml"))?,
        };
        let default_members = metadata
            .workspace_default_members
            .iter()
            .map(|id| id.repr.clone())
            .collect();
        let target_directory = metadata.target_directory.into_std_path_buf();
        let build_directory = metadata.build_directory.map_or_else(
            || target_directory.clone(),
            |directory| directory.into_std_path_buf(),
        );
        let output_directories = [&target_directory, &build_directory]
            .into_iter()
            .chain(&cargo.target_dir)
            .cloned()
            .collect();
        Ok(Self {
            root,
            target_directory,
            build_directory,
            output_directories,
            root_manifest,
            packages,
            default_members,
        })
    }

    /// The same workspace with its manifests read again. cargo is not run: all other metadata follows from the manifests
    /// and from files that are inputs themselves.
    ///
    /// # Errors
    /// `FileUnreadable`.
    pub fn read_again(&self) -> Result<Self> {
        let mut workspace = self.clone();
        workspace.root_manifest = read_source(self.root_manifest.path.clone())?;
        for package in &mut workspace.packages {
            package.manifest = read_source(package.manifest.path.clone())?;
        }
        Ok(workspace)
    }

    /// A member by name.
    pub fn package(&self, name: &str) -> Option<&WorkspacePackage> {
        self.packages.iter().find(|package| package.name == name)
    }

    /// The members that a command acts on, sorted by name.
    ///
    /// # Errors
    /// `UnknownPackage`.
    pub fn select(&self, selection: &Selection) -> Result<Vec<&WorkspacePackage>> {
        for name in selection.packages.iter().chain(&selection.exclude) {
            if self.package(name).is_none() {
                let names: Vec<String> = self
                    .packages
                    .iter()
                    .map(|package| format!("`{}`", package.name))
                    .collect();
                let error = Error::new(
                    Code::UnknownPackage,
                    format!("the workspace has no package `{name}`"),
                );
                return Err(error.help(format!("The workspace has {}.", names.join(", "))));
            }
        }
        let is_selected = |package: &&WorkspacePackage| match (
            selection.workspace,
            selection.packages.is_empty(),
        ) {
            (true, _) => true,
            (false, true) => self.default_members.contains(&package.id),
            (false, false) => selection.packages.contains(&package.name),
        };
        let is_included = |package: &&WorkspacePackage| !selection.exclude.contains(&package.name);
        Ok(self
            .packages
            .iter()
            .filter(is_selected)
            .filter(is_included)
            .collect())
    }
}

/// The package in a directory outside of the workspace; `None` when it has no Cargo.toml.
pub(super) async fn outside_package(
    cargo: &Cargo,
    root: &Path,
    directory: &Path,
) -> Result<Option<WorkspacePackage>> {
    let manifest = directory.join("Cargo.toml");
    if !manifest.is_file() {
        return Ok(None);
    }
    let metadata = cargo_metadata(cargo, root, Some(&manifest)).await?;
    metadata
        .packages
        .iter()
        .find(|package| package.manifest_path == manifest)
        .map(|package| convert_package(metadata.workspace_root.as_std_path(), package))
        .transpose()
}

async fn cargo_metadata(
    cargo: &Cargo,
    directory: &Path,
    manifest_path: Option<&Path>,
) -> Result<Metadata> {
    let mut command = cargo.command(directory, &cargo.environment);
    command.args([
        "metadata",
        "--no-deps",
        "--offline",
        "--format-version",
        "1",
        "--color",
        "never",
    ]);
    if let Some(path) = manifest_path {
        command.arg("--manifest-path").arg(path);
    }
    let place = manifest_path.unwrap_or(directory).display();
    let stdout = command.output().await?.success().map_err(|failed| {
        let missing = failed.stderr.contains("could not find `Cargo.toml`");
        let code = if missing {
            Code::NoManifest
        } else {
            Code::WorkspaceInvalid
        };
        Error::new(code, format!("could not read the workspace of `{place}`")).because(failed)
    })?;
    // cargo may print warnings around the metadata, which is one line.
    let text = String::from_utf8_lossy(&stdout);
    let json = text
        .lines()
        .find(|line| line.starts_with('{'))
        .unwrap_or_default();
    MetadataCommand::parse(json).map_err(|cause| {
        Error::new(
            Code::WorkspaceInvalid,
            format!("could not parse cargo's description of `{place}`"),
        )
        .because(cause)
    })
}

fn convert_package(root: &Path, package: &cargo_metadata::Package) -> Result<WorkspacePackage> {
    let path = package.manifest_path.clone().into_std_path_buf();
    let manifest = read_source(path)?;
    let mut binaries: Vec<Binary> = package
        .targets
        .iter()
        .filter(|target| target.kind.contains(&TargetKind::Bin))
        .map(|target| Binary {
            name: target.name.clone(),
            required_features: target.required_features.clone(),
        })
        .collect();
    binaries.sort_by(|a, b| a.name.cmp(&b.name));
    let is_compiled = |kind: &TargetKind| {
        !matches!(
            kind,
            TargetKind::Test | TargetKind::Bench | TargetKind::Example
        )
    };
    let sources = package
        .targets
        .iter()
        .filter(|target| target.kind.iter().all(is_compiled));
    Ok(WorkspacePackage {
        id: package.id.repr.clone(),
        name: package.name.to_string(),
        version: package.version.to_string(),
        directory: manifest.directory().to_owned(),
        root: root.to_owned(),
        binaries,
        default_run: package.default_run.clone(),
        dependencies: package
            .dependencies
            .iter()
            .map(convert_dependency)
            .collect(),
        declares_union: package.metadata.get("union").is_some(),
        sources: sources
            .map(|target| target.src_path.clone().into_std_path_buf())
            .collect(),
        manifest,
    })
}

fn convert_dependency(dependency: &cargo_metadata::Dependency) -> Dependency {
    Dependency {
        name: dependency.name.clone(),
        rename: dependency.rename.clone(),
        kind: match dependency.kind {
            cargo_metadata::DependencyKind::Development => DependencyKind::Dev,
            cargo_metadata::DependencyKind::Build => DependencyKind::Build,
            // A kind that `cargo_metadata` does not support counts as code: too many inputs do no harm.
            _ => DependencyKind::Normal,
        },
        path: dependency.path.clone().map(|path| path.into_std_path_buf()),
        requirement: dependency.req.clone(),
    }
}

fn read_source(path: PathBuf) -> Result<std::sync::Arc<SourceFile>> {
    let text = fs::read_to_string(&path)?;
    Ok(SourceFile::new(path, text))
}
