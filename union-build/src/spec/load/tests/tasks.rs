//! Tasks: valid and invalid declarations.

use super::*;

mod declaration;
mod execution;
mod program;
mod task_problems;

/// A container task `app` with these lines.
fn task(lines: &str) -> Project {
    Project::new(&format!("[package.metadata.union.tasks.app]\n{lines}\n"))
}

fn read(lines: &str) -> crate::spec::Task {
    task(lines).spec().tasks["app"].clone()
}
