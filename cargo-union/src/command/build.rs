//! `cargo union build`: compiles, packs and publishes the images that are missing.

use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;

use crate::command::reporter;
use crate::exit::Exit;
use crate::image::plan::PlannedImage;
use crate::pipeline::build::build_images;
use crate::pipeline::context::LoadedWorkspace;
use crate::pipeline::outcome::{ImageOutcome, PackageOutcome};
use crate::settings::BuildOptions;
use crate::sys::digest::Digest;
use crate::ui::Ui;

#[derive(Serialize)]
struct Document<'a> {
    images: Vec<ImageRow<'a>>,
}

/// An image in the documents of `build` and `register`.
#[derive(Serialize)]
pub(super) struct ImageRow<'a> {
    #[serde(flatten)]
    planned: &'a PlannedImage,
    location: &'a str,
    pinned: Option<&'a str>,
    /// `None` when the registry of the remote builder does not return it.
    digest: Option<Digest>,
    /// Uploaded bytes.
    sent: u64,
    adopted: bool,
}

impl<'a> ImageRow<'a> {
    pub(super) fn of(image: &'a ImageOutcome) -> Self {
        let ImageOutcome {
            planned,
            record,
            sent,
            adopted,
        } = image;
        Self {
            planned,
            location: &record.location,
            pinned: record.pinned.as_deref(),
            digest: record.digest,
            sent: *sent,
            adopted: *adopted,
        }
    }
}

pub(super) async fn run(options: &BuildOptions, ui: &Arc<Ui>) -> Result<Exit> {
    let session = LoadedWorkspace::open_with_cache(&options.scope, &**ui).await?;
    let packages = build_images(options, &session, &reporter(ui)).await?;
    show(&packages, ui)?;
    Ok(Exit::Success)
}

fn show(packages: &[PackageOutcome], ui: &Ui) -> Result<()> {
    let images: Vec<ImageRow<'_>> = packages
        .iter()
        .flat_map(|package| &package.images)
        .map(ImageRow::of)
        .collect();
    let line = |image: &ImageRow<'_>| format!("{}\n", image.pinned.unwrap_or(image.location));
    let text: String = images.iter().map(line).collect();
    Ok(ui.result("build", &Document { images }, &text)?)
}
