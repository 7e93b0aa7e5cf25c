//! `cargo union register`: builds and publishes images, and registers tasks with the digests of their images.

use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;

use super::build::ImageRow;
use crate::command::reporter;
use crate::deploy::registration::{RegistrationOutcome, TaskOutcome, register_tasks};
use crate::exit::Exit;
use crate::flyte::register::RegistrationAction;
use crate::flyte::triggers::TriggerSummary;
use crate::settings::RegisterOptions;
use crate::sys::error::Error;
use crate::ui::{Problem, Ui};

#[derive(Serialize)]
struct Document<'a> {
    dry_run: bool,
    images: Vec<ImageRow<'a>>,
    tasks: Vec<RegisteredTaskRow<'a>>,
    /// `TASK/NAME` of triggers of removed tasks that were deactivated.
    deactivated: Vec<String>,
}

#[derive(Serialize)]
struct RegisteredTaskRow<'a> {
    package: &'a str,
    task: &'a str,
    name: &'a str,
    project: &'a str,
    domain: &'a str,
    environment: &'a str,
    image: &'a str,
    version: &'a str,
    /// The latest version before this registration.
    latest: Option<&'a str>,
    state: &'static str,
    /// The URL of its page; `None` without a backend.
    console: Option<&'a str>,
    /// The triggers of earlier versions that were deactivated, because they are not declared any more.
    deactivated: Vec<&'a str>,
    problem: Option<Problem>,
}

impl<'a> RegisteredTaskRow<'a> {
    fn of(outcome: &'a TaskOutcome) -> Self {
        let TaskOutcome {
            package,
            task,
            name,
            scope,
            environment,
            image,
            version,
            page,
            result,
        } = outcome;
        let plan = result.as_ref().ok();
        let deactivated = plan.map_or(&[][..], |plan| &plan.undeclared.ours);
        Self {
            package,
            task,
            name,
            project: &scope.project,
            domain: &scope.domain,
            environment,
            image,
            version: plan.map_or(version, |plan| &plan.version),
            latest: plan.and_then(|plan| plan.latest.as_deref()),
            state: plan.map_or("failed", |plan| state_word(plan.state)),
            console: page.as_deref(),
            deactivated: deactivated.iter().map(|trigger| &*trigger.name).collect(),
            problem: result.as_ref().err().map(Problem::of_error),
        }
    }
}

pub(super) async fn run(options: &RegisterOptions, ui: &Arc<Ui>) -> Result<Exit> {
    let outcome = register_tasks(options, &reporter(ui)).await?;
    show(&outcome, options.options.dry, ui)?;
    // Errors come last and are not mixed with the status of other tasks.
    let of_tasks = outcome.tasks.iter().map(|task| task.result.as_ref().err());
    let of_triggers = outcome.deactivated.as_ref().err();
    let errors: Vec<&Error> = of_tasks.chain([of_triggers]).flatten().collect();
    ui.errors(&errors);
    Ok(if errors.is_empty() {
        Exit::Success
    } else {
        Exit::Failure
    })
}

fn show(outcome: &RegistrationOutcome, dry_run: bool, ui: &Ui) -> Result<()> {
    let tasks: Vec<RegisteredTaskRow<'_>> =
        outcome.tasks.iter().map(RegisteredTaskRow::of).collect();
    if ui.output_options().json {
        let images = outcome
            .packages
            .iter()
            .flat_map(|package| &package.images)
            .map(ImageRow::of)
            .collect();
        let deactivated = outcome.deactivated.as_deref().unwrap_or_default();
        ui.document(
            "register",
            &Document {
                dry_run,
                images,
                tasks,
                deactivated: deactivated.iter().map(TriggerSummary::path).collect(),
            },
        )?;
    } else {
        let registered = tasks.iter().filter(|task| task.problem.is_none());
        let line = |task: &RegisteredTaskRow<'_>| {
            format!(
                "{}/{}/{}@{}\n",
                task.project, task.domain, task.name, task.version
            )
        };
        ui.data(&registered.map(line).collect::<String>())?;
    }
    Ok(())
}

fn state_word(state: RegistrationAction) -> &'static str {
    match state {
        RegistrationAction::New => "new",
        RegistrationAction::Updated => "updated",
        RegistrationAction::Again => "again",
        RegistrationAction::Replaced => "replaced",
        RegistrationAction::Unchanged => "unchanged",
    }
}
