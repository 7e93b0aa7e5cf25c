//! `cargo union init`: adds a starter manifest, a task and a build script to an existing package.

use anyhow::Result;

use crate::exit::Exit;
use crate::scaffold::{self, ScaffoldOutcome};
use crate::settings::InitOptions;
use crate::ui::Ui;

pub(super) async fn run(init: &InitOptions, ui: &Ui) -> Result<Exit> {
    let manifest_path = init.manifest_path.as_deref();
    let outcome = scaffold::init(&init.cargo, manifest_path, &init.added, init.dry_run).await?;
    if outcome.files.is_empty() {
        let directory = outcome.directory.display();
        ui.note(format!(
            "`{directory}/Cargo.toml` declares `[package.metadata.union]` already"
        ));
    } else if !init.dry_run {
        let changed = outcome.files.iter().map(|file| file.path.display());
        changed.for_each(|path| ui.status("Wrote", path));
    }
    show("init", &outcome, init.dry_run, ui)
}

/// The document, or the next commands and in a dry run the diffs.
pub(super) fn show(name: &str, outcome: &ScaffoldOutcome, dry_run: bool, ui: &Ui) -> Result<Exit> {
    if ui.output_options().json {
        ui.document(name, &outcome.document(dry_run))?;
    } else if dry_run {
        ui.data(&outcome.diff())?;
    }
    if !dry_run {
        let next = outcome.next.iter();
        next.for_each(|command| ui.status("Next", command));
    }
    Ok(Exit::Success)
}
