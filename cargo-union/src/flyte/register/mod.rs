//! Registering: look first, then write only what is not there.
//!
//! The open-source backend overwrites without a word, so that everything is asked for before it is
//! written, and other content under the same version is refused.

mod differences;

#[cfg(test)]
mod tests;

use union_build::diag::Code;

use super::backend::Backend;
use super::convert::{ProjectDomain, TaskSource, deploy_task};
use super::idl::task::task_triggers_summary::Summary;
use super::idl::task::{DeployTaskRequest, Task, TaskIdentifier, TaskSpec};
use super::idl::{Message as _, to_json};
use super::rpc::{RpcFailure, RpcStatus};
use super::version::{LONGEST, TaskVersionHash};
use crate::sys::error::{Error, Result};
use differences::Difference;

/// What a request does to the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistrationAction {
    /// The backend has no task of that name.
    New,
    /// It has other versions.
    Updated,
    /// It has this version, but not as the latest, and gets the same content once more.
    Again,
    /// It has other content under this version, which is overwritten.
    Replaced,
    /// It has this very version: there is nothing to send.
    Unchanged,
}

/// A task that is to be registered, and what that means for the backend.
#[derive(Clone, Debug)]
pub struct RegistrationPlan {
    /// What is going to happen.
    pub state: RegistrationAction,
    /// The version, with the number of its repetition if it has one.
    pub version: String,
    /// The latest version that the backend had; `None` for a new task.
    pub latest: Option<String>,
    /// Whether triggers of an earlier version stay active although none is declared.
    pub leaves_triggers: bool,
    request: DeployTaskRequest,
}

impl RegistrationPlan {
    /// The request as it is sent, and as JSON.
    pub fn files(&self) -> (Vec<u8>, String) {
        (self.request.encode_to_vec(), format!("{:#}\n", to_json(&self.request)))
    }
}

/// Looks at what the backend has of a task.
///
/// # Errors
/// `EnvironmentTaken`, `VersionTaken`, `VersionInvalid`; what the backend says.
pub async fn plan_registration(
    backend: &dyn Backend,
    subject: &TaskSource<'_>,
    scope: &ProjectDomain,
    version: &TaskVersionHash,
    replace: bool,
) -> Result<RegistrationPlan> {
    let look = RegistrationContext { backend, subject, scope, version, replace };
    let both = futures_util::future::try_join(backend.latest(scope, &subject.name), look.details(&version.text));
    let (latest, exact) = both.await.map_err(|failure| look.lookup_error(failure))?;
    look.check_environment(latest.as_ref())?;
    look.decide(latest.as_ref(), exact).await
}

/// What is sent to a backend that has nothing of a task, when none can be asked.
pub fn unseen(subject: &TaskSource<'_>, scope: &ProjectDomain, version: &TaskVersionHash) -> RegistrationPlan {
    let (version, request) = (version.text.clone(), deploy_task(subject, scope, &version.text));
    RegistrationPlan { state: RegistrationAction::New, version, latest: None, leaves_triggers: false, request }
}

/// Sends what was decided.
///
/// # Errors
/// What the backend says.
pub async fn apply_registration(backend: &dyn Backend, decision: &RegistrationPlan) -> Result<()> {
    if decision.state == RegistrationAction::Unchanged {
        return Ok(());
    }
    let name = decision.request.task_id.as_ref().map(|id| id.name.as_str()).unwrap_or_default();
    backend.deploy(&decision.request).await.map_err(|failure| failure.into_error(format!("could not register the task `{name}`")))
}

/// A version that was left and came back so often is no version: whoever says so is not asked for ever.
const MOST_REPETITIONS: u64 = 100;

struct RegistrationContext<'a> {
    backend: &'a dyn Backend,
    subject: &'a TaskSource<'a>,
    scope: &'a ProjectDomain,
    version: &'a TaskVersionHash,
    replace: bool,
}

