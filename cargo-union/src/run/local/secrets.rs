//! Secrets of a task, read from the environment variables that they have on the backend.

use union_build::diag::Code;
use union_build::spec::task::{Mount, Task, TaskSecret};

use crate::copilot::{InputFile, InputFileKind};
use crate::sys::error::{Error, Result};
use crate::sys::process::Environment;
use crate::sys::secret::Secret;
use crate::sys::words;

/// The directory of secrets that are files.
pub(super) const SECRETS_DIRECTORY: &str = "/etc/flyte/secrets";

/// Reads all secrets of a task.
///
/// # Errors
/// `TaskSecretMissing`, which names all variables that are not set.
pub(super) fn read_secrets<'a>(
    task: &'a Task,
    environment: &Environment,
) -> Result<Vec<(&'a TaskSecret, Secret<String>)>> {
    let value = |secret: &TaskSecret| {
        environment
            .get(&secret.variable())
            .map(|value| Secret::new(value.to_owned()))
    };
    let missing: Vec<&TaskSecret> = task
        .secrets
        .iter()
        .filter(|secret| value(secret).is_none())
        .collect();
    if missing.is_empty() {
        return Ok(task
            .secrets
            .iter()
            .filter_map(|secret| Some((secret, value(secret)?)))
            .collect());
    }
    let keys = words::list(missing.iter().map(|secret| &secret.key.value));
    let variables = words::list(missing.iter().map(|secret| secret.variable()));
    let (secret_noun, variable_noun) = if missing.len() == 1 {
        ("its secret", "variable")
    } else {
        ("its secrets", "variables")
    };
    let error = Error::new(
        Code::TaskSecretMissing,
        format!("could not give task `{}` {secret_noun} {keys}", task.key),
    );
    let error = error.because(format!(
        "not set: the environment {variable_noun} {variables}"
    ));
    Err(error
        .help("Set what is missing: a run on this machine has its secrets from the environment."))
}

/// The secrets that the program reads from variables.
pub(super) fn variables<'a>(
    secrets: &'a [(&TaskSecret, Secret<String>)],
) -> impl Iterator<Item = (&'a str, &'a Secret<String>)> {
    secrets
        .iter()
        .filter_map(|(secret, value)| match &secret.mount {
            Mount::Env(variable) => Some((variable.as_str(), value)),
            Mount::File => None,
        })
}

/// The secrets that the program reads from files. Every user of the container can read them.
pub(super) fn files(secrets: &[(&TaskSecret, Secret<String>)]) -> Vec<InputFile> {
    let file = |(secret, value): &(&TaskSecret, Secret<String>)| {
        let group = secret
            .group
            .as_ref()
            .map(|group| format!("{}/", group.value))
            .unwrap_or_default();
        let path = format!("{SECRETS_DIRECTORY}/{group}{}", secret.key.value);
        InputFile {
            path,
            mode: 0o444,
            what: InputFileKind::Bytes(value.reveal().clone().into_bytes()),
        }
    };
    secrets
        .iter()
        .filter(|(secret, _)| secret.mount == Mount::File)
        .map(file)
        .collect()
}
