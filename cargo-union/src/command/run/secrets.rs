//! The secrets of a task, from the variables that they would have.

use union_build::diag::Code;
use union_build::spec::task::{Mount, Task, TaskSecret};

use crate::copilot::{InputFile, InputFileKind};
use crate::sys::error::{Error, Result};
use crate::sys::process::Environment;
use crate::sys::secret::Secret;
use crate::ui;

/// Where secrets that are files are.
pub(super) const FOLDER: &str = "/etc/flyte/secrets";

/// The values of all secrets.
///
/// # Errors
/// `TaskSecretMissing`, which names every variable that is not set.
pub(super) fn task_secrets<'a>(task: &'a Task, environment: &Environment) -> Result<Vec<(&'a TaskSecret, Secret<String>)>> {
    let value = |secret: &TaskSecret| environment.get(&secret.variable()).map(|value| Secret::new(value.to_owned()));
    let missing: Vec<&TaskSecret> = task.secrets.iter().filter(|secret| value(secret).is_none()).collect();
    if missing.is_empty() {
        return Ok(task.secrets.iter().filter_map(|secret| Some((secret, value(secret)?))).collect());
    }
    let keys = ui::list(missing.iter().map(|secret| &secret.key.value));
    let variables = ui::list(missing.iter().map(|secret| secret.variable()));
    let (which, are) = if missing.len() == 1 { ("its secret", "variable") } else { ("its secrets", "variables") };
    let error = Error::new(Code::TaskSecretMissing, format!("could not give task `{}` {which} {keys}", task.key));
    let error = error.because(format!("not set: the environment {are} {variables}"));
    Err(error.help("Set what is missing: a run on this machine has its secrets from the environment."))
}

/// Those that the program gets as variables.
pub(super) fn variables<'a>(secrets: &'a [(&TaskSecret, Secret<String>)]) -> impl Iterator<Item = (&'a str, &'a Secret<String>)> {
    secrets.iter().filter_map(|(secret, value)| match &secret.mount {
        Mount::Env(variable) => Some((variable.as_str(), value)),
        Mount::File => None,
    })
}

/// Those that it gets as files, where everybody in the container may read them.
pub(super) fn files(secrets: &[(&TaskSecret, Secret<String>)]) -> Vec<InputFile> {
    let file = |(secret, value): &(&TaskSecret, Secret<String>)| {
        let group = secret.group.as_ref().map(|group| format!("{}/", group.value)).unwrap_or_default();
        let path = format!("{FOLDER}/{group}{}", secret.key.value);
        InputFile { path, mode: 0o444, what: InputFileKind::Bytes(value.reveal().clone().into_bytes()) }
    };
    secrets.iter().filter(|(secret, _)| secret.mount == Mount::File).map(file).collect()
}
