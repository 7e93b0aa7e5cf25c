//! What every verb starts from: the workspace and its packages' manifests, valid.

use std::sync::Arc;

use union_build::diag::{Code, Diagnostic, Severity};
use union_build::spec::{self, Overrides, PackageInfo, Setting, Spec};

use super::clients::RegistryClients;
use super::problems::ManifestProblems;
use super::{Reporter, backend};
use crate::build::{SourceRoots, copy_problems, requirement_problems};
use crate::engine::EngineLocator;
use crate::flyte::config::FlyteConfig;
use crate::flyte::convert::ProjectDomain;
use crate::pipeline::options::{BuildOptions, WorkspaceOptions};
use crate::pipeline::problems::Result;
use crate::sys::error::Error;
use crate::sys::words;
use crate::workspace::{Snapshot, Workspace, WorkspacePackage};

/// The workspace and the packages that were chosen.
pub(crate) struct LoadedWorkspace {
    /// The workspace.
    pub(crate) workspace: Workspace,
    /// Chosen packages that declare images, in the order of the workspace.
    pub(crate) packages: Vec<UnionPackage>,
    /// What the user's Flyte config says.
    pub(crate) backend: FlyteConfig,
    /// Warnings of their manifests and of the config.
    pub(crate) warnings: Vec<Diagnostic>,
    /// The clients of registries, shared by packages.
    pub(crate) clients: RegistryClients,
    /// The container engine, for whatever needs one.
    pub(crate) engines: Arc<EngineLocator>,
}

/// A package and what it declares.
pub(crate) struct UnionPackage {
    /// The package.
    pub(crate) package: WorkspacePackage,
    /// Its valid manifest.
    pub(crate) spec: Spec,
    /// Its resolved configuration, line by line.
    pub(crate) settings: Vec<Setting>,
}

impl UnionPackage {
    /// Where the files of its images come from.
    pub(crate) fn roots(&self, workspace: &Workspace) -> SourceRoots {
        roots(workspace, &self.package)
    }
}

/// One package and all that its build needs.
pub(crate) struct PackageContext<'a> {
    pub(super) work: &'a BuildOptions,
    pub(super) session: &'a LoadedWorkspace,
    pub(super) snapshot: &'a Snapshot<'a>,
    pub(super) declared: &'a UnionPackage,
    pub(super) revision: Option<&'a str>,
    pub(super) reporter: &'a Arc<dyn Reporter>,
}

impl LoadedWorkspace {
    /// Like [`open`](Self::open), for what needs a cache: where its usual folder cannot be used, one below the
    /// target folder stands in, with a warning.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub(crate) async fn open_with_cache(scope: &WorkspaceOptions, reporter: &dyn Reporter) -> Result<Self> {
        let session = Self::open(scope, reporter).await?;
        if let Some(warning) = scope.cache.settle(&session.workspace.target_directory.join("union/cache")) {
            reporter.warning(&warning);
        }
        Ok(session)
    }

    /// Loads the workspace, chooses packages as cargo does, and validates their manifests.
    ///
    /// # Errors
    /// [`ManifestProblems`] with all of them, or what cargo says.
    pub(crate) async fn open(scope: &WorkspaceOptions, reporter: &dyn Reporter) -> Result<Self> {
        let workspace = Workspace::load(&scope.cargo, scope.manifest_path.as_deref()).await?;
        let chosen: Vec<WorkspacePackage> = choose(&workspace, scope)?.into_iter().cloned().collect();
        let (backend, mut problems) = backend::config(&scope.backend)?;
        let overrides = backend::last_resorts(&backend, scope.overrides.clone());
        let mut packages = Vec::new();
        for package in chosen {
            let (spec, found, settings) = load(&workspace, &package, &overrides);
            for problem in found {
                // Two members share the workspace's defaults and so their problems.
                if !problems.contains(&problem) {
                    problems.push(problem);
                }
            }
            packages.extend(spec.map(|spec| UnionPackage { package, spec, settings }));
        }
        if problems.iter().any(|problem| problem.severity == Severity::Error) {
            return Err(ManifestProblems(problems).into());
        }
        reporter.diagnostics(&problems);
        let engines = Arc::new(EngineLocator::of(&scope.cargo.environment));
        Ok(Self { workspace, packages, backend, warnings: problems, clients: RegistryClients::default(), engines })
    }
}

