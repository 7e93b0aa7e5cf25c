//! `cargo union config`: the resolved configuration and where each value comes from.

use anyhow::Result;
use serde::Serialize;

use super::session::Session;
use crate::exit::Exit;
use crate::settings::Scope;
use crate::ui::Ui;

#[derive(Serialize)]
struct Document {
    packages: Vec<Package>,
}

#[derive(Serialize)]
struct Package {
    package: String,
    settings: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    key: String,
    value: String,
    origin: String,
}

pub(super) async fn run(scope: &Scope, ui: &Ui) -> Result<Exit> {
    let session = Session::open(scope, ui).await?;
    let packages = session.packages.iter().map(|declared| Package {
        package: declared.package.name.clone(),
        settings: declared
            .settings
            .iter()
            .map(|setting| Line { key: setting.key.clone(), value: setting.value.clone(), origin: setting.origin.to_string() })
            .collect(),
    });
    let document = Document { packages: packages.collect() };
    if ui.talk().json {
        ui.document("config", &document)?;
    } else {
        ui.data(&text(&document))?;
    }
    Ok(Exit::Success)
}

/// TOML that could be pasted into a manifest, with each origin as a comment in a column of its own.
fn text(document: &Document) -> String {
    let mut text = String::new();
    for package in &document.packages {
        text.push_str(&format!("# {}\n", package.package));
        let assignments: Vec<String> = package.settings.iter().map(|line| format!("{} = {}", line.key, line.value)).collect();
        let width = assignments.iter().map(|line| line.chars().count()).filter(|width| *width <= 60).max().unwrap_or(0);
        for (assignment, line) in assignments.iter().zip(&package.settings) {
            text.push_str(&format!("{assignment:width$}  # {}\n", line.origin));
        }
    }
    text
}
