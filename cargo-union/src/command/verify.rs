//! `cargo union verify`: compares the key of an image with that of this checkout, and verifies its signature.

use std::sync::Arc;

use anyhow::Result;

use crate::command::reporter;
use crate::exit::Exit;
use crate::pipeline::verify::verify;
use crate::settings::VerifyOptions;
use crate::ui::Ui;

pub(super) async fn run(options: &VerifyOptions, ui: &Arc<Ui>) -> Result<Exit> {
    let result = verify(options, &reporter(ui)).await?;
    match ui.output_options().json {
        true => ui.document("verify", &result)?,
        false => ui.data(&result.to_string())?,
    }
    match result.is_good() {
        true => Ok(Exit::Success),
        false => Ok(Exit::Failure),
    }
}
