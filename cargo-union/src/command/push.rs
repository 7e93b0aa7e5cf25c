//! `cargo union push`: copies an image with its referrers to another registry.

use std::sync::Arc;

use anyhow::Result;

use crate::command::reporter;
use crate::exit::Exit;
use crate::pipeline::promotion;
use crate::settings::PushOptions;
use crate::ui::Ui;

pub(super) async fn run(options: &PushOptions, ui: &Arc<Ui>) -> Result<Exit> {
    let pushed = promotion::push(options, &reporter(ui)).await?;
    ui.result("push", &pushed, &format!("{}\n", pushed.pinned))?;
    Ok(Exit::Success)
}
