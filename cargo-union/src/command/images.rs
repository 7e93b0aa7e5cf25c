//! `cargo union images`: lists the images of the last builds, with digests and sizes, or prints the Dockerfile of one.

use anyhow::Result;
use serde::Serialize;

use crate::exit::Exit;
use crate::pipeline::context::LoadedWorkspace;
use crate::pipeline::dockerfile::environment_dockerfile;
use crate::pipeline::state::{BuildRecord, BuildState};
use crate::settings::WorkspaceOptions;
use crate::ui::{self, Ui};

#[derive(Serialize)]
struct Document {
    images: Vec<DeclaredImageRow>,
}

#[derive(Serialize)]
struct DockerfileDocument {
    dockerfile: String,
}

#[derive(Serialize)]
struct DeclaredImageRow {
    package: String,
    image: String,
    /// `None` before the first build.
    built: Option<BuildRecord>,
}

pub(super) async fn run(options: &WorkspaceOptions, ui: &Ui) -> Result<Exit> {
    let session = LoadedWorkspace::open(options, ui).await?;
    let mut images = Vec::new();
    for declared in &session.packages {
        let mut state = BuildState::load(
            &session.workspace.target_directory,
            &declared.package.name,
            &declared.package.directory,
        );
        for image in declared.spec.images.keys() {
            images.push(DeclaredImageRow {
                package: declared.package.name.clone(),
                image: image.clone(),
                built: state.images.remove(image),
            });
        }
    }
    let document = Document { images };
    if ui.output_options().json {
        ui.document("images", &document)?;
        return Ok(Exit::Success);
    }
    let mut text = String::new();
    for row in &document.images {
        match &row.built {
            Some(record) => {
                let size = if record.size == 0 {
                    "size unknown".to_owned()
                } else {
                    ui::bytes(record.size)
                };
                let digest = record
                    .digest
                    .map_or_else(|| "not pinned".to_owned(), |digest| digest.to_string());
                text.push_str(&format!(
                    "{} {}  {}  {digest}  {size}\n",
                    row.package, row.image, record.location
                ));
            }
            None => ui.note(format!(
                "image `{}` of package `{}` was not built yet: run `cargo union build`",
                row.image, row.package
            )),
        }
    }
    ui.data(&text)?;
    Ok(Exit::Success)
}

/// `images --dockerfile IMAGE`
pub(super) async fn print_dockerfile(
    options: &WorkspaceOptions,
    image: &str,
    ui: &Ui,
) -> Result<Exit> {
    let loaded = LoadedWorkspace::open(options, ui).await?;
    let dockerfile = environment_dockerfile(&loaded, image)?;
    let document = DockerfileDocument { dockerfile };
    ui.result("dockerfile", &document, &document.dockerfile)?;
    Ok(Exit::Success)
}
