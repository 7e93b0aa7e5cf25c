//! Registration of tasks: compares with the backend first, then writes only changes.
//!
//! The open-source backend overwrites existing versions silently, so every version is looked up before it is
//! written, and other content under the same version is refused.

mod context;
mod deactivation;
mod differences;
mod removed_tasks;

#[cfg(test)]
mod tests;

use union_build::diag::Code;

use super::backend::Backend;
use super::capabilities::{BackendFeature, BackendKind};
use super::convert::{ProjectDomain, TaskSource, render_task};
use super::flyte1::{self, RequestFile};
use super::idl::task::task_triggers_summary::Summary;
use super::idl::task::{DeployTaskRequest, Task, TaskIdentifier, TaskSpec};
use super::rpc::{RpcFailure, RpcStatus};
use super::version::{LONGEST, TaskVersionHash};
use crate::sys::error::{Error, Result};
use context::RegistrationContext;
pub use deactivation::UndeclaredTriggers;
use differences::Difference;
pub use removed_tasks::{DeclaredTasks, deactivate_removed};

/// The effect of a registration on the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistrationAction {
    /// The backend has no task of this name.
    New,
    /// The backend has other versions.
    Updated,
    /// The backend has this content under an older version; it is registered again, to become the latest.
    Again,
    /// The backend has other content under this version, which is overwritten.
    Replaced,
    /// The backend has this version with this content: nothing is sent.
    Unchanged,
}

/// A task to register, and the effect on the backend.
#[derive(Clone, Debug)]
pub struct RegistrationPlan {
    /// The effect of the registration.
    pub state: RegistrationAction,
    /// The version; a repeated one has the number of its repetition as a suffix.
    pub version: String,
    /// The latest version at the backend; `None` for a new task.
    pub latest: Option<String>,
    /// The active triggers of the task that the version does not declare.
    pub undeclared: UndeclaredTriggers,
    /// The generation of the backend that the request is for.
    kind: BackendKind,
    request: DeployTaskRequest,
}

impl RegistrationPlan {
    /// The requests in their wire encoding and as JSON; that of the task is the first.
    pub(crate) fn files(&self) -> Vec<RequestFile> {
        match self.kind {
            BackendKind::Flyte1 => flyte1::request_files(&self.request),
            BackendKind::Flyte2 => vec![RequestFile::of("", &self.request)],
        }
    }
}

/// Plans the registration of a task, from the versions that the backend has.
///
/// # Errors
/// U0707 (`EnvironmentTaken`), U0708 (`VersionTaken`), U0709 (`VersionInvalid`); failures of the calls.
pub async fn plan_registration(
    backend: &dyn Backend,
    subject: &TaskSource<'_>,
    scope: &ProjectDomain,
    version: &TaskVersionHash,
    replace: bool,
) -> Result<RegistrationPlan> {
    let mut context = RegistrationContext {
        backend,
        kind: BackendKind::Flyte2,
        subject,
        scope,
        version,
        replace,
    };
    let lookups = async {
        let found = futures_util::future::try_join3(
            backend.latest(scope, &subject.name),
            context.details(&version.text),
            backend.triggers(scope, Some(&subject.name)),
        );
        let (latest, exact, triggers) = found.await?;
        // After the lookups, which may correct a cached generation of the backend.
        Ok((latest, exact, triggers, backend.kind().await?))
    };
    let (latest, exact, triggers, kind) = lookups
        .await
        .map_err(|failure| context.lookup_error(failure))?;
    context.kind = kind;
    context.check_environment(latest.as_ref())?;
    let plan = context.decide(latest.as_ref(), exact).await?;
    let declares_none = subject.task.triggers.is_empty();
    let undeclared = match triggers {
        Some(triggers) => context.undeclared(triggers).await?,
        None => UndeclaredTriggers {
            unknown: declares_none && has_triggers(latest.as_ref()),
            ..UndeclaredTriggers::default()
        },
    };
    Ok(RegistrationPlan { undeclared, ..plan })
}

