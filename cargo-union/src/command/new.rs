//! `cargo union new`: creates a package that builds an image.

use anyhow::Result;

use super::init::show;
use crate::exit::Exit;
use crate::scaffold;
use crate::settings::NewOptions;
use crate::ui::Ui;

pub(super) async fn run(new: &NewOptions, ui: &Ui) -> Result<Exit> {
    let outcome = scaffold::create(&new.cargo, &new.project).await?;
    ui.status("Created", outcome.directory.display());
    show("new", &outcome, false, ui)
}
