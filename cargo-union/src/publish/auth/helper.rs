//! Runs Docker credential helpers, programs named `docker-credential-…`.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value};

use super::RegistryLogin;
use super::files::field;
use crate::http::error::clean;
use crate::sys::error::Error;
use crate::sys::process::{Environment, LimitedOutput, ProcessCommand};
use crate::sys::secret::Secret;

/// The default timeout: cloud helpers contact a server, and desktop helpers may ask the user.
pub(super) const TIMEOUT: Duration = Duration::from_secs(60);
/// The size limit of a helper's output, in bytes.
const LONGEST: usize = 1 << 20;

/// The search path and timeout of credential helpers.
#[derive(Clone, Debug)]
pub struct CredentialHelpers {
    /// Directories to search instead of the PATH, in its format.
    pub search_path: Option<OsString>,
    /// The timeout of a helper.
    pub timeout: Duration,
}

impl Default for CredentialHelpers {
    fn default() -> Self {
        Self {
            search_path: None,
            timeout: TIMEOUT,
        }
    }
}

pub(super) fn program(name: &str) -> String {
    format!("docker-credential-{name}")
}

impl CredentialHelpers {
    /// Runs `docker-credential-<name> get` for a server; `None` if the helper has no credentials.
    ///
    /// # Errors
    /// The problem, as the end of a sentence whose subject is the helper.
    pub(super) async fn ask(
        &self,
        name: &str,
        server: &str,
    ) -> Result<Option<RegistryLogin>, String> {
        // No paths: a config.json must not be able to start any other program.
        if name.is_empty()
            || !name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        {
            return Err("has an invalid name".to_owned());
        }
        let mut environment = Environment::of_process();
        if let Some(path) = &self.search_path {
            environment.set("PATH", path);
        }
        let program = program(name);
        let mut command = ProcessCommand::new(&program, Path::new("."), &environment);
        command.arg("get").input(server);
        let output = match command.run_with_limits(self.timeout, LONGEST).await {
            Ok(LimitedOutput::Ended(output)) => output,
            Ok(LimitedOutput::Late) => {
                return Err(format!(
                    "timed out after {} seconds",
                    self.timeout.as_secs_f64()
                ));
            }
            Ok(LimitedOutput::Long) => {
                return Err(format!("wrote more than {LONGEST} bytes"));
            }
            Err(error) => {
                return Err(not_started(
                    &error,
                    environment.find_program(Path::new(&program)).is_some(),
                ));
            }
        };
        let stdout = output.stdout.clone();
        let stderr = output.stderr.clone();
        match output.success() {
            Ok(answer) => {
                login(&answer).ok_or_else(|| "wrote a document without credentials".to_owned())
            }
            // According to the protocol, helpers write errors to their standard output.
            Err(failure) => match error_message(&stdout).or_else(|| error_message(&stderr)) {
                Some(message)
                    if [
                        "credentials not found",
                        "no credentials server URL",
                        "no credentials username",
                    ]
                    .iter()
                    .any(|words| message.contains(words)) =>
                {
                    Ok(None)
                }
                Some(message) => Err(format!("failed: {message}")),
                None => match failure.code {
                    Some(code) => Err(format!("failed with exit code {code}")),
                    None => Err("was terminated by a signal".to_owned()),
                },
            },
        }
    }
}

fn not_started(error: &Error, exists: bool) -> String {
    let cause =
        std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<io::Error>());
    match cause {
        Some(cause) if cause.kind() == ErrorKind::NotFound && !exists => {
            "is not on the PATH".to_owned()
        }
        Some(cause) => format!("could not be started: {cause}"),
        None => format!("could not be started: {error}"),
    }
}

/// The error message of a helper, unless it looks like a login, which could contain a secret.
fn error_message(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let may_be_secret = text.contains('{') || text.to_ascii_lowercase().contains("secret\"");
    Some(clean(&text)).filter(|text| !text.is_empty() && !may_be_secret)
}

/// Parses the output of a helper. `None` is invalid output, `Some(None)` an empty login. Text before and after the JSON
/// is ignored.
fn login(answer: &[u8]) -> Option<Option<RegistryLogin>> {
    let start = answer.iter().position(|byte| *byte == b'{')?;
    let mut values = serde_json::Deserializer::from_slice(answer.get(start..)?)
        .into_iter::<Map<String, Value>>();
    let answer = values.next()?.ok()?;
    let text = |name| match field(&answer, name) {
        None => Some(String::new()),
        Some(Value::String(text)) => Some(text.clone()),
        Some(_) => None,
    };
    let user = text("Username")?;
    let secret = Secret::new(text("Secret")?);
    Some(match user.as_str() {
        _ if secret.reveal().is_empty() => None,
        "<token>" => Some(RegistryLogin::Identity(secret)),
        _ => Some(RegistryLogin::Password {
            user,
            password: secret,
        }),
    })
}

#[cfg(all(test, unix))]
mod tests;
