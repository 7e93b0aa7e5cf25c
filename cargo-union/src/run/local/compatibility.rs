//! Whether a task can run on this machine.

use union_build::diag::{Code, Diagnostic};
use union_build::spec::task::{Mount, Task};
use union_build::spec::template::{TemplatePart, pieces};

use super::secrets::SECRETS_DIRECTORY;
use crate::run::options::RunTarget;

/// All problems that keep a task from running on this machine. `has_entrypoint` is whether the manifest sets one for the
/// task's image.
pub(super) fn check_task(task: &Task, has_entrypoint: bool, target: RunTarget) -> Vec<Diagnostic> {
    let mut problems = check_command(task);
    if target == RunTarget::Host {
        problems.extend(check_host(task));
        if !has_entrypoint {
            problems.extend(check_empty_command(task));
        }
    }
    problems
}

/// Placeholders in the command line that cannot be filled in.
fn check_command(task: &Task) -> Vec<Diagnostic> {
    let Some(command) = &task.command else {
        return Vec::new();
    };
    let problem = |message: String, help: String| {
        Diagnostic::error(
            Code::NotRunHere,
            message,
            &command.origin,
            "in this command",
        )
        .help(help)
    };
    let check = |piece| match piece {
        TemplatePart::Backend(name) => {
            let message = format!("`{{{{.{name}}}}}` is a value that only the backend has");
            let paths = (&task.data.input_path.value, &task.data.output_path.value);
            Some(problem(
                message,
                format!(
                    "inputs are in `{}`, and outputs go to `{}`",
                    paths.0, paths.1
                ),
            ))
        }
        TemplatePart::Text(_) | TemplatePart::Input(_) | TemplatePart::Unknown(_) => None,
    };
    let mut problems: Vec<Diagnostic> = command
        .value
        .iter()
        .flat_map(|word| pieces(word))
        .filter_map(check)
        .collect();
    problems.dedup();
    problems
}

/// An empty command, which runs the entrypoint of the image.
fn check_empty_command(task: &Task) -> Option<Diagnostic> {
    let command = task
        .command
        .as_ref()
        .filter(|command| command.value.is_empty())?;
    let message = format!(
        "task `{}` runs the entrypoint of its image, and `--host` has no image",
        task.key
    );
    let problem = Diagnostic::error(
        Code::NotRunHere,
        message,
        &command.origin,
        "an empty command",
    );
    Some(problem.help("run it without `--host`, or leave `command` out"))
}

/// A program of the image, and secrets that are files: a process of the host has neither.
fn check_host(task: &Task) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    if task.bin.is_none() {
        let message = format!(
            "task `{}` runs a program of its image, and `--host` has no image",
            task.key
        );
        problems.push(
            Diagnostic::error(Code::NotRunHere, message, &task.origin, "has no `bin`")
                .help("run it without `--host`"),
        );
    }
    for secret in task
        .secrets
        .iter()
        .filter(|secret| secret.mount == Mount::File)
    {
        let message = format!(
            "secret `{}` is a file below `{}`, which `--host` does not create",
            secret.key.value, SECRETS_DIRECTORY
        );
        let problem = Diagnostic::error(Code::NotRunHere, message, &secret.key.origin, "a file");
        problems.push(problem.help("run it without `--host`, or let the secret be a variable"));
    }
    problems
}
