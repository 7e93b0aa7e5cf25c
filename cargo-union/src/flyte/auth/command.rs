//! Tokens from a program that the user configures.

use std::path::Path;
use std::time::Duration;

use union_build::diag::Code;

use super::tokens::is_token;
use crate::flyte::rpc::RpcFailure;
use crate::http::error::clean;
use crate::sys::process::{Environment, ProcessCommand};
use crate::sys::secret::Secret;

/// The time limit of the program, which may call a server or prompt the user.
const LIMIT: Duration = Duration::from_secs(120);

/// Runs the program; its trimmed standard output is the token. Neither the output nor the arguments appear in
/// errors, because they may contain secrets.
pub(super) async fn token(
    words: &[String],
    key: &str,
    environment: &Environment,
    directory: &Path,
) -> Result<Secret<String>, RpcFailure> {
    let failed = |why: String| RpcFailure::new(Code::TokenCommandFailed, format!("`{key}`: {why}"));
    let Some((program, arguments)) = words.split_first() else {
        return Err(failed("it names no program".to_owned()));
    };
    let mut command = ProcessCommand::new(program, directory, environment);
    command.args(arguments);
    let output = tokio::time::timeout(LIMIT, command.output()).await;
    let output = output.map_err(|_| {
        failed(format!(
            "`{program}` did not end in {} seconds",
            LIMIT.as_secs()
        ))
    })?;
    let output = output.map_err(|error| failed(error.chain().join(": ")))?;
    let printed = output
        .success()
        .map_err(|ended| failed(clean(&ended.to_string())))?;
    let token = String::from_utf8(printed)
        .map_err(|_| failed(format!("`{program}` prints something that is not UTF-8")))?;
    let token = token.trim();
    if !is_token(token) {
        return Err(failed(format!(
            "`{program}` prints {}",
            if token.is_empty() {
                "nothing"
            } else {
                "more than a token"
            }
        )));
    }
    Ok(Secret::new(token.to_owned()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    async fn run(script: &str) -> Result<Secret<String>, RpcFailure> {
        let words = ["/bin/sh", "-c", script].map(str::to_owned);
        token(
            &words,
            "admin.command",
            &Environment::of_process(),
            Path::new("/"),
        )
        .await
    }

    #[tokio::test]
    async fn program_output_is_the_token() {
        assert_eq!(run("echo ' t0ken '").await.unwrap().reveal(), "t0ken");
    }

    #[tokio::test]
    async fn failing_program_is_named_with_its_stderr_and_without_its_arguments() {
        let failure = run("echo half-a-t0ken; echo the vault is sealed >&2; exit 3 # hunter2")
            .await
            .unwrap_err();
        assert_eq!(failure.code, Code::TokenCommandFailed);
        assert!(
            failure.cause.contains("admin.command")
                && failure.cause.contains("exit code 3: the vault is sealed"),
            "{}",
            failure.cause
        );
        assert!(
            !failure.cause.contains("hunter2") && !failure.cause.contains("t0ken"),
            "{}",
            failure.cause
        );
        assert!(
            run("true")
                .await
                .unwrap_err()
                .cause
                .contains("prints nothing")
        );
        assert!(
            run("echo t0ken; echo and more")
                .await
                .unwrap_err()
                .cause
                .contains("prints more than a token")
        );
    }

    #[tokio::test]
    async fn missing_program_is_named() {
        let words = ["no-such-program".to_owned()];
        let failure = token(
            &words,
            "admin.command",
            &Environment::of_process(),
            Path::new("/"),
        )
        .await
        .unwrap_err();
        assert!(
            failure.cause.contains("no-such-program"),
            "{}",
            failure.cause
        );
    }
}
