//! Selection of the task.

use union_build::diag::Code;

use crate::pipeline::context::LoadedWorkspace;
use crate::pipeline::names;
use crate::pipeline::problems::Result;
use crate::sys::error::Error;
use crate::sys::words;

/// Removes all packages except the one that has the task with a given key, or name at the backend. Returns the key.
///
/// # Errors
/// `UnknownTask`; `UsageInvalid` when several packages have it.
pub(super) fn select_task(session: &mut LoadedWorkspace, typed: &str) -> Result<String> {
    let task = names::task_key(session, typed)?;
    session
        .packages
        .retain(|package| package.spec.tasks.contains_key(&task));
    if session.packages.len() > 1 {
        let names = words::list(session.packages.iter().map(|package| &package.package.name));
        let error = Error::new(
            Code::UsageInvalid,
            format!("the packages {names} have a task `{task}` each"),
        );
        return Err(error.help("Choose one of them with `-p`.").into());
    }
    Ok(task)
}