/// The plan without a backend: it assumes a backend of this generation that does not have the task.
pub fn unseen(
    kind: BackendKind,
    subject: &TaskSource<'_>,
    scope: &ProjectDomain,
    version: &TaskVersionHash,
) -> RegistrationPlan {
    let request = request(kind, subject, scope, &version.text);
    let version = version.text.clone();
    RegistrationPlan {
        state: RegistrationAction::New,
        version,
        latest: None,
        undeclared: UndeclaredTriggers::default(),
        kind,
        request,
    }
}

/// The request as the backend stores it.
fn request(
    kind: BackendKind,
    subject: &TaskSource<'_>,
    scope: &ProjectDomain,
    version: &str,
) -> DeployTaskRequest {
    let empty_output = kind.has(BackendFeature::EmptyOutput);
    let request = render_task(subject, scope, version, empty_output);
    match kind {
        BackendKind::Flyte1 => flyte1::task::stored(&request),
        BackendKind::Flyte2 => request,
    }
}

/// Registers a task as planned, deactivates the triggers of earlier versions that it does not declare, and activates its own,
/// of which none is activated when the task is refused.
///
/// # Errors
/// U0708 (`VersionTaken`) when another machine has registered other content since the plan was made; failures of the calls.
pub async fn apply_registration(backend: &dyn Backend, plan: &RegistrationPlan) -> Result<()> {
    let id = plan.request.task_id.clone().unwrap_or_default();
    let name = &id.name;
    let is_new = plan.state != RegistrationAction::Unchanged;
    if is_new {
        let deployed = backend.deploy(&plan.request).await;
        deployed.map_err(|failure| deploy_error(&id, failure))?;
    }
    let settled = backend.activate_declared(&plan.request, is_new).await;
    settled.map_err(|failure| {
        let error = failure.into_error(format!(
            "could not activate the triggers of the task `{name}`"
        ));
        error.help("The task is registered. Run `cargo union register` again.")
    })?;
    let ours = &plan.undeclared.ours;
    if ours.is_empty() {
        return Ok(());
    }
    let scope = ProjectDomain {
        org: id.org.clone(),
        project: id.project.clone(),
        domain: id.domain.clone(),
    };
    let deactivated = backend.set_triggers_active(&scope, ours, false).await;
    deactivated.map_err(|failure| {
        let error = failure.into_error(format!(
            "could not deactivate the triggers of the task `{name}` that are no longer declared"
        ));
        error.help("The task is registered. Run `cargo union register` again.")
    })
}

/// The error of a task that was rejected. Flyte 1 returns the differences to the registered task, line by line.
fn deploy_error(id: &TaskIdentifier, failure: RpcFailure) -> Error {
    let text = failure.domain.text.clone();
    let has_other_content = failure.is(RpcStatus::InvalidArgument)
        && text.contains("with different structure already exists");
    if !has_other_content {
        return failure.into_error(format!("could not register the task `{}`", id.name));
    }
    let difference = text
        .split_once("version of the task)")
        .map_or("", |(_, lines)| lines.trim_start_matches([':', ' ', '\n']));
    Error::new(
        Code::VersionTaken,
        format!(
            "could not register the task `{}` as version `{}`",
            id.name, id.version
        ),
    )
    .because(format!(
        "the backend has that version with other content:\n{difference}"
    ))
    .help("Choose another `--version`: this backend replaces none.")
}

/// The maximum number of repetitions of a version, which bounds the search for a free one.
const MOST_REPETITIONS: u64 = 100;

