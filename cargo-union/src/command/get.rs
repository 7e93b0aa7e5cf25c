//! `cargo union get`: lists and details of the backend's resources.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;
use union_build::spec::BackendChoice;

use crate::command::reporter;
use crate::deploy::listing;
use crate::deploy::project::{ProjectContext, open_context};
use crate::exit::Exit;
use crate::flyte::console;
use crate::flyte::runs::{RunIdent, report_run};
use crate::pipeline::backend;
use crate::run::report::RunDocument;
use crate::settings::{GetOptions, Resource};
use crate::sys::words::{TableRow, rows};
use crate::ui::Ui;

#[derive(Serialize)]
struct Document<'a, R> {
    /// `None` for projects.
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<&'a str>,
    /// The rows, or the task, under the name of the resource.
    #[serde(flatten)]
    resource: BTreeMap<&'a str, R>,
}

pub(super) async fn run(options: &GetOptions, ui: &Arc<Ui>) -> Result<Exit> {
    let reporter = reporter(ui);
    if options.of == Resource::Projects {
        let config = backend::valid(&options.scope.backend, &**ui)?;
        let client = backend::client(
            &options.scope.backend,
            &config,
            BackendChoice::Auto,
            false,
            &reporter,
        )?;
        let org = config.org.map(|org| org.value).unwrap_or_default();
        return show(
            ui,
            None,
            "projects",
            &listing::project_rows(&client, &org).await?,
        );
    }
    let context = open_context(&options.scope, &reporter).await?;
    let scope = Some((
        context.scope.project.as_str(),
        context.scope.domain.as_str(),
    ));
    match &options.of {
        Resource::Tasks(limit) => show(
            ui,
            scope,
            "tasks",
            &listing::task_rows(&context, *limit).await?,
        ),
        Resource::Runs(filter) => show(
            ui,
            scope,
            "runs",
            &listing::run_rows(&context, filter).await?,
        ),
        Resource::Triggers(task) => {
            let triggers = listing::trigger_rows(&context, task.as_deref()).await?;
            show(ui, scope, "triggers", &triggers)
        }
        Resource::Task {
            task,
            version,
            limit,
        } => {
            let shown = listing::task_document(&context, task, version.as_deref(), *limit).await?;
            ui.result("get", &document(scope, "task", &shown), &shown.to_string())?;
            Ok(Exit::Success)
        }
        Resource::Run(run) => show_run(&context, run, ui).await,
        Resource::Projects => Ok(Exit::Success),
    }
}

/// Shows the details of one run.
async fn show_run(context: &ProjectContext, name: &str, ui: &Ui) -> Result<Exit> {
    let client = &context.client;
    let run = RunIdent {
        scope: context.scope.clone(),
        name: name.to_owned(),
    };
    let page = console::run(client, &run.scope, &run.name);
    let report = report_run(client, &run).await?;
    let row = RunDocument::of(&run, &report, &page);
    let scope = Some((run.scope.project.as_str(), run.scope.domain.as_str()));
    ui.result("get", &document(scope, "run", &row), &row.to_string())?;
    Ok(Exit::Success)
}

/// Shows the rows of a list; `scope` is the project and domain of the list.
pub(super) fn show<R: TableRow + Serialize>(
    ui: &Ui,
    scope: Option<(&str, &str)>,
    resource: &str,
    list: &[R],
) -> Result<Exit> {
    if ui.output_options().json {
        ui.document("get", &document(scope, resource, list))?;
    } else if list.is_empty() {
        let of = scope.map(|(project, domain)| format!(" in {project}/{domain}"));
        ui.note(format!("there are no {resource}{}", of.unwrap_or_default()));
    } else {
        ui.data(&rows(list))?;
    }
    Ok(Exit::Success)
}

fn document<'a, R: ?Sized>(
    scope: Option<(&'a str, &'a str)>,
    resource: &'a str,
    value: &'a R,
) -> Document<'a, &'a R> {
    Document {
        project: scope.map(|(project, _)| project),
        domain: scope.map(|(_, domain)| domain),
        resource: [(resource, value)].into(),
    }
}
