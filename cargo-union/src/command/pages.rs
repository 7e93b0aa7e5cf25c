//! `schema`, `completions`, `man`: pages that are known before anything is read.

use anyhow::Result;

use crate::exit::Exit;
use crate::ui::Ui;

pub(super) fn run(text: &str, ui: &Ui) -> Result<Exit> {
    ui.data(text)?;
    Ok(Exit::Success)
}
