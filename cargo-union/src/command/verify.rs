//! `cargo union verify`: compares the key of an image with that of this checkout.

use std::sync::Arc;

use anyhow::Result;

use crate::command::reporter;
use crate::exit::Exit;
use crate::pipeline::context::LoadedWorkspace;
use crate::pipeline::verify::verify;
use crate::settings::VerifyOptions;
use crate::ui::Ui;

pub(super) async fn run(options: &VerifyOptions, ui: &Arc<Ui>) -> Result<Exit> {
    let session = LoadedWorkspace::open_with_cache(&options.build.scope, &**ui).await?;
    let result = verify(options, &session, &reporter(ui)).await?;
    match ui.output_options().json {
        true => ui.document("verify", &result)?,
        false => ui.data(&result.to_string())?,
    }
    match result.identical {
        true => Ok(Exit::Success),
        false => Ok(Exit::Failure),
    }
}
