#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;
use crate::sys::secret::Secret;

fn tokens(access: &str) -> Tokens {
    Tokens {
        access: Secret::new(access.to_owned()),
        refresh: None,
    }
}

/// A user without a desktop session.
fn user() -> (TempDir, Environment) {
    let home = tempfile::tempdir().unwrap();
    let mut environment = Environment::default();
    environment.set("HOME", home.path());
    environment.set("PATH", format!("{}:/usr/bin:/bin", home.path().display()));
    (home, environment)
}

/// Installs a `secret-tool` in `home`.
async fn with_secret_tool(home: &Path, environment: &mut Environment, script: &str) {
    let path = home.join("secret-tool");
    // Written by another process: a file that this process has open for writing cannot be executed (ETXTBSY).
    let mut command = ProcessCommand::new("/bin/sh", home, &Environment::of_process());
    command
        .args([
            "-c",
            r#"printf '%s' "$1" > "$2" && chmod +x "$2""#,
            "sh",
            script,
        ])
        .arg(&path);
    command.output().await.unwrap().success().unwrap();
    environment.set("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere");
}

const SECRET_TOOL: &str = r#"#!/bin/sh
cd "$HOME" && echo "$@" >> words
case "$1 $*" in
  "store "*" service host:1 username tokens") cat > "secret" ;;
  "lookup "*"lookup service host:1 username tokens") test -f secret && cat secret ;;
  "clear "*"clear service host:1 username tokens") rm secret 2>/dev/null ;;
  *) echo "unknown words" >&2; exit 2 ;;
esac
"#;

#[tokio::test]
async fn token_store_without_a_keyring_uses_a_private_file() {
    let (home, environment) = user();
    let store = TokenStore::of_machine("host:1", &environment);
    assert_eq!(store.read().await.unwrap(), None);
    let file = home
        .path()
        .join(".local/state/cargo-union/logins/host_1.json");
    assert_eq!(
        store.write(&tokens("a")).await.unwrap(),
        StoredIn::File(file.clone(), None)
    );
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(store.read().await.unwrap(), Some(tokens("a")));
    assert_eq!(
        TokenStore::of_machine("host:2", &environment)
            .read()
            .await
            .unwrap(),
        None
    );
    assert!(store.forget().await.unwrap() && !file.exists());
    assert!(!store.forget().await.unwrap());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn token_store_uses_the_keyring_entries_of_python_and_passes_no_secret_in_arguments() {
    let (home, mut environment) = user();
    let file = TokenStore::of_machine("host:1", &environment);
    file.write(&tokens("old")).await.unwrap();
    with_secret_tool(home.path(), &mut environment, SECRET_TOOL).await;
    let store = TokenStore::of_machine("host:1", &environment);
    assert_eq!(
        store.read().await.unwrap(),
        Some(tokens("old")),
        "the file is read"
    );
    assert_eq!(
        store.write(&tokens("s3cret")).await.unwrap(),
        StoredIn::Keyring
    );
    assert_eq!(file.read().await.unwrap(), None, "there is one place only");
    assert_eq!(store.read().await.unwrap(), Some(tokens("s3cret")));
    assert_eq!(
        std::fs::read_to_string(home.path().join("secret")).unwrap(),
        r#"{"access_token":"s3cret","refresh_token":null}"#
    );
    assert!(store.forget().await.unwrap());
    assert_eq!(store.read().await.unwrap(), None);
    assert!(!store.forget().await.unwrap());
    let words = std::fs::read_to_string(home.path().join("words")).unwrap();
    assert!(
        words.contains("application Python keyring library") && !words.contains("s3cret"),
        "{words}"
    );
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn token_store_falls_back_to_the_file_when_the_keyring_fails() {
    let (home, mut environment) = user();
    with_secret_tool(
        home.path(),
        &mut environment,
        "#!/bin/sh\necho no such service >&2; exit 1\n",
    )
    .await;
    let store = TokenStore::of_machine("host:1", &environment);
    let stored = store.write(&tokens("a")).await.unwrap();
    assert!(
        matches!(&stored, StoredIn::File(_, Some(why)) if why.contains("no such service")),
        "{stored:?}"
    );
    assert_eq!(store.read().await.unwrap(), Some(tokens("a")));
    assert!(store.forget().await.unwrap());
}

#[tokio::test]
async fn disabled_token_store_stores_nothing() {
    let store = TokenStore::nothing("host:1");
    assert_eq!(store.write(&tokens("a")).await.unwrap(), StoredIn::Nowhere);
    assert_eq!(
        (store.read().await.unwrap(), store.forget().await.unwrap()),
        (None, false)
    );
}

/// A keyring with the entries of flytekit.
const FLYTEKIT: &str = r#"#!/bin/sh
cd "$HOME" && echo "$@" >> words
case "$*" in
  "lookup service host:1 username access_token") test -f access && cat access ;;
  "lookup service host:1 username refresh_token") test -f refresh && cat refresh ;;
  "clear service host:1 username access_token") rm access 2>/dev/null ;;
  "clear service host:1 username refresh_token") rm refresh 2>/dev/null ;;
  *) exit 1 ;;
esac
"#;

#[cfg(target_os = "linux")]
#[tokio::test]
async fn token_store_finds_the_entries_of_flytekit_after_its_own() {
    let (home, mut environment) = user();
    with_secret_tool(home.path(), &mut environment, FLYTEKIT).await;
    std::fs::write(home.path().join("access"), "theirs\n").unwrap();
    std::fs::write(home.path().join("refresh"), "again\n").unwrap();
    let store = TokenStore::of_machine("host:1", &environment);
    let found = store.read().await.unwrap().unwrap();
    assert_eq!(found.access.reveal(), "theirs");
    assert_eq!(found.refresh.unwrap().reveal(), "again");
    // What was stored since then is newer.
    let file = home
        .path()
        .join(".local/state/cargo-union/logins/host_1.json");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, tokens("mine").to_json().reveal()).unwrap();
    assert_eq!(store.read().await.unwrap(), Some(tokens("mine")));
    assert!(store.forget().await.unwrap());
    assert_eq!(store.read().await.unwrap(), None);
    assert!(!home.path().join("access").exists());
    assert!(!home.path().join("refresh").exists());
}
