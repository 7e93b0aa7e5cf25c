//! Files of registration requests: `--output`.

use std::path::Path;

use super::TaskRegistration;
use crate::flyte::register::{RegistrationAction, RegistrationPlan};
use crate::sys::error::Result;
use crate::sys::fs;

/// Writes the requests of a task, as protobuf and as JSON, to `<directory>/<project>/<domain>/<task>`. For an unchanged
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
    for request in plan.files() {
        let name = format!("{}{}", task.source.name, request.suffix);
        for (extension, content) in [
            ("pb", request.protobuf),
            ("json", request.json.into_bytes()),
        ] {
            let path = directory.join(format!("{name}.{extension}"));
            match plan.state {
                RegistrationAction::Unchanged => drop(fs::remove(&path)?),
                _ => fs::replace(&path, &content)?,
            }
        }
    }
    Ok(())
}
