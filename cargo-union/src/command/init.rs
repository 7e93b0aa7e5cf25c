//! `cargo union init`: adds a `[package.metadata.union]` table to a manifest that has none.

use std::path::Path;

use anyhow::Result;
use union_build::diag::Code;
use union_build::spec;

use crate::exit::Exit;
use crate::sys::error::Error;
use crate::sys::fs;
use crate::ui::Ui;
use crate::workspace::{Cargo, Selection, Workspace};

pub(super) async fn run(cargo: &Cargo, manifest_path: Option<&Path>, ui: &Ui) -> Result<Exit> {
    let workspace = Workspace::load(cargo, manifest_path).await?;
    let [package] = workspace.select(&Selection::default())?[..] else {
        let error = Error::new(
            Code::NoManifest,
            format!(
                "`{}` is a workspace without a package of its own",
                workspace.root_manifest.path.display()
            ),
        );
        return Err(error
            .help("Run the command in a member's directory, or pass its `--manifest-path`.")
            .into());
    };
    if package.declares_union {
        ui.note(format!(
            "`{}` declares `[package.metadata.union]` already",
            package.manifest.path.display()
        ));
        return Ok(Exit::Success);
    }
    let binaries: Vec<String> = package
        .binaries
        .iter()
        .map(|binary| binary.name.clone())
        .collect();
    let mut text = package.manifest.text.trim_end().to_owned();
    text.push_str("\n\n");
    text.push_str(&spec::pages::template(&package.name, &binaries));
    fs::replace(&package.manifest.path, text.as_bytes())?;
    ui.status(
        "Added",
        format!(
            "[package.metadata.union] to {}; next: `cargo union build`",
            package.manifest.path.display()
        ),
    );
    Ok(Exit::Success)
}
