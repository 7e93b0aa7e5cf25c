//! `cargo union doctor`: checks everything that a build, a push and a registration need.

use std::sync::Arc;

use anyhow::Result;

use crate::command::reporter;
use crate::doctor::{CheckStatus, diagnose};
use crate::exit::Exit;
use crate::settings::WorkspaceOptions;
use crate::ui::Ui;

pub(super) async fn run(options: &WorkspaceOptions, ui: &Arc<Ui>) -> Result<Exit> {
    let checks = diagnose(options, &reporter(ui)).await;
    ui.checks(&checks)?;
    let failed = checks.iter().any(|c| c.status == CheckStatus::Error);
    Ok(if failed { Exit::Failure } else { Exit::Success })
}
