//! `cargo union get run`: all that the backend knows of one run.

use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;

use crate::command::reporter;
use crate::deploy::project::open_project;
use crate::exit::Exit;
use crate::flyte::console;
use crate::flyte::runs::{RunIdent, report_run};
use crate::run::report::RunDocument;
use crate::settings::GetRunOptions;
use crate::ui::Ui;

#[derive(Serialize)]
struct Document<'a> {
    project: &'a str,
    domain: &'a str,
    run: RunDocument<'a>,
}

pub(super) async fn run(options: &GetRunOptions, ui: &Arc<Ui>) -> Result<Exit> {
    let (client, scope) = open_project(&options.scope, &reporter(ui)).await?;
    let run = RunIdent {
        scope,
        name: options.run.clone(),
    };
    let page = console::run(&client.endpoint(), &run.scope, &run.name);
    let report = report_run(&client, &run).await?;
    let row = RunDocument::of(&run, &report, &page);
    if ui.output_options().json {
        let document = Document {
            project: &run.scope.project,
            domain: &run.scope.domain,
            run: row,
        };
        ui.document("get", &document)?;
    } else {
        ui.data(&row.to_string())?;
    }
    Ok(Exit::Success)
}
