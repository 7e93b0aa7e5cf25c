//! Storage of tokens between runs: in the system's keyring, where the Python SDK stores them too, else in a
//! file that only the user can read.
//!
//! When the keyring is missing or does not respond, the file is used instead.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::tokens::{Tokens, is_token};
use crate::sys::error::Result;
use crate::sys::fs::{self, FileLock};
use crate::sys::process::{Environment, ProcessCommand};
use crate::sys::secret::Secret;

mod keychain;
mod secret_service;

/// The user name under which Flyte's tools store tokens in a keyring.
const USER: &str = "tokens";
/// The time limit of keyring programs: a desktop may ask the user to unlock the keyring.
const LIMIT: Duration = Duration::from_secs(60);

/// The users of flytekit's entries.
const ACCESS: &str = "access_token";
const REFRESH: &str = "refresh_token";

/// The token store of one backend.
#[derive(Debug)]
pub(crate) struct TokenStore {
    /// `host[:port]`, as in the config; the service name in a keyring.
    service: String,
    keyring: Option<Keyring>,
    /// `None` when tokens are not stored.
    file: Option<PathBuf>,
}

/// The place where tokens were stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoredIn {
    Keyring,
    /// In a file; with the reason when a keyring exists but could not be used.
    File(PathBuf, Option<String>),
    Nowhere,
}

/// A keyring with the program that accesses it.
#[derive(Debug)]
enum Keyring {
    SecretService(KeyringTool),
    Keychain(KeyringTool),
}

/// A program that accesses a keyring.
#[derive(Clone, Debug)]
pub(super) struct KeyringTool {
    program: PathBuf,
    environment: Environment,
}

/// The reason why a keyring cannot be used.
pub(super) struct KeyringUnavailable(pub(super) String);

impl TokenStore {
    /// A store that neither reads nor writes tokens.
    pub(crate) fn nothing(service: &str) -> Self {
        Self {
            service: service.to_owned(),
            keyring: None,
            file: None,
        }
    }

    /// The keyring of this machine, if there seems to be one, and a file.
    pub(crate) fn of_machine(service: &str, environment: &Environment) -> Self {
        Self {
            service: service.to_owned(),
            keyring: Keyring::find(environment),
            file: token_file(service, environment),
        }
    }

    /// Reads the stored tokens, from the keyring or else the file.
    pub(crate) async fn read(&self) -> Result<Option<Tokens>> {
        if let Some(keyring) = &self.keyring
            && let Ok(Some(text)) = keyring.read(&self.service, USER).await
            && let Some(tokens) = Tokens::of_json(&text)
        {
            return Ok(Some(tokens));
        }
        let in_file = match &self.file {
            Some(file) => fs::read_if_exists(file)?
                .as_deref()
                .and_then(Tokens::of_json),
            None => None,
        };
        match in_file {
            Some(tokens) => Ok(Some(tokens)),
            None => Ok(self.read_flytekit().await),
        }
    }

    /// The tokens that flytekit has stored, which has an entry for each. They are never written.
    async fn read_flytekit(&self) -> Option<Tokens> {
        let keyring = self.keyring.as_ref()?;
        let entry = async |user: &str| {
            let text = keyring.read(&self.service, user).await.ok().flatten();
            text.map(|text| text.trim_end().to_owned())
                .filter(|text| is_token(text))
                .map(Secret::new)
        };
        Some(Tokens {
            access: entry(ACCESS).await?,
            refresh: entry(REFRESH).await,
        })
    }

    /// Waits until no other process refreshes the tokens. `None` when the lock cannot be taken, or not within a
    /// minute: the caller reads the stored tokens again in any case.
    pub(super) async fn lock(&self) -> Option<FileLock> {
        let path = self.file.as_ref()?.with_extension("lock");
        let deadline = Instant::now() + LIMIT;
        while Instant::now() < deadline {
            match FileLock::available(&path) {
                Ok(None) => tokio::time::sleep(Duration::from_millis(20)).await,
                Ok(lock) => return lock,
                Err(_) => return None,
            }
        }
        None
    }

