//! `cargo union register`: images built and pushed, tasks registered, pinned by digest.

use crate::command::reporter;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt as _};
use serde::Serialize;
use union_build::diag::Code;

use super::build::ImageRow;
use crate::deploy::access;
use crate::deploy::{self, TaskIdent, TaskRegistration};
use crate::exit::Exit;
use crate::flyte::client::Client;
use crate::flyte::console;
use crate::flyte::convert::ProjectDomain;
use crate::flyte::project;
use crate::flyte::register::{RegistrationAction, RegistrationPlan, apply_registration, plan_registration, unseen};
use crate::flyte::version::TaskVersionHash;
use crate::image::plan::ImageAction;
use crate::image::reference::PinnedRef;
use crate::pipeline::backend;
use crate::pipeline::context;
use crate::pipeline::context::LoadedWorkspace;
use crate::pipeline::execute;
use crate::pipeline::outcome::{self, PackageOutcome};
use crate::pipeline::plan::BuildPlan;
use crate::settings::RegisterOptions;
use crate::sys::error::Error;
use crate::sys::fs;
use crate::sys::process::ProcessCommand;
use crate::ui::{Problem, Ui};
use crate::workspace::Snapshot;

#[derive(Serialize)]
struct Document<'a> {
    dry_run: bool,
    images: Vec<ImageRow<'a>>,
    tasks: Vec<TaskReport<'a>>,
}

#[derive(Serialize)]
struct TaskReport<'a> {
    package: &'a str,
    task: &'a str,
    name: &'a str,
    project: &'a str,
    domain: &'a str,
    environment: &'a str,
    image: &'a str,
    version: &'a str,
    /// The latest version before this run.
    latest: Option<&'a str>,
    state: &'static str,
    /// Its page; `None` when no backend is known.
    console: Option<String>,
    problem: Option<Problem>,
}

pub(super) async fn run(register: &RegisterOptions, ui: &Arc<Ui>) -> Result<Exit> {
    let work = &register.options;
    let version = register.version.as_deref().map(TaskVersionHash::chosen).transpose()?;
    let session = LoadedWorkspace::open_with_cache(&work.scope, &**ui).await?;
    if register.require_clean {
        check_clean(register, &session.workspace.root).await?;
    }
    let client = client(register, &session, ui)?;
    let (built, tasks) = prepare(register, &session, version.as_ref(), client.as_ref(), ui).await?;
    let registering = tasks.iter().map(|task| async { one(register, client.as_ref(), task, ui).await });
    let outcomes: Vec<Result<RegistrationPlan, Error>> = stream::iter(registering).buffered(work.jobs).collect().await;
    report(register, client.as_ref(), &built, &tasks, &outcomes, ui)
}

/// The backend; `None` in a dry run when there is none to ask.
fn client(register: &RegisterOptions, session: &LoadedWorkspace, ui: &Arc<Ui>) -> Result<Option<Client>> {
    if register.options.dry && session.backend.endpoint.is_none() {
        ui.note("no backend is configured, so the requests are those for one that has none of the tasks");
        return Ok(None);
    }
    Ok(Some(backend::client(&register.options.scope.backend, &session.backend, false, &reporter(ui))?))
}

