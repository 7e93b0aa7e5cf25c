//! `cargo union create config`: writes a Flyte config.

use anyhow::Result;
use serde::Serialize;

use crate::deploy::flyte_config;
use crate::exit::Exit;
use crate::settings::NewFlyteConfig;
use crate::ui::Ui;

#[derive(Serialize)]
struct Document {
    file: String,
}

pub(super) fn run(new: &NewFlyteConfig, ui: &Ui) -> Result<Exit> {
    flyte_config::write(new)?;
    let file = new.output.display().to_string();
    ui.status("Wrote", &file);
    if ui.output_options().json {
        ui.document("create", &Document { file })?;
    }
    Ok(Exit::Success)
}
