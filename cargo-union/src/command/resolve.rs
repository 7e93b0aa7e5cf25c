//! `cargo union resolve`: prints YAML files with the pinned references of images.

use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;

use crate::command::reporter;
use crate::exit::Exit;
use crate::pipeline::yaml_files;
use crate::settings::ResolveOptions;
use crate::ui::Ui;

#[derive(Serialize)]
struct Document<'a> {
    yaml: &'a str,
}

pub(super) async fn run(options: &ResolveOptions, ui: &Arc<Ui>) -> Result<Exit> {
    let yaml = yaml_files::resolve(options, &reporter(ui)).await?;
    ui.result("resolve", &Document { yaml: &yaml }, &yaml)?;
    Ok(Exit::Success)
}
