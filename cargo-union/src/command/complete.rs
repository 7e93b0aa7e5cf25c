//! `cargo union complete`: names for shells, one per line. Errors are not shown, and the run time is limited.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use crate::command::reporter;
use crate::deploy::listing;
use crate::exit::Exit;
use crate::settings::CompleteOptions;
use crate::ui::Ui;

/// The time limit, since a user waits at the prompt.
const LIMIT: Duration = Duration::from_millis(1500);

pub(super) async fn run(options: &CompleteOptions, ui: &Arc<Ui>) -> Result<Exit> {
    let reporter = reporter(ui);
    let names = listing::names(&options.scope, options.runs, &reporter);
    if let Ok(Ok(names)) = tokio::time::timeout(LIMIT, names).await {
        let lines = names.iter().map(|name| format!("{name}\n"));
        ui.data(&lines.collect::<String>())?;
    }
    Ok(Exit::Success)
}