/// Builds and publishes images, up to everything that the chosen tasks are registered from.
///
/// # Errors
/// What is wrong with them, or with where they go.
pub(super) async fn prepare<'a>(
    register: &'a RegisterOptions,
    session: &'a LoadedWorkspace,
    version: Option<&TaskVersionHash>,
    client: Option<&Client>,
    ui: &Arc<Ui>,
) -> Result<(Vec<PackageOutcome>, Vec<TaskRegistration<'a>>)> {
    let work = &register.options;
    let scopes = scopes(register, session)?;
    let snapshot = Snapshot::take(&work.scope.cargo, &session.workspace, &work.scope.cache, &**ui).await?;
    // Whoever has to wait for a compile should not hear only then that there is no such project.
    let places: BTreeSet<&ProjectDomain> = scopes.iter().collect();
    let places = places.into_iter().filter_map(|scope| client.map(|client| project::check(client, scope)));
    let places = async { Ok(try_join_all(places).await?) };
    let (planning, _) = futures_util::future::try_join(BuildPlan::compute(work, session, &snapshot, &reporter(ui)), places).await?;
    let built = execute::execute(work, session, &snapshot, planning, &reporter(ui)).await?;
    let mut tasks = Vec::new();
    for ((declared, built), scope) in session.packages.iter().zip(&built).zip(&scopes) {
        tasks.extend(deploy::registrables(declared, built, scope, version, &work.tasks)?);
        access::check(register, &declared.spec, pinned_images(built), &**ui).await?;
    }
    deploy::check_collisions(tasks.iter().map(TaskRegistration::named))?;
    Ok((built, tasks))
}

/// Where each package's tasks go; what is known to be wrong is said before anything is done.
fn scopes(register: &RegisterOptions, session: &LoadedWorkspace) -> Result<Vec<ProjectDomain>> {
    let mut scopes = Vec::new();
    for declared in &session.packages {
        deploy::check_registries(declared, &register.options.tasks)?;
        scopes.push(context::project_domain(declared, &session.backend)?);
    }
    let named = session.packages.iter().zip(&scopes).flat_map(|(declared, scope)| {
        let tasks = deploy::tasks(declared, &register.options.tasks);
        tasks.filter_map(move |task| Some(TaskIdent { package: &declared.package.name, task, scope, name: deploy::declared_name(task)? }))
    });
    deploy::check_collisions(named)?;
    Ok(scopes)
}

/// The images that are in their registry: in a dry run, those that were there before.
fn pinned_images(built: &PackageOutcome) -> BTreeSet<PinnedRef> {
    let there = |made: &&outcome::ImageOutcome| made.sent > 0 || made.adopted || made.planned.action == ImageAction::Reuse;
    let images = built.images.iter().filter(there);
    images
        .filter_map(|made| {
            let resolved = built.plan.resolved.iter().find(|resolved| resolved.name == made.planned.image)?;
            // What the backend has made itself, its clusters can pull.
            let reference = resolved.reference().filter(|_| !resolved.is_remote())?;
            Some(reference.repository.pinned(made.record.digest?))
        })
        .collect()
}

async fn check_clean(register: &RegisterOptions, root: &Path) -> Result<()> {
    let dirty = |what: &str| Error::new(Code::TreeDirty, format!("`{}` {what}", root.display()));
    let mut git = ProcessCommand::new("git", root, &register.options.scope.cargo.environment);
    git.args(["status", "--porcelain", "--", "."]);
    let status = git.output().await?.success().map_err(|cause| dirty("is not a git working tree that can be read").because(cause))?;
    let status = String::from_utf8_lossy(&status);
    if status.trim().is_empty() {
        return Ok(());
    }
    const SHOWN: usize = 10;
    let mut lines: Vec<&str> = status.lines().take(SHOWN).collect();
    if status.lines().count() > SHOWN {
        lines.push("…");
    }
    Err(dirty("has changes that are not committed").because(lines.join("\n")).into())
}

