//! Registration of the chosen tasks: their images are built and published, then each task is planned and sent.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::{join, try_join, try_join_all};
use futures_util::stream::{self, StreamExt as _};

use super::options::RegisterOptions;
use super::removed_tasks::RemovedTriggers;
use super::{TaskIdent, TaskRegistration, access, capabilities, limits, requests, working_tree};
use crate::flyte::capabilities::BackendKind;
use crate::flyte::client::Client;
use crate::flyte::convert::ProjectDomain;
use crate::flyte::register::{
    RegistrationAction, RegistrationPlan, UndeclaredTriggers, apply_registration,
    plan_registration, unseen,
};
use crate::flyte::triggers::TriggerSummary;
use crate::flyte::version::TaskVersionHash;
use crate::flyte::{console, project};
use crate::image::plan::ImageAction;
use crate::image::reference::PinnedRef;
use crate::pipeline::Reporter;
use crate::pipeline::context::{LoadedWorkspace, project_domain};
use crate::pipeline::execute::execute;
use crate::pipeline::names::{self, declared_name};
use crate::pipeline::outcome::{ImageOutcome, PackageOutcome};
use crate::pipeline::plan::BuildPlan;
use crate::pipeline::problems::Result;
use crate::sys::error::Error;
use crate::sys::words;
use crate::workspace::Snapshot;

/// How many tasks are registered at once. Independent of the number of processors, since a registration mostly waits
/// for the backend.
const TASKS_AT_ONCE: usize = 50;

/// The images and tasks of a registration.
pub(crate) struct RegistrationOutcome {
    /// The packages with their images.
    pub(crate) packages: Vec<PackageOutcome>,
    /// The tasks of all packages.
    pub(crate) tasks: Vec<TaskOutcome>,
    /// The triggers of removed tasks that were deactivated, or would be in a dry run.
    pub(crate) deactivated: Result<Vec<TriggerSummary>, Error>,
}

/// A task and whether it was registered.
pub(crate) struct TaskOutcome {
    pub(crate) package: String,
    /// The key of its table in the manifest.
    pub(crate) task: String,
    /// Its name at the backend.
    pub(crate) name: String,
    pub(crate) scope: ProjectDomain,
    pub(crate) environment: String,
    /// The reference that the cluster pulls.
    pub(crate) image: String,
    /// The version of `--version`, or that of the package's content.
    pub(crate) version: String,
    /// The URL of its page in the console; `None` without a backend.
    pub(crate) page: Option<String>,
    /// What was sent, or would be sent in a dry run.
    pub(crate) result: Result<RegistrationPlan, Error>,
}

/// Tasks that can be registered, with the images that were built for them.
pub(crate) struct PreparedTasks<'a> {
    pub(crate) packages: Vec<PackageOutcome>,
    pub(crate) tasks: Vec<TaskRegistration<'a>>,
    /// The generation of the backend, or the one that requests are rendered for without one.
    pub(crate) kind: BackendKind,
}

/// Registers the chosen tasks. A task that cannot be registered does not stop the others: see [`TaskOutcome::result`].
///
/// # Errors
/// Those of [`prepare_tasks`]; `VersionInvalid`, `TreeDirty`, `BackendMissing`; problems of the manifests.
pub(crate) async fn register_tasks(
    options: &RegisterOptions,
    reporter: &Arc<dyn Reporter>,
) -> Result<RegistrationOutcome> {
    let version = options
        .version
        .as_deref()
        .map(TaskVersionHash::chosen)
        .transpose()?;
    let workspace_options = &options.options.scope;
    let session = LoadedWorkspace::open_with_cache(workspace_options, &**reporter).await?;
    let options = &RegisterOptions {
        options: names::with_task_keys(&options.options, &session)?,
        ..options.clone()
    };
    if options.require_clean {
        working_tree::check_clean(
            &session.workspace.root,
            &workspace_options.cargo.environment,
        )
        .await?;
    }
    let client = create_client(options, &session, reporter)?;
    let client = client.as_ref();
    let PreparedTasks {
        packages,
        tasks,
        kind,
    } = prepare_tasks(options, &session, version.as_ref(), client, reporter).await?;
    let registrations = tasks.iter().map(|task| async {
        let result = register_task(options, client.ok_or(kind), task, &**reporter).await;
        task_outcome(client, task, result)
    });
    let registrations = stream::iter(registrations)
        .buffered(TASKS_AT_ONCE)
        .collect::<Vec<_>>();
    // Tasks that were not chosen are declared too.
    let removed = async {
        match client.filter(|_| options.options.tasks.is_empty()) {
            Some(client) => RemovedTriggers::find(client, &session, &tasks).await,
            None => Ok(RemovedTriggers::default()),
        }
    };
    let (outcomes, removed) = join(registrations, removed).await;
    let are_registered = outcomes.iter().all(|task| task.result.is_ok());
    let deactivated = match (client, removed) {
        (Some(client), Ok(removed)) if are_registered => {
            let dry_run = options.options.dry;
            removed.deactivate(client, dry_run, &**reporter).await
        }
        (_, removed) => removed.map(|_| Vec::new()),
    };
    Ok(RegistrationOutcome {
        packages,
        tasks: outcomes,
        deactivated,
    })
}