    /// Stores tokens in the keyring and removes the file; or else stores them in the file.
    pub(crate) async fn write(&self, tokens: &Tokens) -> Result<StoredIn> {
        let json = tokens.to_json();
        let mut why = None;
        if let Some(keyring) = &self.keyring {
            match keyring.write(&self.service, json.reveal()).await {
                Ok(()) => {
                    self.file
                        .as_ref()
                        .map(|file| fs::remove(file))
                        .transpose()?;
                    return Ok(StoredIn::Keyring);
                }
                Err(KeyringUnavailable(cause)) => why = Some(cause),
            }
        }
        let Some(file) = &self.file else {
            return Ok(StoredIn::Nowhere);
        };
        fs::replace_private(file, json.reveal().as_bytes())?;
        Ok(StoredIn::File(file.clone(), why))
    }

    /// Deletes the tokens from both places. Returns whether there were any.
    pub(crate) async fn forget(&self) -> Result<bool> {
        let in_keyring = match &self.keyring {
            Some(keyring) => {
                let mut found = false;
                for user in [USER, ACCESS, REFRESH] {
                    found |= keyring.forget(&self.service, user).await.unwrap_or(false);
                }
                found
            }
            None => false,
        };
        let in_file = match &self.file {
            Some(file) => fs::remove(file)?,
            None => false,
        };
        Ok(in_keyring || in_file)
    }
}

impl Keyring {
    fn find(environment: &Environment) -> Option<Self> {
        let tool = |program| KeyringTool {
            program,
            environment: environment.clone(),
        };
        if cfg!(target_os = "macos") {
            return Some(Self::Keychain(tool(PathBuf::from(keychain::PROGRAM))));
        }
        // Without a session bus, `secret-tool` would wait for one.
        environment.get("DBUS_SESSION_BUS_ADDRESS")?;
        environment
            .find_program(Path::new(secret_service::PROGRAM))
            .map(tool)
            .map(Self::SecretService)
    }

    async fn read(&self, service: &str, user: &str) -> Result<Option<String>, KeyringUnavailable> {
        match self {
            Self::SecretService(tool) => secret_service::read(tool, service, user).await,
            Self::Keychain(tool) => keychain::read(tool, service, user).await,
        }
    }

    async fn write(&self, service: &str, secret: &str) -> Result<(), KeyringUnavailable> {
        match self {
            Self::SecretService(tool) => secret_service::write(tool, service, secret).await,
            Self::Keychain(tool) => keychain::write(tool, service, secret).await,
        }
    }

    async fn forget(&self, service: &str, user: &str) -> Result<bool, KeyringUnavailable> {
        match self {
            Self::SecretService(tool) => secret_service::forget(tool, service, user).await,
            Self::Keychain(tool) => keychain::forget(tool, service, user).await,
        }
    }
}

/// The result of a keyring program.
pub(super) struct ToolOutput {
    stdout: String,
    /// `None` when it succeeded.
    failed: Option<crate::sys::process::ProcessFailure>,
}

impl KeyringTool {
    /// Runs the program with `input` as standard input.
    async fn run<A: AsRef<std::ffi::OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
        input: &str,
    ) -> Result<ToolOutput, KeyringUnavailable> {
        let mut command = ProcessCommand::new(&self.program, Path::new("/"), &self.environment);
        command.args(args).input(input);
        let unavailable = |why: String| KeyringUnavailable(why);
        let output = tokio::time::timeout(LIMIT, command.output()).await;
        let output = output.map_err(|_| unavailable("the keyring did not respond".to_owned()))?;
        let output = output.map_err(|error| unavailable(error.chain().join(": ")))?;
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(ToolOutput {
            stdout,
            failed: output.success().err(),
        })
    }
}

/// The file of a backend; its name contains the host, so that stores of several backends do not collide.
fn token_file(service: &str, environment: &Environment) -> Option<PathBuf> {
    let directory_from = |name| {
        environment
            .get(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let state = directory_from("XDG_STATE_HOME")
        .or_else(|| directory_from("HOME").map(|home| home.join(".local/state")))?;
    let name: String = service
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() || ".-".contains(letter) {
                letter
            } else {
                '_'
            }
        })
        .collect();
    Some(
        state
            .join("cargo-union/logins")
            .join(format!("{name}.json")),
    )
}

#[cfg(test)]
mod tests;
