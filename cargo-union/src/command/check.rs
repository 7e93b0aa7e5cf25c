//! `cargo union check`: validates manifests and reports all of their problems.

use anyhow::Result;
use serde::Serialize;
use union_build::spec::BackendChoice;

use crate::deploy::capabilities;
use crate::exit::Exit;
use crate::flyte::capabilities::BackendKind;
use crate::pipeline::context::LoadedWorkspace;
use crate::pipeline::problems::ManifestProblems;
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
    // With `auto` the backend is not called: the manifest is valid for one of the generations.
    if session.generation()? == BackendChoice::Flyte1 {
        let problems = capabilities::problems(BackendKind::Flyte1, &session);
        if !problems.is_empty() {
            return Err(ManifestProblems(problems).into());
        }
        capabilities::note_left_out(BackendKind::Flyte1, &session, ui);
    }
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