/// A client of the backend; `None` in a dry run without a configured backend.
fn create_client(
    options: &RegisterOptions,
    session: &LoadedWorkspace,
    reporter: &Arc<dyn Reporter>,
) -> Result<Option<Client>> {
    if options.options.dry && session.backend.endpoint.is_none() {
        let kind = capabilities::assumed_kind(session)?;
        reporter.note(&format!("no backend is configured, so the requests are those for {kind} without any of the tasks"));
        return Ok(None);
    }
    let client = session.backend_client(&options.options.scope.backend, reporter)?;
    Ok(Some(client))
}

/// Builds and publishes the images of the chosen tasks, and checks everything that can be checked before the first
/// task is sent.
///
/// # Errors
/// Those of the build; `RegistryMissing`, `ProjectMissing`, `TasksCollide`, `TriggerUnfit`, `DescriptionInvalid`,
/// `ImagePrivate`; a project or domain that the backend does not have.
pub(crate) async fn prepare_tasks<'a>(
    options: &'a RegisterOptions,
    session: &'a LoadedWorkspace,
    version: Option<&TaskVersionHash>,
    client: Option<&Client>,
    reporter: &Arc<dyn Reporter>,
) -> Result<PreparedTasks<'a>> {
    let build = &options.options;
    let scopes = check_declarations(options, session)?;
    let snapshot = Snapshot::take(
        &build.scope.cargo,
        &session.workspace,
        &build.scope.cache,
        &**reporter,
    )
    .await?;
    // A missing project is reported before the compile, not after it.
    let check_projects = async {
        let projects: BTreeSet<&ProjectDomain> = scopes.iter().collect();
        let checks = projects
            .into_iter()
            .filter_map(|scope| client.map(|client| project::check(client, scope)));
        try_join_all(checks).await
    };
    let check_backend = async {
        let kind = capabilities::kind(client, session).await?;
        capabilities::check(kind, options, session, &**reporter)?;
        check_projects.await?;
        Ok(kind)
    };
    let (plan, kind) = try_join(
        BuildPlan::compute(build, session, &snapshot, reporter),
        check_backend,
    )
    .await?;
    let packages = execute(build, session, &snapshot, plan, reporter).await?;
    let mut tasks = Vec::new();
    for ((declared, package), scope) in session.packages.iter().zip(&packages).zip(&scopes) {
        tasks.extend(super::registrables(
            declared,
            package,
            scope,
            version,
            &build.tasks,
        )?);
        access::check(
            options,
            &declared.spec,
            published_images(package),
            &**reporter,
        )
        .await?;
    }
    super::check_collisions(tasks.iter().map(TaskRegistration::named))?;
    Ok(PreparedTasks {
        packages,
        tasks,
        kind,
    })
}

/// Checks the chosen tasks as far as the manifests allow it, and returns the project and domain of each package.
fn check_declarations(
    options: &RegisterOptions,
    session: &LoadedWorkspace,
) -> Result<Vec<ProjectDomain>> {
    let chosen = &options.options.tasks;
    let mut scopes = Vec::new();
    for declared in &session.packages {
        super::check_registries(declared, chosen)?;
        scopes.push(project_domain(declared, &session.backend)?);
    }
    let idents = session
        .packages
        .iter()
        .zip(&scopes)
        .flat_map(|(declared, scope)| {
            super::tasks(declared, chosen).filter_map(move |task| {
                let name = declared_name(task)?;
                Some(TaskIdent {
                    package: &declared.package.name,
                    task,
                    scope,
                    name,
                })
            })
        });
    super::check_collisions(idents)?;
    Ok(scopes)
}

