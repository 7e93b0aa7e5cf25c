//! The loaded workspace: its selected packages with valid manifests, and the resources that they share.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use union_build::diag::{Code, Diagnostic, Severity};
use union_build::spec::{
    self, BackendChoice, ImageSpec, Overrides, PackageInfo, Pattern, Setting, Spec,
};

use super::clients::RegistryClients;
use super::problems::ManifestProblems;
use super::{Reporter, backend};
use crate::build::{SourceRoots, copy_problems, requirement_problems};
use crate::engine::EngineLocator;
use crate::flyte::client::Client;
use crate::flyte::config::FlyteConfig;
use crate::flyte::convert::ProjectDomain;
use crate::pipeline::options::{BackendOptions, BuildOptions, WorkspaceOptions};
use crate::pipeline::problems::Result;
use crate::sys::error::Error;
use crate::sys::words;
use crate::workspace::{Snapshot, Workspace, WorkspacePackage};

/// A workspace, its selected packages, and the Flyte config.
pub(crate) struct LoadedWorkspace {
    pub(crate) workspace: Workspace,
    /// The selected packages that have `[package.metadata.union]`, in the order of the workspace.
    pub(crate) packages: Vec<UnionPackage>,
    /// The user's Flyte config.
    pub(crate) backend: FlyteConfig,
    /// Warnings of the manifests and of the config.
    pub(crate) warnings: Vec<Diagnostic>,
    /// The registry clients, shared by all packages.
    pub(crate) clients: RegistryClients,
    /// Finds the container engine on first use.
    pub(crate) engines: Arc<EngineLocator>,
    /// The client of the backend, once it is needed.
    flyte: OnceLock<Client>,
}

/// A package with its validated `[package.metadata.union]`.
pub(crate) struct UnionPackage {
    pub(crate) package: WorkspacePackage,
    pub(crate) spec: Spec,
    /// Each key of the resolved configuration with its origin, as `cargo union config` shows it.
    pub(crate) settings: Vec<Setting>,
}

impl UnionPackage {
    pub(crate) fn name(&self) -> &str {
        &self.package.name
    }

    /// The directories from which files are copied into the images of the package.
    pub(crate) fn roots(&self, workspace: &Workspace) -> SourceRoots {
        source_roots(workspace, &self.package)
    }

    /// Checks that a registry is set for images that a cluster pulls. Images that the backend builds need none.
    ///
    /// # Errors
    /// `RegistryMissing`, with the names of the images.
    pub(crate) fn check_registries<'a>(
        &self,
        images: impl IntoIterator<Item = &'a ImageSpec>,
    ) -> Result<()> {
        let without_registry: BTreeSet<&String> = images
            .into_iter()
            .filter(|image| image.registry.is_none() && !image.is_remote())
            .map(|image| &image.key)
            .collect();
        if without_registry.is_empty() {
            return Ok(());
        }
        let noun = if without_registry.len() == 1 {
            "image"
        } else {
            "images"
        };
        let names = words::list(&without_registry);
        let what = format!(
            "no registry is set for {noun} {names} of package `{}`, and a cluster has to pull from one",
            self.name()
        );
        Err(Error::new(Code::RegistryMissing, what).into())
    }
}

/// A package with everything that its build refers to.
#[derive(Clone)]
pub(crate) struct PackageContext<'a> {
    pub(super) options: &'a BuildOptions,
    pub(super) loaded: &'a LoadedWorkspace,
    pub(super) snapshot: &'a Snapshot<'a>,
    pub(super) package: &'a UnionPackage,
    /// The git revision of the workspace; `None` outside of git, and if no image is built.
    pub(super) revision: Option<String>,
    pub(super) reporter: &'a Arc<dyn Reporter>,
}

impl LoadedWorkspace {
    /// The client of the backend, which never logs in by a browser. All uses share one, and so its login.
    ///
    /// # Errors
    /// `BackendMissing`.
    pub(crate) fn backend_client(
        &self,
        options: &BackendOptions,
        reporter: &Arc<dyn Reporter>,
    ) -> Result<Client> {
        if let Some(client) = self.flyte.get() {
            return Ok(client.clone());
        }
        let generation = self.generation()?;
        let client = backend::client(options, &self.backend, generation, false, reporter)?;
        Ok(self.flyte.get_or_init(|| client).clone())
    }

