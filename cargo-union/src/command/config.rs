//! `cargo union config`: prints the resolved configuration with the origin of each value.

use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;
use union_build::spec::Setting;

use crate::exit::Exit;
use crate::pipeline::context::LoadedWorkspace;
use crate::settings::WorkspaceOptions;
use crate::ui::Ui;

/// Longer assignments do not widen the column.
const MAX_COLUMN: usize = 60;

#[derive(Serialize)]
struct Document {
    packages: Vec<PackageConfig>,
    backend: BackendConfig,
}

/// The Flyte config.
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

pub(super) async fn run(options: &WorkspaceOptions, ui: &Ui) -> Result<Exit> {
    let session = LoadedWorkspace::open(options, ui).await?;
    let packages = session.packages.iter().map(|declared| PackageConfig {
        package: declared.package.name.clone(),
        settings: config_rows(&declared.settings),
    });
    let backend = BackendConfig {
        file: session.backend.file.clone(),
        settings: config_rows(&session.backend.settings()),
    };
    let document = Document {
        packages: packages.collect(),
        backend,
    };
    ui.result("config", &document, &format_document(&document))?;
    Ok(Exit::Success)
}

fn config_rows(settings: &[Setting]) -> Vec<ConfigRow> {
    let row = |setting: &Setting| ConfigRow {
        key: setting.key.clone(),
        value: setting.value.clone(),
        origin: setting.origin.to_string(),
    };
    settings.iter().map(row).collect()
}

/// The document as TOML for a manifest. The Flyte config, which is not a part of a manifest, is commented out.
fn format_document(document: &Document) -> String {
    let mut text = String::new();
    for package in &document.packages {
        text.push_str(&format!("# {}\n", package.package));
        append_rows(&mut text, "", &package.settings);
    }
    text.push_str("# the backend\n");
    append_rows(&mut text, "# ", &document.backend.settings);
    text
}

/// Appends one assignment per line, with the origins as comments in a column of their own.
fn append_rows(text: &mut String, prefix: &str, rows: &[ConfigRow]) {
    let assignments: Vec<String> = rows
        .iter()
        .map(|row| format!("{prefix}{} = {}", row.key, row.value))
        .collect();
    let lengths = assignments
        .iter()
        .map(|assignment| assignment.chars().count());
    let width = lengths
        .filter(|length| *length <= MAX_COLUMN)
        .max()
        .unwrap_or(0);
    for (assignment, row) in assignments.iter().zip(rows) {
        text.push_str(&format!("{assignment:width$}  # {}\n", row.origin));
    }
}