/// The images of a package that are in its registry; in a dry run, those of earlier builds. Images of the remote
/// builder are left out: the backend's clusters can pull them.
fn published_images(package: &PackageOutcome) -> BTreeSet<PinnedRef> {
    let is_published = |image: &&ImageOutcome| {
        image.sent > 0 || image.adopted || image.planned.action == ImageAction::Reuse
    };
    let reference = |image: &ImageOutcome| {
        let resolved = package
            .plan
            .resolved
            .iter()
            .find(|resolved| resolved.name == image.planned.image)?;
        let reference = resolved.reference().filter(|_| !resolved.is_remote())?;
        Some(reference.repository.pinned(image.record.digest?))
    };
    package
        .images
        .iter()
        .filter(is_published)
        .filter_map(reference)
        .collect()
}

/// Plans and sends one task, and writes its requests with `--output`. A dry run sends nothing. Without a client, the
/// plan assumes a backend that does not have the task.
///
/// # Errors
/// `EnvironmentTaken`, `VersionTaken`, `VersionInvalid`; those of the backend and of writing files.
pub(crate) async fn register_task(
    options: &RegisterOptions,
    backend: Result<&Client, BackendKind>,
    task: &TaskRegistration<'_>,
    reporter: &dyn Reporter,
) -> Result<RegistrationPlan, Error> {
    let dry_run = options.options.dry;
    let client = backend.ok();
    let plan = match backend {
        Ok(client) => {
            plan_registration(
                client,
                &task.source,
                &task.scope,
                &task.version,
                options.replace,
            )
            .await?
        }
        Err(kind) => unseen(kind, &task.source, &task.scope, &task.version),
    };
    if let Some(client) = client.filter(|_| !dry_run) {
        apply_registration(client, &plan)
            .await
            .map_err(|error| limits::with_place(error, task.source.task))?;
    }
    if let Some(directory) = &options.requests {
        requests::write_request(directory, task, &plan)?;
    }
    report_task(
        &plan,
        &task.source.name,
        task_page(client, task),
        dry_run,
        reporter,
    );
    Ok(plan)
}

fn report_task(
    plan: &RegistrationPlan,
    name: &str,
    page: Option<String>,
    dry_run: bool,
    reporter: &dyn Reporter,
) {
    let verb = match (plan.state, dry_run) {
        (RegistrationAction::Unchanged, _) => "Unchanged",
        (_, true) => "Would send",
        (RegistrationAction::Replaced, false) => "Replaced",
        (_, false) => "Registered",
    };
    let suffix = page
        .as_ref()
        .map(|page| format!(" {page}"))
        .unwrap_or_default();
    reporter.status(verb, &format!("{name} {}{suffix}", plan.version));
    if let (RegistrationAction::Unchanged | RegistrationAction::Replaced, Some(latest)) =
        (plan.state, plan.latest.as_ref())
        && *latest != plan.version
    {
        reporter.note(&format!(
            "version {} of `{name}` is not its latest, which is {latest}",
            plan.version
        ));
    }
    report_triggers(plan, name, page.as_deref(), dry_run, reporter);
}

/// Reports what happens to the active triggers that the task does not declare.
fn report_triggers(
    plan: &RegistrationPlan,
    name: &str,
    page: Option<&str>,
    dry_run: bool,
    reporter: &dyn Reporter,
) {
    let UndeclaredTriggers {
        ours,
        others,
        unknown,
    } = &plan.undeclared;
    let verb = if dry_run { "Would stop" } else { "Deactivated" };
    for trigger in ours {
        reporter.status(verb, &format!("{}, which is not declared", trigger.path()));
    }
    // This note would be repeated by every registration of an unchanged task.
    if !others.is_empty() && plan.state != RegistrationAction::Unchanged {
        let names = words::list(others);
        reporter.note(&format!(
            "triggers of `{name}` that its manifest did not create stay active: {names}"
        ));
    }
    if let Some(page) = page.filter(|_| *unknown) {
        reporter.warning(&format!(
            "`{name}` declares no triggers, and those of an earlier version may stay active\n  = help: look at {page} and switch them off there"
        ));
    }
}

/// The URL of a task's page in the console.
fn task_page(client: Option<&Client>, task: &TaskRegistration<'_>) -> Option<String> {
    client.map(|client| console::task(client, &task.scope, &task.source.name))
}

fn task_outcome(
    client: Option<&Client>,
    task: &TaskRegistration<'_>,
    result: Result<RegistrationPlan, Error>,
) -> TaskOutcome {
    TaskOutcome {
        package: task.package.to_owned(),
        task: task.source.task.key.clone(),
        name: task.source.name.clone(),
        scope: task.scope.clone(),
        environment: task.source.task.environment.value.clone(),
        image: task.source.image.clone(),
        version: task.version.text.clone(),
        page: task_page(client, task),
        result,
    }
}
