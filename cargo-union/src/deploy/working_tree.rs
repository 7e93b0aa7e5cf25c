//! The state of the git working tree: `--require-clean`.

use std::path::Path;

use union_build::diag::Code;

use crate::sys::error::{Error, Result};
use crate::sys::process::{Environment, ProcessCommand};

/// How many changed files an error lists.
const SHOWN: usize = 10;

/// Requires that a directory has no uncommitted changes.
///
/// # Errors
/// `TreeDirty`, also when git cannot read the working tree; `ToolMissing`.
pub(super) async fn check_clean(directory: &Path, environment: &Environment) -> Result<()> {
    let dirty =
        |what: &str| Error::new(Code::TreeDirty, format!("`{}` {what}", directory.display()));
    let mut git = ProcessCommand::new("git", directory, environment);
    git.args(["status", "--porcelain", "--", "."]);
    let status = git
        .output()
        .await?
        .success()
        .map_err(|cause| dirty("is not a git working tree that can be read").because(cause))?;
    let status = String::from_utf8_lossy(&status);
    if status.trim().is_empty() {
        return Ok(());
    }
    let mut lines: Vec<&str> = status.lines().take(SHOWN).collect();
    if status.lines().count() > SHOWN {
        lines.push("…");
    }
    Err(dirty("has changes that are not committed").because(lines.join("\n")))
}
