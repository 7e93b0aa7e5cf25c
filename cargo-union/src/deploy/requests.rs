//! Files of registration requests: `--output`.

use std::path::Path;

use super::TaskRegistration;
use crate::flyte::register::{RegistrationAction, RegistrationPlan};
use crate::sys::error::Result;
use crate::sys::fs;

/// Writes the request of a task, as protobuf and as JSON, to `<directory>/<project>/<domain>/<task>`. For an unchanged
/// task, which has no request, the files of an earlier call are removed.
///
/// # Errors
/// `FileUnwritable`, `DiskFull`.
pub(super) fn write_request(
    directory: &Path,
    task: &TaskRegistration<'_>,
    plan: &RegistrationPlan,
) -> Result<()> {
    let directory = directory.join(&task.scope.project).join(&task.scope.domain);
    let (protobuf, json) = plan.files();
    for (extension, content) in [("pb", protobuf), ("json", json.into_bytes())] {
        let path = directory.join(format!("{}.{extension}", task.source.name));
        match plan.state {
            RegistrationAction::Unchanged => drop(fs::remove(&path)?),
            _ => fs::replace(&path, &content)?,
        }
    }
    Ok(())
}
