//! The context of a registration: its task, and lookups of the task's versions.

use crate::flyte::backend::Backend;
use crate::flyte::capabilities::BackendKind;
use crate::flyte::convert::{ProjectDomain, TaskSource};
use crate::flyte::idl::task::TaskSpec;
use crate::flyte::rpc::{RpcFailure, RpcStatus};
use crate::flyte::version::TaskVersionHash;
use crate::sys::error::Error;

/// A task to register, with its project, domain and backend.
pub(super) struct RegistrationContext<'a> {
    pub(super) backend: &'a dyn Backend,
    /// The generation of the backend.
    pub(super) kind: BackendKind,
    pub(super) subject: &'a TaskSource<'a>,
    pub(super) scope: &'a ProjectDomain,
    pub(super) version: &'a TaskVersionHash,
    pub(super) replace: bool,
}

impl RegistrationContext<'_> {
    /// A version of the task; `None` when it does not exist.
    pub(super) async fn details(&self, version: &str) -> Result<Option<TaskSpec>, RpcFailure> {
        registered_spec(self.backend, self.scope, &self.subject.name, version).await
    }

    /// The error of a look-up that has failed.
    pub(super) fn lookup_error(&self, failure: RpcFailure) -> Error {
        // The open-source backend has no organizations; hosted ones only report that a field is too short.
        let misses_organization =
            self.scope.org.is_empty() && failure.is(RpcStatus::InvalidArgument);
        let error = failure.into_error(format!(
            "could not look up the task `{}`",
            self.subject.name
        ));
        if misses_organization {
            error.help(
                "If the backend has organizations, name yours with `--org` or in the Flyte config.",
            )
        } else {
            error
        }
    }
}

/// A version of a task as it is registered; `None` when it does not exist.
pub(super) async fn registered_spec(
    backend: &dyn Backend,
    scope: &ProjectDomain,
    name: &str,
    version: &str,
) -> Result<Option<TaskSpec>, RpcFailure> {
    let details = backend.details(scope.task_id(name, version)).await?;
    Ok(details.and_then(|details| details.spec))
}