impl RegistrationContext<'_> {
    async fn details(&self, version: &str) -> Result<Option<TaskSpec>, RpcFailure> {
        let ProjectDomain { org, project, domain } = self.scope.clone();
        let id = TaskIdentifier { org, project, domain, name: self.subject.name.to_owned(), version: version.to_owned() };
        Ok(self.backend.details(id).await?.and_then(|details| details.spec))
    }

    fn lookup_error(&self, failure: RpcFailure) -> Error {
        // The open-source backend has no tenants, and hosted ones say only that something is too short.
        let nameless = self.scope.org.is_empty() && failure.is(RpcStatus::InvalidArgument);
        let error = failure.into_error(format!("could not look up the task `{}`", self.subject.name));
        if nameless { error.help("If the backend has organizations, name yours with `--org` or in the Flyte config.") } else { error }
    }

    fn check_environment(&self, latest: Option<&Task>) -> Result<()> {
        let ours = &self.subject.task.environment.value;
        let theirs = latest.and_then(|task| task.metadata.as_ref()).map(|metadata| metadata.environment_name.as_str());
        match theirs.filter(|theirs| !theirs.is_empty() && theirs != ours) {
            None => Ok(()),
            Some(theirs) => {
                let error = Error::new(Code::EnvironmentTaken, format!("could not register the task `{}`", self.subject.name));
                Err(error.because(format!("a task of that name is in the environment `{theirs}`, and this one is of `{ours}`")))
            }
        }
    }

    /// The version itself, or its first repetition that is free or the latest.
    async fn decide(&self, latest: Option<&Task>, exact: Option<TaskSpec>) -> Result<RegistrationPlan> {
        let latest_version = latest.and_then(|task| task.task_id.as_ref()).map(|id| id.version.clone());
        let mut candidate = self.version.text.clone();
        let mut there = exact;
        for repetition in 2..=MOST_REPETITIONS + 1 {
            let request = self.request(&candidate);
            let decided = |state| RegistrationPlan {
                state,
                version: candidate.clone(),
                latest: latest_version.clone(),
                leaves_triggers: request.triggers.is_empty() && has_triggers(latest),
                request: request.clone(),
            };
            let Some(theirs) = &there else {
                let state = match (&latest_version, repetition) {
                    (None, _) => RegistrationAction::New,
                    (Some(_), 2) => RegistrationAction::Updated,
                    (Some(_), _) => RegistrationAction::Again,
                };
                return Ok(decided(state));
            };
            let differences = differences::between(request.spec.as_ref().expect("every request has one"), theirs, self.version.derived);
            if !differences.is_empty() {
                return if self.replace { Ok(decided(RegistrationAction::Replaced)) } else { Err(self.taken(&candidate, &differences)) };
            }
            // A user who names a version means that one, whether or not it is the latest.
            if !self.version.derived || latest_version.as_ref().is_none_or(|latest| *latest == candidate) {
                return Ok(decided(RegistrationAction::Unchanged));
            }
            candidate = self.repeated(repetition)?;
            there = self.details(&candidate).await.map_err(|failure| self.lookup_error(failure))?;
        }
        let error = Error::new(Code::VersionTaken, format!("could not find a free version for the task `{}`", self.subject.name));
        Err(error.because(format!("the backend has `{0}` and each repetition up to `{0}-{MOST_REPETITIONS}`", self.version.text)))
    }

    fn request(&self, version: &str) -> DeployTaskRequest {
        deploy_task(self.subject, self.scope, version)
    }

    fn repeated(&self, repetition: u64) -> Result<String> {
        let repeated = format!("{}-{repetition}", self.version.text);
        if repeated.len() <= LONGEST { Ok(repeated) } else { TaskVersionHash::chosen(&repeated).map(|version| version.text) }
    }

    fn taken(&self, version: &str, differences: &[Difference]) -> Error {
        const SHOWN: usize = 6;
        let mut list: Vec<String> = differences.iter().take(SHOWN).map(ToString::to_string).collect();
        if differences.len() > SHOWN {
            list.push(format!("and {} more", differences.len() - SHOWN));
        }
        Error::new(Code::VersionTaken, format!("could not register the task `{}` as version `{version}`", self.subject.name))
            .because(format!("the backend has that version with other content: {}", list.join(", ")))
    }
}

/// Whether a version at the backend has triggers.
fn has_triggers(latest: Option<&Task>) -> bool {
    let summary = latest.and_then(|task| task.metadata.as_ref()?.triggers_summary.as_ref()?.summary.as_ref());
    match summary {
        Some(Summary::Stats(stats)) => stats.total > 0,
        Some(Summary::Details(_)) => true,
        None => false,
    }
}