    /// The generation of the backend, on which the selected packages have to agree.
    ///
    /// # Errors
    /// `UsageInvalid` when their manifests name several.
    pub(crate) fn generation(&self) -> Result<BackendChoice> {
        let mut choices = self.packages.iter().map(|declared| &declared.spec.backend);
        let Some(first) = choices.next() else {
            return Ok(BackendChoice::Auto);
        };
        match choices.find(|choice| choice.value != first.value) {
            None => Ok(first.value),
            Some(other) => {
                let what = "the chosen packages name several generations of Flyte in `backend`";
                Err(Error::new(Code::UsageInvalid, what)
                    .because(format!("{} and {}", first.origin, other.origin))
                    .help("Choose one package with `-p`, or give `--backend`.")
                    .into())
            }
        }
    }

    /// `UnknownImage` for the name of an image that no selected package declares.
    pub(crate) fn unknown_image(&self, image: &str) -> Error {
        let declared = self
            .packages
            .iter()
            .flat_map(|package| package.spec.images.keys());
        Error::new(
            Code::UnknownImage,
            format!("there is no image `{image}` in the chosen packages"),
        )
        .help(format!("Declared images: {}.", words::list(declared)))
    }

    /// The patterns of `inputs` of all packages in the workspace, including those that are not selected. Problems in
    /// the manifests of packages that are not selected are not reported.
    pub(crate) fn declared_inputs(&self) -> Vec<Pattern> {
        let selected = self.packages.iter().map(|package| package.spec.clone());
        let others = self.workspace.packages.iter().filter(|package| {
            package.declares_union
                && !self
                    .packages
                    .iter()
                    .any(|selected| selected.package.id == package.id)
        });
        let overrides = Overrides::new(&self.workspace.root);
        let others = others.filter_map(|package| read_spec(&self.workspace, package, &overrides).0);
        let mut patterns: BTreeMap<(PathBuf, String), Pattern> = BTreeMap::new();
        for spec in selected.chain(others) {
            for pattern in spec.images.into_values().flat_map(|image| image.inputs) {
                let name = (pattern.directory.clone(), pattern.glob.value.clone());
                patterns.insert(name, pattern);
            }
        }
        patterns.into_values().collect()
    }

    /// Like [`open`](Self::open), and makes sure that the cache is usable: if its usual directory is not, a directory
    /// in the target directory replaces it, with a warning.
    ///
    /// # Errors
    /// The errors of [`open`](Self::open).
    pub(crate) async fn open_with_cache(
        scope: &WorkspaceOptions,
        reporter: &dyn Reporter,
    ) -> Result<Self> {
        let loaded = Self::open(scope, reporter).await?;
        loaded.settle_cache(scope, reporter);
        Ok(loaded)
    }

    /// Makes sure that the cache is usable, as [`open_with_cache`](Self::open_with_cache) does.
    pub(crate) fn settle_cache(&self, scope: &WorkspaceOptions, reporter: &dyn Reporter) {
        let replacement = self.workspace.target_directory.join("union/cache");
        if let Some(warning) = scope.cache.settle(&replacement) {
            reporter.warning(&warning);
        }
    }

    /// Loads the workspace, selects packages as cargo does, and validates their manifests.
    ///
    /// # Errors
    /// [`ManifestProblems`] with the problems of all manifests; `NothingDeclared`; failures of `cargo metadata`.
    pub(crate) async fn open(scope: &WorkspaceOptions, reporter: &dyn Reporter) -> Result<Self> {
        let workspace = Workspace::load(&scope.cargo, scope.manifest_path.as_deref()).await?;
        let selected: Vec<WorkspacePackage> = select_packages(&workspace, scope)?
            .into_iter()
            .cloned()
            .collect();
        let (backend, mut problems) = backend::config(&scope.backend)?;
        let overrides = backend::fallbacks(&backend, scope.overrides.clone());
        let mut packages = Vec::new();
        for package in selected {
            let (spec, package_problems, settings) = load_spec(&workspace, &package, &overrides);
            for problem in package_problems {
                // Members that inherit the same workspace defaults report the same problems.
                if !problems.contains(&problem) {
                    problems.push(problem);
                }
            }
            packages.extend(spec.map(|spec| UnionPackage {
                package,
                spec,
                settings,
            }));
        }
        if problems
            .iter()
            .any(|problem| problem.severity == Severity::Error)
        {
            return Err(ManifestProblems(problems).into());
        }
        reporter.diagnostics(&problems);
        let engines = Arc::new(EngineLocator::of(&scope.cargo.environment));
        Ok(Self {
            workspace,
            packages,
            backend,
            warnings: problems,
            clients: RegistryClients::default(),
            engines,
            flyte: OnceLock::new(),
        })
    }
}

