//! `cargo union check`: every problem of the manifests at once.

use anyhow::Result;
use serde::Serialize;

use crate::exit::Exit;
use crate::pipeline::context::LoadedWorkspace;
use crate::settings::WorkspaceOptions;
use crate::ui::{self, Problem, Ui};

#[derive(Serialize)]
struct Document {
    packages: Vec<CheckedPackage>,
    problems: Vec<Problem>,
}

#[derive(Serialize)]
struct CheckedPackage {
    package: String,
    images: Vec<String>,
    tasks: Vec<String>,
}

pub(super) async fn run(scope: &WorkspaceOptions, ui: &Ui) -> Result<Exit> {
    let session = LoadedWorkspace::open(scope, ui).await?;
    let checked = session.packages.iter().map(|declared| CheckedPackage {
        package: declared.package.name.clone(),
        images: declared.spec.images.keys().cloned().collect(),
        tasks: declared.spec.tasks.keys().cloned().collect(),
    });
    let document = Document { packages: checked.collect(), problems: session.warnings.iter().map(Problem::of).collect() };
    for package in &document.packages {
        ui.status("Checked", format!("{}: images {}, tasks {}", package.package, ui::list(&package.images), ui::list(&package.tasks)));
    }
    if ui.output_options().json {
        ui.document("check", &document)?;
    }
    Ok(Exit::Success)
}
