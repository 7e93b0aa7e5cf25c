//! What every verb starts from: the workspace and its packages' manifests, valid.

use anyhow::Result;
use union_build::diag::{Code, Diagnostic, Severity};
use union_build::spec::{self, Facts, Setting, Spec};

use crate::base::error::Error;
use crate::settings::Scope;
use crate::ui::{self, Ui};
use crate::workspace::{Package, Workspace};

/// The manifests have problems, which are shown already.
#[derive(Debug, thiserror::Error)]
#[error("the manifests have problems")]
pub(super) struct Problems(pub(super) Vec<Diagnostic>);

/// The workspace and the packages that were chosen.
pub(super) struct Session {
    /// The workspace.
    pub(super) workspace: Workspace,
    /// Chosen packages that declare images, in the order of the workspace.
    pub(super) packages: Vec<Declared>,
    /// Warnings of their manifests.
    pub(super) warnings: Vec<Diagnostic>,
}

/// A package and what it declares.
pub(super) struct Declared {
    /// The package.
    pub(super) package: Package,
    /// Its valid manifest.
    pub(super) spec: Spec,
    /// Its resolved configuration, line by line.
    pub(super) settings: Vec<Setting>,
}

impl Session {
    /// Loads the workspace, chooses packages as cargo does, and validates their manifests.
    ///
    /// # Errors
    /// [`Problems`] with all of them, or what cargo says.
    pub(super) async fn open(scope: &Scope, ui: &Ui) -> Result<Self> {
        let workspace = Workspace::load(&scope.cargo, scope.manifest_path.as_deref()).await?;
        let chosen: Vec<Package> = choose(&workspace, scope)?.into_iter().cloned().collect();
        let mut packages = Vec::new();
        let mut problems = Vec::new();
        for package in chosen {
            let (spec, found, settings) = load(&workspace, &package, scope);
            for problem in found {
                // Two members share the workspace's defaults and so their problems.
                if !problems.contains(&problem) {
                    problems.push(problem);
                }
            }
            packages.extend(spec.map(|spec| Declared { package, spec, settings }));
        }
        if problems.iter().any(|problem| problem.severity == Severity::Error) {
            return Err(Problems(problems).into());
        }
        ui.diagnostics(&problems);
        Ok(Self { workspace, packages, warnings: problems })
    }
}

fn load(workspace: &Workspace, package: &Package, scope: &Scope) -> (Option<Spec>, Vec<Diagnostic>, Vec<Setting>) {
    let facts = Facts {
        package: package.name.clone(),
        folder: package.folder.clone(),
        workspace_root: workspace.root.clone(),
        binaries: package.binaries.iter().map(|binary| binary.name.clone()).collect(),
        default_run: package.default_run.clone(),
        depends_on_flyte: package.depends_on_flyte(),
    };
    spec::load(Some(&workspace.root_manifest), &package.manifest, &scope.overrides, &facts)
}

/// The packages that cargo would choose, less those that declare nothing.
fn choose<'a>(workspace: &'a Workspace, scope: &Scope) -> Result<Vec<&'a Package>> {
    let selected = workspace.select(&scope.selection)?;
    let silent = selected.iter().find(|package| !package.declares_union && scope.selection.packages.contains(&package.name));
    let chosen: Vec<&Package> = selected.iter().copied().filter(|package| package.declares_union).collect();
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
        format!("Choose with `-p` or `--workspace` among {}.", ui::list(declaring))
    };
    Err(Error::new(Code::NothingDeclared, what).help(help).into())
}