/// The spec of a package, with the problems of its manifest and of the files that this names.
fn load_spec(
    workspace: &Workspace,
    package: &WorkspacePackage,
    overrides: &Overrides,
) -> (Option<Spec>, Vec<Diagnostic>, Vec<Setting>) {
    let (spec, mut problems, settings) = read_spec(workspace, package, overrides);
    if let Some(spec) = &spec {
        let roots = source_roots(workspace, package);
        problems.extend(copy_problems(spec.images.values(), &roots));
        problems.extend(requirement_problems(spec.images.values(), &roots));
    }
    (spec, problems, settings)
}

/// The spec of a package, with the problems of its manifest. No file that it names is read.
pub(crate) fn read_spec(
    workspace: &Workspace,
    package: &WorkspacePackage,
    overrides: &Overrides,
) -> (Option<Spec>, Vec<Diagnostic>, Vec<Setting>) {
    let package_info = PackageInfo {
        package: package.name.clone(),
        directory: package.directory.clone(),
        workspace_root: workspace.root.clone(),
        binaries: package
            .binaries
            .iter()
            .map(|binary| binary.name.clone())
            .collect(),
        default_run: package.default_run.clone(),
        depends_on_flyte: package.depends_on_flyte(),
    };
    spec::load(
        Some(&workspace.root_manifest),
        &package.manifest,
        overrides,
        &package_info,
    )
}

fn source_roots(workspace: &Workspace, package: &WorkspacePackage) -> SourceRoots {
    SourceRoots {
        workspace: workspace.root.clone(),
        package: package.directory.clone(),
        outputs: workspace.output_directories.clone(),
    }
}

/// Selects packages as cargo does, without those that have no `[package.metadata.union]`. It is an error if `-p` names
/// one of the latter.
fn select_packages<'a>(
    workspace: &'a Workspace,
    scope: &WorkspaceOptions,
) -> Result<Vec<&'a WorkspacePackage>> {
    let selected = workspace.select(&scope.selection)?;
    let named_without_union = selected.iter().find(|package| {
        !package.declares_union && scope.selection.packages.contains(&package.name)
    });
    let with_union: Vec<&WorkspacePackage> = selected
        .iter()
        .copied()
        .filter(|package| package.declares_union)
        .collect();
    let what = match named_without_union {
        Some(package) => format!(
            "package `{}` has no `[package.metadata.union]`",
            package.name
        ),
        None if with_union.is_empty() => {
            format!(
                "no package chosen from `{}` has `[package.metadata.union]`",
                workspace.root_manifest.path.display()
            )
        }
        None => return Ok(with_union),
    };
    let declaring: Vec<&String> = workspace
        .packages
        .iter()
        .filter(|package| package.declares_union)
        .map(|package| &package.name)
        .collect();
    let help = if declaring.is_empty() {
        "Run `cargo union init` in the package with the tasks for Flyte.".to_owned()
    } else {
        format!(
            "Choose with `-p` or `--workspace` among {}.",
            words::list(declaring)
        )
    };
    Err(Error::new(Code::NothingDeclared, what).help(help).into())
}

/// Whether one of the given tasks runs in an image; always true if `tasks` is empty.
pub(crate) fn is_chosen(package: &UnionPackage, image: &str, tasks: &[String]) -> bool {
    tasks.is_empty()
        || tasks.iter().any(|name| {
            package
                .spec
                .tasks
                .get(name)
                .is_some_and(|task| task.image.value == image)
        })
}

/// The organization, project and domain in which the tasks of a package are registered.
///
/// # Errors
/// `ProjectMissing` if no manifest, variable, flag or config sets the project or the domain.
pub(crate) fn project_domain(
    package: &UnionPackage,
    config: &FlyteConfig,
) -> Result<ProjectDomain, Error> {
    let spec = &package.spec;
    let org = config.org.as_ref().map(|org| org.value.clone());
    let missing: Vec<&str> = [("project", &spec.project), ("domain", &spec.domain)]
        .into_iter()
        .filter(|(_, value)| value.is_none())
        .map(|(key, _)| key)
        .collect();
    let (Some(project), Some(domain)) = (&spec.project, &spec.domain) else {
        let what = format!(
            "no {} is set for the tasks of package `{}`",
            missing.join(" and no "),
            package.name()
        );
        return Err(Error::new(Code::ProjectMissing, what));
    };
    Ok(ProjectDomain {
        org: org.unwrap_or_default(),
        project: project.value.clone(),
        domain: domain.value.clone(),
    })
}
