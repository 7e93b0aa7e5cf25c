#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

async fn ask_script_for(script: &str, timeout: Duration) -> Result<Option<RegistryLogin>, String> {
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
        timeout,
    }
    .ask("test", "ghcr.io")
    .await
}

async fn ask_script(script: &str) -> Result<Option<RegistryLogin>, String> {
    ask_script_for(script, TIMEOUT).await
}

#[tokio::test]
async fn helper_reads_the_server_from_stdin() {
    let login =
        ask_script(r#"test "$1" = get && printf '{"Username":"%s","Secret":"s3cret"}' "$(cat)""#)
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
