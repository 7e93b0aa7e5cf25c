//! What keeps a task from running on this machine, each at its place in the manifest.

use union_build::diag::{Code, Diagnostic};
use union_build::spec::task::{DataFormat, Mount, Task};
use union_build::spec::template::{TemplatePart, pieces};

use crate::settings::RunTarget;

/// Everything that is in the way; nothing has been done then. `has_entrypoint` is whether the manifest names one for
/// the task's image.
pub(super) fn unsupported_locally(task: &Task, has_entrypoint: bool, place: RunTarget) -> Vec<Diagnostic> {
    let mut obstacles = Vec::new();
    obstacles.extend(command(task));
    if task.data.format == DataFormat::Proto && !task.inputs.is_empty() {
        let message = format!("task `{}` reads its inputs from `inputs.pb`, which is written on the backend only", task.key);
        let obstacle = Diagnostic::error(Code::NotRunHere, message, &task.origin, "`data-format = \"proto\"`");
        obstacles.push(obstacle.help("read the inputs' own files, or `data-format = \"json\"`"));
    }
    if place == RunTarget::Host {
        obstacles.extend(host(task));
        obstacles.extend(no_words(task).into_iter().filter(|_| !has_entrypoint));
    }
    obstacles
}

/// Placeholders in the command line that only the backend fills.
fn command(task: &Task) -> Vec<Diagnostic> {
    let Some(command) = &task.command else { return Vec::new() };
    let refuse =
        |message: String, help: String| Diagnostic::error(Code::NotRunHere, message, &command.origin, "in this command").help(help);
    let obstacle = |piece| match piece {
        TemplatePart::Backend(name) => {
            let message = format!("`{{{{.{name}}}}}` stands for something that only the backend has");
            let paths = (&task.data.input_path.value, &task.data.output_path.value);
            Some(refuse(message, format!("inputs are in `{}`, and outputs go to `{}`", paths.0, paths.1)))
        }
        TemplatePart::Text(_) | TemplatePart::Input(_) | TemplatePart::Unknown(_) => None,
    };
    let mut obstacles: Vec<Diagnostic> = command.value.iter().flat_map(|word| pieces(word)).filter_map(obstacle).collect();
    obstacles.dedup();
    obstacles
}

/// An empty command line leaves it to the image what runs.
fn no_words(task: &Task) -> Option<Diagnostic> {
    let command = task.command.as_ref().filter(|command| command.value.is_empty())?;
    let message = format!("task `{}` runs the entrypoint of its image, and `--host` has no image", task.key);
    let obstacle = Diagnostic::error(Code::NotRunHere, message, &command.origin, "an empty command");
    Some(obstacle.help("run it without `--host`, or leave `command` out"))
}

/// What a process of this machine cannot be given.
fn host(task: &Task) -> Vec<Diagnostic> {
    let mut obstacles = Vec::new();
    if task.bin.is_none() {
        let message = format!("task `{}` runs a program of its image, and `--host` has no image", task.key);
        obstacles.push(Diagnostic::error(Code::NotRunHere, message, &task.origin, "has no `bin`").help("run it without `--host`"));
    }
    for secret in task.secrets.iter().filter(|secret| secret.mount == Mount::File) {
        let message = format!("secret `{}` is a file below `{}`, where `--host` puts nothing", secret.key.value, super::secrets::FOLDER);
        let obstacle = Diagnostic::error(Code::NotRunHere, message, &secret.key.origin, "a file");
        obstacles.push(obstacle.help("run it without `--host`, or let the secret be a variable"));
    }
    obstacles
}
