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
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// The size limit of an answer, in bytes.
const LONGEST: usize = 1 << 20;

/// The search path and timeout of credential helpers.
#[derive(Clone, Debug)]
pub struct CredentialHelpers {
    /// Directories to search instead of the PATH, in its format.
    pub search_path: Option<OsString>,
    /// The timeout of a helper.
    pub patience: Duration,
}

impl Default for CredentialHelpers {
    fn default() -> Self {
        Self {
            search_path: None,
            patience: PATIENCE,
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
        let output = match command.run_with_limits(self.patience, LONGEST).await {
            Ok(LimitedOutput::Ended(output)) => output,
            Ok(LimitedOutput::Late) => {
                return Err(format!(
                    "timed out after {} seconds",
                    self.patience.as_secs_f64()
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

/// The error message of a helper, unless it looks like an answer, which could have a secret.
fn error_message(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let may_be_secret = text.contains('{') || text.to_ascii_lowercase().contains("secret\"");
    Some(clean(&text)).filter(|text| !text.is_empty() && !may_be_secret)
}

/// Parses an answer, which may have no login; `None` if it is invalid. Other text around the JSON is ignored.
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
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    async fn ask_script_for(
        script: &str,
        patience: Duration,
    ) -> Result<Option<RegistryLogin>, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("docker-credential-test");
        // Written by another process: if this process had it open for writing, a child that another test starts
        // concurrently could inherit the descriptor, and executing the file would fail with ETXTBSY.
        let write = r#"printf '#!/bin/sh\n%s\n' "$1" > "$2" && chmod +x "$2""#;
        let status = tokio::process::Command::new("sh")
            .args(["-c", write, "sh", script])
            .arg(&path)
            .status()
            .await
            .unwrap();
        assert!(status.success());
        let search_path = Some(format!("{}:/usr/bin:/bin", directory.path().display()).into());
        CredentialHelpers {
            search_path,
            patience,
        }
        .ask("test", "ghcr.io")
        .await
    }

    async fn ask_script(script: &str) -> Result<Option<RegistryLogin>, String> {
        ask_script_for(script, PATIENCE).await
    }

    #[tokio::test]
    async fn helper_reads_the_server_from_stdin() {
        let login = ask_script(
            r#"test "$1" = get && printf '{"Username":"%s","Secret":"s3cret"}' "$(cat)""#,
        )
        .await
        .unwrap()
        .unwrap();
        assert!(
            matches!(&login, RegistryLogin::Password { user, password } if user == "ghcr.io" && password.reveal() == "s3cret")
        );
        assert!(!format!("{login:?}").contains("s3cret"));
    }

    #[tokio::test]
    async fn user_name_token_is_an_identity_token() {
        let login = ask_script(r#"echo '{"Username":"<token>","Secret":"abc"}'"#)
            .await
            .unwrap()
            .unwrap();
        assert!(matches!(login, RegistryLogin::Identity(token) if token.reveal() == "abc"));
    }

    #[tokio::test]
    async fn text_around_an_answer_and_case_of_names_are_ignored() {
        let notices = r#"echo "An update is available" >&2; echo "Updating"; echo '{"username":"me","secret":"abc"}'; echo "Bye {""#;
        let login = ask_script(notices).await.unwrap().unwrap();
        assert!(
            matches!(login, RegistryLogin::Password { user, password } if user == "me" && password.reveal() == "abc")
        );
    }

    #[tokio::test]
    async fn helper_without_credentials_is_none() {
        assert!(
            ask_script("echo credentials not found in native keychain; exit 1")
                .await
                .unwrap()
                .is_none()
        );
        assert!(
            ask_script(r#"echo '{"Username":null,"Secret":""}'"#)
                .await
                .unwrap()
                .is_none()
        );
    }

    #[tokio::test]
    async fn failed_helper_is_reported_with_its_message() {
        let why = ask_script("echo the keychain is locked; exit 3")
            .await
            .unwrap_err();
        assert_eq!(why, "failed: the keychain is locked");
        assert_eq!(
            ask_script("echo log in first >&2; exit 1")
                .await
                .unwrap_err(),
            "failed: log in first"
        );
        assert_eq!(
            ask_script("exit 7").await.unwrap_err(),
            "failed with exit code 7"
        );
    }

    #[tokio::test]
    async fn errors_of_a_helper_do_not_contain_secrets() {
        for script in [
            r#"echo '{"Username": 5, "Secret": "s3cret"}'"#,
            r#"echo '{"Username": "me", "Secret": "s3cret"}'; exit 1"#,
            r#"echo '"Secret": "s3cret"' >&2; exit 1"#,
            "echo s3cret",
        ] {
            let why = ask_script(script).await.unwrap_err();
            assert!(!why.contains("s3cret"), "{why}");
        }
    }

    #[tokio::test]
    async fn helper_may_close_its_stdin() {
        let login = ask_script(r#"exec <&-; echo '{"Username":"me","Secret":"abc"}'"#)
            .await
            .unwrap();
        assert!(login.is_some());
    }

    #[tokio::test]
    async fn helper_is_stopped_after_its_timeout_or_size_limit() {
        let why = ask_script_for("sleep 600", Duration::from_millis(50))
            .await
            .unwrap_err();
        assert_eq!(why, "timed out after 0.05 seconds");
        assert_eq!(
            ask_script("exec yes").await.unwrap_err(),
            "wrote more than 1048576 bytes"
        );
        assert!(
            ask_script("yes | head -c 3000000 >&2; exit 1")
                .await
                .unwrap_err()
                .starts_with("failed: y y y")
        );
    }

    #[tokio::test]
    async fn helper_output_does_not_wait_for_background_processes() {
        // The background process has the helper's stdout open, and ends when the pipe is closed.
        let script =
            r#"echo '{"Username":"me","Secret":"abc"}'; (while echo; do sleep 0.1; done) & exit 0"#;
        assert!(
            ask_script_for(script, Duration::from_secs(20))
                .await
                .unwrap()
                .is_some()
        );
    }

    #[tokio::test]
    async fn missing_helper_and_invalid_name_are_errors() {
        let helpers = CredentialHelpers::default();
        assert_eq!(
            helpers.ask("no-such-helper", "ghcr.io").await.unwrap_err(),
            "is not on the PATH"
        );
        for name in ["../../bin/sh", "", "a b", "a\0b"] {
            assert_eq!(
                helpers.ask(name, "ghcr.io").await.unwrap_err(),
                "has an invalid name"
            );
        }
    }

    proptest! {
        #[test]
        fn parsing_an_answer_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..40), text in "\\PC{0,20}[{]?\\PC{0,40}[}]?") {
            login(&bytes);
            login(text.as_bytes());
            error_message(&bytes);
        }
    }
}
