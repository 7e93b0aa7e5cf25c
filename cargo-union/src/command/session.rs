//! What every verb starts from: the workspace and its packages' manifests, valid.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

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
        let workspace = Workspace::load(scope.manifest_path.as_deref()).await?;
        let chosen = choose(&workspace, scope)?;
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
        workspace: workspace.root.clone(),
        binaries: package.binaries.iter().map(|binary| binary.name.clone()).collect(),
        default_run: package.default_run.clone(),
        depends_on_flyte: package.depends_on_flyte(),
    };
    spec::load(Some(&workspace.manifest), &package.manifest, &scope.overrides, &facts)
}

/// The packages that cargo would choose, less those that declare nothing.
fn choose(workspace: &Workspace, scope: &Scope) -> Result<Vec<Package>> {
    let declaring: Vec<&Package> = workspace.packages.iter().filter(|package| package.declares_union()).collect();
    let names = || ui::list(declaring.iter().map(|package| &package.name));
    for name in &scope.packages {
        if !declaring.iter().any(|package| package.name == *name) {
            let reason = if workspace.packages.iter().any(|package| package.name == *name) { "declares no images" } else { "is not in the workspace" };
            let help = format!("Packages with `[package.metadata.union]`: {}.", names());
            return Err(Error::new(Code::UnknownPackage, format!("package `{name}` {reason}")).help(help).into());
        }
    }
    let wanted = |package: &&&Package| match (&scope.packages[..], scope.workspace) {
        ([], true) => true,
        ([], false) => workspace.is_default(package),
        (names, _) => names.contains(&package.name),
    };
    let chosen: Vec<Package> = declaring.iter().filter(wanted).map(|package| (*package).clone()).collect();
    if chosen.is_empty() {
        let manifest = workspace.manifest.path.display();
        let error = Error::new(Code::NothingDeclared, format!("no `[package.metadata.union]` in the packages chosen from `{manifest}`"));
        let help = if declaring.is_empty() {
            "Run `cargo union init` in the package whose tasks shall run on Flyte.".to_owned()
        } else {
            format!("Choose with `-p` or `--workspace` among {}.", names())
        };
        return Err(error.help(help).into());
    }
    Ok(chosen)
}
