//! `cargo union schema`, `completions` and `man`: prints a text that depends on no manifest.

use anyhow::Result;

use crate::exit::Exit;
use crate::ui::Ui;

pub(super) fn run(text: &str, ui: &Ui) -> Result<Exit> {
    ui.data(text)?;
    Ok(Exit::Success)
}
