//! Credential helpers: programs named `docker-credential-…` that keep logins outside of files.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value};

use super::RegistryLogin;
use super::files::field;
use crate::http::error::clean;
use crate::sys::error::Error;
use crate::sys::process::{Bounded, Environment, ProcessCommand};
use crate::sys::secret::Secret;

/// Cloud helpers ask a server, and a desktop may ask the user.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// The longest answer that is read.
const LONGEST: usize = 1 << 20;

/// Where helpers are looked for, and how long they may take.
#[derive(Clone, Debug)]
pub struct CredentialHelpers {
    /// Where they are looked for instead of the PATH.
    pub search_path: Option<OsString>,
    /// How long one may take.
    pub patience: Duration,
}

impl Default for CredentialHelpers {
    fn default() -> Self {
        Self { search_path: None, patience: PATIENCE }
    }
}

/// The program of a helper.
pub(super) fn program(name: &str) -> String {
    format!("docker-credential-{name}")
}

impl CredentialHelpers {
    /// Asks a helper for the login of a server; `None` when it has none.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence about it.
    pub(super) async fn ask(&self, name: &str, server: &str) -> Result<Option<RegistryLogin>, String> {
        // A name is no path: a config.json must not start just any program.
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
            return Err("has a name that no helper has".to_owned());
        }
        let mut environment = Environment::of_process();
        if let Some(path) = &self.search_path {
            environment.set("PATH", path);
        }
        let program = program(name);
        let mut command = ProcessCommand::new(&program, Path::new("."), &environment);
        command.arg("get").input(server);
        let output = match command.bounded(self.patience, LONGEST).await {
            Ok(Bounded::Ended(output)) => output,
            Ok(Bounded::Late) => return Err(format!("did not answer in {} seconds", self.patience.as_secs_f64())),
            Ok(Bounded::Long) => return Err(format!("answers with more than {LONGEST} bytes")),
            Err(error) => return Err(not_started(&error, environment.find_program(Path::new(&program)).is_some())),
        };
        let (stdout, stderr) = (output.stdout.clone(), output.stderr.clone());
        match output.success() {
            Ok(answer) => login(&answer).ok_or_else(|| "answered with something that is no login".to_owned()),
            // By the protocol a helper explains itself on its standard output.
            Err(failed) => match explanation(&stdout).or_else(|| explanation(&stderr)) {
                Some(said)
                    if ["credentials not found", "no credentials server URL", "no credentials username"]
                        .iter()
                        .any(|words| said.contains(words)) =>
                {
                    Ok(None)
                }
                Some(said) => Err(format!("failed: {said}")),
                None => match failed.code {
                    Some(code) => Err(format!("failed with exit code {code}")),
                    None => Err("was ended by a signal".to_owned()),
                },
            },
        }
    }
}

fn not_started(error: &Error, is_there: bool) -> String {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<io::Error>());
    match cause {
        Some(cause) if cause.kind() == ErrorKind::NotFound && !is_there => "is not on the PATH".to_owned(),
        Some(cause) => format!("could not be started: {cause}"),
        None => format!("could not be started: {error}"),
    }
}

/// What a helper says of a failure, unless it looks like an answer, in which a secret would be.
fn explanation(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let may_be_secret = text.contains('{') || text.to_ascii_lowercase().contains("secret\"");
    Some(clean(&text)).filter(|text| !text.is_empty() && !may_be_secret)
}