fn load(workspace: &Workspace, package: &WorkspacePackage, overrides: &Overrides) -> (Option<Spec>, Vec<Diagnostic>, Vec<Setting>) {
    let facts = PackageInfo {
        package: package.name.clone(),
        folder: package.folder.clone(),
        workspace_root: workspace.root.clone(),
        binaries: package.binaries.iter().map(|binary| binary.name.clone()).collect(),
        default_run: package.default_run.clone(),
        depends_on_flyte: package.depends_on_flyte(),
    };
    let (spec, mut problems, settings) = spec::load(Some(&workspace.root_manifest), &package.manifest, overrides, &facts);
    if let Some(spec) = &spec {
        let roots = roots(workspace, package);
        problems.extend(copy_problems(spec.images.values(), &roots));
        problems.extend(requirement_problems(spec.images.values(), &roots));
    }
    (spec, problems, settings)
}

fn roots(workspace: &Workspace, package: &WorkspacePackage) -> SourceRoots {
    SourceRoots { workspace: workspace.root.clone(), package: package.folder.clone(), outputs: workspace.output_directories.clone() }
}

/// The packages that cargo would choose, less those that declare nothing.
fn choose<'a>(workspace: &'a Workspace, scope: &WorkspaceOptions) -> Result<Vec<&'a WorkspacePackage>> {
    let selected = workspace.select(&scope.selection)?;
    let silent = selected.iter().find(|package| !package.declares_union && scope.selection.packages.contains(&package.name));
    let chosen: Vec<&WorkspacePackage> = selected.iter().copied().filter(|package| package.declares_union).collect();
    let what = match silent {
        Some(package) => format!("package `{}` has no `[package.metadata.union]`", package.name),
        None if chosen.is_empty() => {
            format!("no package chosen from `{}` has `[package.metadata.union]`", workspace.root_manifest.path.display())
        }
        None => return Ok(chosen),
    };
    let declaring: Vec<&String> = workspace.packages.iter().filter(|package| package.declares_union).map(|package| &package.name).collect();
    let help = if declaring.is_empty() {
        "Run `cargo union init` in the package whose tasks shall run on Flyte.".to_owned()
    } else {
        format!("Choose with `-p` or `--workspace` among {}.", words::list(declaring))
    };
    Err(Error::new(Code::NothingDeclared, what).help(help).into())
}

/// Whether an image belongs to one of the tasks that were asked for; all do when none was.
pub(crate) fn is_chosen(declared: &UnionPackage, image: &str, tasks: &[String]) -> bool {
    tasks.is_empty() || tasks.iter().any(|name| declared.spec.tasks.get(name).is_some_and(|task| task.image.value == image))
}

/// Where the tasks of a package are registered.
///
/// # Errors
/// `ProjectMissing`.
pub(crate) fn project_domain(declared: &UnionPackage, config: &FlyteConfig) -> Result<ProjectDomain, Error> {
    let (spec, org) = (&declared.spec, config.org.as_ref().map(|org| org.value.clone()));
    let missing: Vec<&str> = [("project", &spec.project), ("domain", &spec.domain)]
        .into_iter()
        .filter(|(_, value)| value.is_none())
        .map(|(key, _)| key)
        .collect();
    let (Some(project), Some(domain)) = (&spec.project, &spec.domain) else {
        let what = format!("no {} is set for the tasks of package `{}`", missing.join(" and no "), declared.package.name);
        return Err(Error::new(Code::ProjectMissing, what));
    };
    Ok(ProjectDomain { org: org.unwrap_or_default(), project: project.value.clone(), domain: domain.value.clone() })
}
