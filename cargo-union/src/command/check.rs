//! `cargo union check`: validates manifests and reports all of their problems.

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

pub(super) async fn run(options: &WorkspaceOptions, ui: &Ui) -> Result<Exit> {
    let session = LoadedWorkspace::open(options, ui).await?;
    let packages = session.packages.iter().map(|declared| CheckedPackage {
        package: declared.package.name.clone(),
        images: declared.spec.images.keys().cloned().collect(),
        tasks: declared.spec.tasks.keys().cloned().collect(),
    });
    let document = Document {
        packages: packages.collect(),
        problems: session.warnings.iter().map(Problem::of).collect(),
    };
    for package in &document.packages {
        ui.status(
            "Checked",
            format!(
                "{}: images {}, tasks {}",
                package.package,
                ui::list(&package.images),
                ui::list(&package.tasks)
            ),
        );
    }
    if ui.output_options().json {
        ui.document("check", &document)?;
    }
    Ok(Exit::Success)
}