/// The login of an answer, which may be empty; `None` when it is no answer. Notices may stand about it.
fn login(answer: &[u8]) -> Option<Option<RegistryLogin>> {
    let start = answer.iter().position(|byte| *byte == b'{')?;
    let mut values = serde_json::Deserializer::from_slice(answer.get(start..)?).into_iter::<Map<String, Value>>();
    let answer = values.next()?.ok()?;
    let text = |name| match field(&answer, name) {
        None => Some(String::new()),
        Some(Value::String(text)) => Some(text.clone()),
        Some(_) => None,
    };
    let (user, secret) = (text("Username")?, Secret::new(text("Secret")?));
    Some(match user.as_str() {
        _ if secret.reveal().is_empty() => None,
        "<token>" => Some(RegistryLogin::Identity(secret)),
        _ => Some(RegistryLogin::Password { user, password: secret }),
    })
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    async fn ask_script_for(script: &str, patience: Duration) -> Result<Option<RegistryLogin>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("docker-credential-test");
        // Written by another process: a file that this one has had open for writing cannot be started
        // while a test beside this one is just starting something else.
        let write = r#"printf '#!/bin/sh\n%s\n' "$1" > "$2" && chmod +x "$2""#;
        let written = tokio::process::Command::new("sh").args(["-c", write, "sh", script]).arg(&path).status().await.unwrap();
        assert!(written.success());
        let search_path = Some(format!("{}:/usr/bin:/bin", folder.path().display()).into());
        CredentialHelpers { search_path, patience }.ask("test", "ghcr.io").await
    }

    async fn ask_script(script: &str) -> Result<Option<RegistryLogin>, String> {
        ask_script_for(script, PATIENCE).await
    }

    #[tokio::test]
    async fn a_helper_is_asked_for_the_server_on_its_input() {
        let login = ask_script(r#"test "$1" = get && printf '{"Username":"%s","Secret":"s3cret"}' "$(cat)""#).await.unwrap().unwrap();
        assert!(matches!(&login, RegistryLogin::Password { user, password } if user == "ghcr.io" && password.reveal() == "s3cret"));
        assert!(!format!("{login:?}").contains("s3cret"));
    }

    #[tokio::test]
    async fn a_token_is_an_identity() {
        let login = ask_script(r#"echo '{"Username":"<token>","Secret":"abc"}'"#).await.unwrap().unwrap();
        assert!(matches!(login, RegistryLogin::Identity(token) if token.reveal() == "abc"));
    }

    #[tokio::test]
    async fn notices_about_an_answer_and_names_in_any_case_are_read() {
        let notices = r#"echo "An update is available" >&2; echo "Updating"; echo '{"username":"me","secret":"abc"}'; echo "Bye {""#;
        let login = ask_script(notices).await.unwrap().unwrap();
        assert!(matches!(login, RegistryLogin::Password { user, password } if user == "me" && password.reveal() == "abc"));
    }

    #[tokio::test]
    async fn a_helper_that_knows_nothing_leaves_the_user_anonymous() {
        assert!(ask_script("echo credentials not found in native keychain; exit 1").await.unwrap().is_none());
        assert!(ask_script(r#"echo '{"Username":null,"Secret":""}'"#).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_helper_that_fails_is_quoted() {
        let why = ask_script("echo the keychain is locked; exit 3").await.unwrap_err();
        assert_eq!(why, "failed: the keychain is locked");
        assert_eq!(ask_script("echo log in first >&2; exit 1").await.unwrap_err(), "failed: log in first");
        assert_eq!(ask_script("exit 7").await.unwrap_err(), "failed with exit code 7");
    }

    #[tokio::test]
    async fn no_secret_is_repeated() {
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
    async fn a_helper_that_closes_its_input_may_still_answer() {
        let login = ask_script(r#"exec <&-; echo '{"Username":"me","Secret":"abc"}'"#).await.unwrap();
        assert!(login.is_some());
    }

    #[tokio::test]
    async fn a_helper_that_hangs_or_writes_without_end_is_ended() {
        let why = ask_script_for("sleep 600", Duration::from_millis(50)).await.unwrap_err();
        assert_eq!(why, "did not answer in 0.05 seconds");
        assert_eq!(ask_script("exec yes").await.unwrap_err(), "answers with more than 1048576 bytes");
        assert!(ask_script("yes | head -c 3000000 >&2; exit 1").await.unwrap_err().starts_with("failed: y y y"));
    }

    #[tokio::test]
    async fn an_answer_does_not_wait_for_what_a_helper_leaves_behind() {
        // It holds the helper's output, and ends when nobody reads that any more.
        let script = r#"echo '{"Username":"me","Secret":"abc"}'; (while echo; do sleep 0.1; done) & exit 0"#;
        assert!(ask_script_for(script, Duration::from_secs(20)).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_missing_helper_and_one_with_a_path_for_a_name_are_refused() {
        let helpers = CredentialHelpers::default();
        assert_eq!(helpers.ask("no-such-helper", "ghcr.io").await.unwrap_err(), "is not on the PATH");
        for name in ["../../bin/sh", "", "a b", "a\0b"] {
            assert_eq!(helpers.ask(name, "ghcr.io").await.unwrap_err(), "has a name that no helper has");
        }
    }

    proptest! {
        #[test]
        fn any_answer_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..40), text in "\\PC{0,20}[{]?\\PC{0,40}[}]?") {
            login(&bytes);
            login(text.as_bytes());
            explanation(&bytes);
        }
    }
}