/// Registers one task; what it fails with is its own.
pub(super) async fn one(
    register: &RegisterOptions,
    client: Option<&Client>,
    task: &TaskRegistration<'_>,
    ui: &Ui,
) -> Result<RegistrationPlan, Error> {
    let dry = register.options.dry;
    let decision = match client {
        Some(client) => plan_registration(client, &task.source, &task.scope, &task.version, register.replace).await?,
        None => unseen(&task.source, &task.scope, &task.version),
    };
    if let Some(client) = client.filter(|_| !dry) {
        apply_registration(client, &decision).await?;
    }
    if let Some(folder) = &register.requests {
        write(folder, task, &decision)?;
    }
    let page = page(client, task);
    let verb = match (decision.state, dry) {
        (RegistrationAction::Unchanged, _) => "Unchanged",
        (_, true) => "Would send",
        (RegistrationAction::Replaced, false) => "Replaced",
        (_, false) => "Registered",
    };
    let shown = page.as_ref().map(|page| format!(" {page}")).unwrap_or_default();
    ui.status(verb, format!("{} {}{shown}", task.source.name, decision.version));
    if let (RegistrationAction::Unchanged | RegistrationAction::Replaced, Some(latest)) = (decision.state, decision.latest.as_ref())
        && *latest != decision.version
    {
        ui.note(format!("version {} of `{}` is not its latest, which is {latest}", decision.version, task.source.name));
    }
    if let Some(page) = page.filter(|_| decision.leaves_triggers) {
        ui.warning(format!(
            "`{}` declares no triggers, and those of an earlier version may stay active\n  = help: look at {page} and switch them off there",
            task.source.name
        ));
    }
    Ok(decision)
}

/// Where a task is looked at in a browser.
fn page(client: Option<&Client>, task: &TaskRegistration<'_>) -> Option<String> {
    client.map(|client| console::task(&client.endpoint(), &task.scope, &task.source.name))
}

/// The request that is sent; none stays from an earlier run when nothing is.
fn write(folder: &Path, task: &TaskRegistration<'_>, decision: &RegistrationPlan) -> Result<(), Error> {
    let below = folder.join(&task.scope.project).join(&task.scope.domain);
    let (message, json) = decision.files();
    for (end, bytes) in [("pb", message), ("json", json.into_bytes())] {
        let path = below.join(format!("{}.{end}", task.source.name));
        match decision.state {
            RegistrationAction::Unchanged => drop(fs::remove(&path)?),
            _ => fs::replace(&path, &bytes)?,
        }
    }
    Ok(())
}

fn report(
    register: &RegisterOptions,
    client: Option<&Client>,
    built: &[PackageOutcome],
    tasks: &[TaskRegistration<'_>],
    outcomes: &[Result<RegistrationPlan, Error>],
    ui: &Ui,
) -> Result<Exit> {
    let told: Vec<TaskReport<'_>> = tasks.iter().zip(outcomes).map(|(task, outcome)| task_report(client, task, outcome)).collect();
    if ui.output_options().json {
        let images = built.iter().flat_map(|package| &package.images).map(ImageRow::of).collect();
        ui.document("register", &Document { dry_run: register.options.dry, images, tasks: told })?;
    } else {
        let done = told.iter().filter(|told| told.problem.is_none());
        ui.data(&done.map(|told| format!("{}/{}/{}@{}\n", told.project, told.domain, told.name, told.version)).collect::<String>())?;
    }
    // Failures come last, and whole.
    let errors: Vec<&Error> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    errors.iter().for_each(|error| ui.error(error));
    Ok(if errors.is_empty() { Exit::Success } else { Exit::Failure })
}

fn task_report<'a>(
    client: Option<&Client>,
    task: &'a TaskRegistration<'_>,
    outcome: &'a Result<RegistrationPlan, Error>,
) -> TaskReport<'a> {
    let decision = outcome.as_ref().ok();
    TaskReport {
        package: task.package,
        task: &task.source.task.key,
        name: &task.source.name,
        project: &task.scope.project,
        domain: &task.scope.domain,
        environment: &task.source.task.environment.value,
        image: &task.source.image,
        version: decision.map_or(task.version.text.as_str(), |decision| &decision.version),
        latest: decision.and_then(|decision| decision.latest.as_deref()),
        state: match decision.map(|decision| decision.state) {
            Some(RegistrationAction::New) => "new",
            Some(RegistrationAction::Updated) => "updated",
            Some(RegistrationAction::Again) => "again",
            Some(RegistrationAction::Replaced) => "replaced",
            Some(RegistrationAction::Unchanged) => "unchanged",
            None => "failed",
        },
        console: page(client, task),
        problem: outcome.as_ref().err().map(Problem::of_error),
    }
}
