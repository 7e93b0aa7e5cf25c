//! `cargo union config`: the resolved configuration and where each value comes from.

use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;
use union_build::spec::Setting;

use crate::exit::Exit;
use crate::pipeline::context::LoadedWorkspace;
use crate::settings::WorkspaceOptions;
use crate::ui::Ui;

#[derive(Serialize)]
struct Document {
    packages: Vec<PackageConfig>,
    backend: BackendConfig,
}

/// The Flyte config. Most of it has no place in a manifest.
#[derive(Serialize)]
struct BackendConfig {
    file: Option<PathBuf>,
    settings: Vec<ConfigRow>,
}

#[derive(Serialize)]
struct PackageConfig {
    package: String,
    settings: Vec<ConfigRow>,
}

#[derive(Serialize)]
struct ConfigRow {
    key: String,
    value: String,
    origin: String,
}

pub(super) async fn run(scope: &WorkspaceOptions, ui: &Ui) -> Result<Exit> {
    let session = LoadedWorkspace::open(scope, ui).await?;
    let packages = session
        .packages
        .iter()
        .map(|declared| PackageConfig { package: declared.package.name.clone(), settings: lines(&declared.settings) });
    let backend = BackendConfig { file: session.backend.file.clone(), settings: lines(&session.backend.settings()) };
    let document = Document { packages: packages.collect(), backend };
    if ui.output_options().json {
        ui.document("config", &document)?;
    } else {
        ui.data(&text(&document))?;
    }
    Ok(Exit::Success)
}

fn lines(settings: &[Setting]) -> Vec<ConfigRow> {
    let line = |setting: &Setting| ConfigRow { key: setting.key.clone(), value: setting.value.clone(), origin: setting.origin.to_string() };
    settings.iter().map(line).collect()
}

/// TOML that could be pasted into a manifest; the backend, which could not, is a comment.
fn text(document: &Document) -> String {
    let mut text = String::new();
    for package in &document.packages {
        text.push_str(&format!("# {}\n", package.package));
        columns(&mut text, "", &package.settings);
    }
    text.push_str("# the backend\n");
    columns(&mut text, "# ", &document.backend.settings);
    text
}

/// One assignment a line, with each origin as a comment in a column of its own.
fn columns(text: &mut String, start: &str, settings: &[ConfigRow]) {
    let assignments: Vec<String> = settings.iter().map(|line| format!("{start}{} = {}", line.key, line.value)).collect();
    let width = assignments.iter().map(|line| line.chars().count()).filter(|width| *width <= 60).max().unwrap_or(0);
    for (assignment, line) in assignments.iter().zip(settings) {
        text.push_str(&format!("{assignment:width$}  # {}\n", line.origin));
    }
}