impl RegistrationContext<'_> {
    fn check_environment(&self, latest: Option<&Task>) -> Result<()> {
        let declared = &self.subject.task.environment.value;
        let registered = latest
            .and_then(|task| task.metadata.as_ref())
            .map(|metadata| metadata.environment_name.as_str());
        match registered.filter(|registered| !registered.is_empty() && registered != declared) {
            None => Ok(()),
            Some(registered) => {
                let error = Error::new(
                    Code::EnvironmentTaken,
                    format!("could not register the task `{}`", self.subject.name),
                );
                Err(error.because(format!("a task of that name is in the environment `{registered}`, and this one is of `{declared}`")))
            }
        }
    }

    /// Plans the version itself, or its first repetition that is free or the latest.
    async fn decide(
        &self,
        latest: Option<&Task>,
        exact: Option<TaskSpec>,
    ) -> Result<RegistrationPlan> {
        let latest_version = latest
            .and_then(|task| task.task_id.as_ref())
            .map(|id| id.version.clone());
        let mut candidate = self.version.text.clone();
        let mut existing = exact;
        for repetition in 2..=MOST_REPETITIONS + 1 {
            let request = self.request(&candidate);
            let plan = |state| RegistrationPlan {
                state,
                version: candidate.clone(),
                latest: latest_version.clone(),
                undeclared: UndeclaredTriggers::default(),
                kind: self.kind,
                request: request.clone(),
            };
            let Some(existing_spec) = &existing else {
                let state = match (&latest_version, repetition) {
                    (None, _) => RegistrationAction::New,
                    (Some(_), 2) => RegistrationAction::Updated,
                    (Some(_), _) => RegistrationAction::Again,
                };
                return Ok(plan(state));
            };
            let differences = differences::between(
                request.spec.as_ref().expect("every request has one"),
                existing_spec,
                self.version.derived,
            );
            if !differences.is_empty() {
                return if self.replace {
                    Ok(plan(RegistrationAction::Replaced))
                } else {
                    Err(self.version_taken(&candidate, &differences))
                };
            }
            // A version that the user chose is never repeated, whether or not it is the latest.
            if !self.version.derived
                || latest_version
                    .as_ref()
                    .is_none_or(|latest| *latest == candidate)
            {
                return Ok(plan(RegistrationAction::Unchanged));
            }
            candidate = self.repeat_version(repetition)?;
            existing = self
                .details(&candidate)
                .await
                .map_err(|failure| self.lookup_error(failure))?;
        }
        let error = Error::new(
            Code::VersionTaken,
            format!(
                "could not find a free version for the task `{}`",
                self.subject.name
            ),
        );
        Err(error.because(format!(
            "the backend has `{0}` and each repetition up to `{0}-{MOST_REPETITIONS}`",
            self.version.text
        )))
    }

    fn request(&self, version: &str) -> DeployTaskRequest {
        request(self.kind, self.subject, self.scope, version)
    }

    fn repeat_version(&self, repetition: u64) -> Result<String> {
        let repeated = format!("{}-{repetition}", self.version.text);
        if repeated.len() <= LONGEST {
            Ok(repeated)
        } else {
            TaskVersionHash::chosen(&repeated).map(|version| version.text)
        }
    }

    fn version_taken(&self, version: &str, differences: &[Difference]) -> Error {
        const SHOWN: usize = 6;
        let mut list: Vec<String> = differences
            .iter()
            .take(SHOWN)
            .map(ToString::to_string)
            .collect();
        if differences.len() > SHOWN {
            list.push(format!("and {} more", differences.len() - SHOWN));
        }
        Error::new(
            Code::VersionTaken,
            format!(
                "could not register the task `{}` as version `{version}`",
                self.subject.name
            ),
        )
        .because(format!(
            "the backend has that version with other content: {}",
            list.join(", ")
        ))
    }
}

fn has_triggers(latest: Option<&Task>) -> bool {
    let summary = latest.and_then(|task| {
        task.metadata
            .as_ref()?
            .triggers_summary
            .as_ref()?
            .summary
            .as_ref()
    });
    match summary {
        Some(Summary::Stats(stats)) => stats.total > 0,
        Some(Summary::Details(_)) => true,
        None => false,
    }
}
