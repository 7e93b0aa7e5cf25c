//! Credential helpers: programs named `docker-credential-…` that keep logins outside of files.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use union_build::diag::Code;

use super::Login;
use crate::base::secret::Secret;
use crate::http::fault::clean;
use crate::publish::failure::Failure;

/// Cloud helpers ask a server, and a desktop may ask the user.
const LIMIT: Duration = Duration::from_secs(60);

/// No `Debug`: it holds a secret.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// Asks a helper for the login of a server; `None` when it has none.
pub(super) async fn ask(program: &str, server: &str, search_path: Option<&OsStr>) -> Result<Option<Login>, Failure> {
    let name = format!("docker-credential-{program}");
    let invalid = |why: String| Failure::new(Code::CredentialsInvalid, format!("the credential helper `{name}` {why}"));
    // A name is no path: a config.json must not start just any program.
    if !program.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
        return Err(invalid("has a name that no helper has".to_owned()));
    }
    let mut command = Command::new(&name);
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    if let Some(path) = search_path {
        command.env("PATH", path);
    }
    let mut child = command.spawn().map_err(|cause| match cause.kind() {
        ErrorKind::NotFound => {
            invalid("is configured and not on the PATH".to_owned()).help(format!("Install `{name}`, or remove it from the config.json."))
        }
        _ => invalid(format!("could not be started: {cause}")),
    })?;
    let mut input = child.stdin.take().expect("the input was just asked to be a pipe");
    let talk = async {
        // A helper that does not read its input has its own reasons; its exit code says whether they are good.
        let _ = input.write_all(server.as_bytes()).await;
        drop(input);
        child.wait_with_output().await
    };
    let output = match tokio::time::timeout(LIMIT, talk).await {
        Ok(output) => output.map_err(|cause| invalid(format!("could not be read: {cause}")))?,
        Err(_) => return Err(invalid(format!("did not answer in {} seconds", LIMIT.as_secs()))),
    };
    if !output.status.success() {
        // By the protocol a helper explains itself on its standard output.
        let said = clean(&String::from_utf8_lossy(if output.stdout.is_empty() { &output.stderr } else { &output.stdout }));
        let unknown = ["credentials not found", "no credentials server URL", "no credentials username"];
        return if unknown.iter().any(|words| said.contains(words)) {
            Ok(None)
        } else {
            Err(invalid(format!("failed for `{server}`: {said}")))
        };
    }
    let answer: Answer =
        serde_json::from_slice(&output.stdout).map_err(|_| invalid(format!("answered for `{server}` with something that is no login")))?;
    let secret = Secret::new(answer.secret);
    Ok(match answer.username.as_str() {
        _ if secret.reveal().is_empty() => None,
        "<token>" => Some(Login::Identity(secret)),
        _ => Some(Login::Password { user: answer.username, password: secret }),
    })
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    async fn ask_script(script: &str) -> Result<Option<Login>, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("docker-credential-test");
        // Written by another process: a file that this one has had open for writing cannot be started
        // while a test beside this one is just starting something else.
        let write = r#"printf '#!/bin/sh\n%s\n' "$1" > "$2" && chmod +x "$2""#;
        let written = Command::new("sh").args(["-c", write, "sh", script]).arg(&path).status().await.unwrap();
        assert!(written.success());
        let search_path = format!("{}:/usr/bin:/bin", folder.path().display());
        ask("test", "ghcr.io", Some(OsStr::new(&search_path))).await
    }

    #[tokio::test]
    async fn a_helper_is_asked_for_the_server_on_its_input() {
        let login = ask_script(r#"test "$1" = get && printf '{"Username":"%s","Secret":"s3cret"}' "$(cat)""#).await.unwrap().unwrap();
        assert!(matches!(&login, Login::Password { user, password } if user == "ghcr.io" && password.reveal() == "s3cret"));
        assert!(!format!("{login:?}").contains("s3cret"));
    }

    #[tokio::test]
    async fn a_token_is_an_identity() {
        let login = ask_script(r#"echo '{"Username":"<token>","Secret":"abc"}'"#).await.unwrap().unwrap();
        assert!(matches!(login, Login::Identity(token) if token.reveal() == "abc"));
    }

    #[tokio::test]
    async fn a_helper_that_knows_nothing_leaves_the_user_anonymous() {
        assert!(ask_script("echo credentials not found in native keychain; exit 1").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_helper_that_fails_is_named_with_its_own_words() {
        let failure = ask_script("echo the keychain is locked; exit 3").await.unwrap_err();
        assert_eq!(failure.code, Code::CredentialsInvalid);
        assert!(failure.cause.contains("docker-credential-test") && failure.cause.contains("the keychain is locked"), "{}", failure.cause);
    }

    #[tokio::test]
    async fn an_answer_that_is_no_login_is_not_repeated() {
        let failure = ask_script(r#"echo '{"Username": 5, "Secret": "s3cret"}'"#).await.unwrap_err();
        assert!(!format!("{failure:?}").contains("s3cret"), "{failure:?}");
    }

    #[tokio::test]
    async fn a_missing_helper_and_one_with_a_path_for_a_name_are_refused() {
        assert!(ask("no-such-helper", "ghcr.io", None).await.unwrap_err().cause.contains("not on the PATH"));
        assert!(ask("../../bin/sh", "ghcr.io", None).await.unwrap_err().cause.contains("has a name that no helper has"));
    }
}
