//! Where tokens are kept between runs: in the system's keyring, where the Python SDK keeps them too, else
//! in a file that only the user may read.
//!
//! A keyring that is not there, or does not answer, never stops anybody: the file stands in.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::tokens::Tokens;
use crate::sys::error::Result;
use crate::sys::fs::{self, FileLock};
use crate::sys::process::{Environment, ProcessCommand};

mod keychain;
mod secret_service;

/// The name under which Flyte's tools keep tokens in a keyring.
const USER: &str = "tokens";
/// A desktop may ask the user whether a keyring may be opened.
const LIMIT: Duration = Duration::from_secs(60);

/// Where the tokens of one backend are kept.
#[derive(Debug)]
pub(crate) struct TokenStore {
    /// `host[:port]`, as in the config.
    service: String,
    keyring: Option<Keyring>,
    /// `None` when nothing shall be kept.
    file: Option<PathBuf>,
}

/// Where tokens went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoredIn {
    Keyring,
    /// In a file; and why not in the keyring, when there seems to be one.
    File(PathBuf, Option<String>),
    Nowhere,
}

/// A program that opens the keyring.
#[derive(Debug)]
enum Keyring {
    SecretService(KeyringTool),
    Keychain(KeyringTool),
}

/// How a program is started.
#[derive(Clone, Debug)]
pub(super) struct KeyringTool {
    program: PathBuf,
    environment: Environment,
}

/// What a keyring says when it cannot be used.
pub(super) struct KeyringUnavailable(pub(super) String);

impl TokenStore {
    /// Nothing is kept, and nothing is looked for.
    pub(crate) fn nothing(service: &str) -> Self {
        Self { service: service.to_owned(), keyring: None, file: None }
    }

    /// The keyring of this machine, if it seems to have one, and a file.
    pub(crate) fn of_machine(service: &str, environment: &Environment) -> Self {
        Self { service: service.to_owned(), keyring: Keyring::find(environment), file: file(service, environment) }
    }

    /// The tokens that were kept.
    pub(crate) async fn read(&self) -> Result<Option<Tokens>> {
        if let Some(keyring) = &self.keyring
            && let Ok(Some(text)) = keyring.read(&self.service).await
            && let Some(tokens) = Tokens::of_json(&text)
        {
            return Ok(Some(tokens));
        }
        let Some(file) = &self.file else { return Ok(None) };
        Ok(fs::read_if_exists(file)?.as_deref().and_then(Tokens::of_json))
    }

    /// Waits until no other process renews what is kept. Where no lock can be had, and after a minute, nobody is
    /// waited for: whoever renews looks at what is kept again.
    pub(super) async fn lock(&self) -> Option<FileLock> {
        let path = self.file.as_ref()?.with_extension("lock");
        let deadline = Instant::now() + LIMIT;
        while Instant::now() < deadline {
            match FileLock::available(&path) {
                Ok(None) => tokio::time::sleep(Duration::from_millis(20)).await,
                Ok(held) => return held,
                Err(_) => return None,
            }
        }
        None
    }

    /// Keeps tokens, in one place only.
    pub(crate) async fn write(&self, tokens: &Tokens) -> Result<StoredIn> {
        let json = tokens.to_json();
        let mut why = None;
        if let Some(keyring) = &self.keyring {
            match keyring.write(&self.service, json.reveal()).await {
                Ok(()) => {
                    self.file.as_ref().map(|file| fs::remove(file)).transpose()?;
                    return Ok(StoredIn::Keyring);
                }
                Err(KeyringUnavailable(cause)) => why = Some(cause),
            }
        }
        let Some(file) = &self.file else { return Ok(StoredIn::Nowhere) };
        fs::replace_private(file, json.reveal().as_bytes())?;
        Ok(StoredIn::File(file.clone(), why))
    }

    /// Forgets the tokens. Says whether there were any.
    pub(crate) async fn forget(&self) -> Result<bool> {
        let known = match &self.keyring {
            Some(keyring) => keyring.forget(&self.service).await.unwrap_or(false),
            None => false,
        };
        let kept = match &self.file {
            Some(file) => fs::remove(file)?,
            None => false,
        };
        Ok(known || kept)
    }
}

impl Keyring {
    fn find(environment: &Environment) -> Option<Self> {
        let tool = |program| KeyringTool { program, environment: environment.clone() };
        if cfg!(target_os = "macos") {
            return Some(Self::Keychain(tool(PathBuf::from(keychain::PROGRAM))));
        }
        // Without a session there is nobody to ask, and the program would wait for one.
        environment.get("DBUS_SESSION_BUS_ADDRESS")?;
        environment.find_program(Path::new(secret_service::PROGRAM)).map(tool).map(Self::SecretService)
    }

    async fn read(&self, service: &str) -> Result<Option<String>, KeyringUnavailable> {
        match self {
            Self::SecretService(tool) => secret_service::read(tool, service).await,
            Self::Keychain(tool) => keychain::read(tool, service).await,
        }
    }

    async fn write(&self, service: &str, secret: &str) -> Result<(), KeyringUnavailable> {
        match self {
            Self::SecretService(tool) => secret_service::write(tool, service, secret).await,
            Self::Keychain(tool) => keychain::write(tool, service, secret).await,
        }
    }

    async fn forget(&self, service: &str) -> Result<bool, KeyringUnavailable> {
        match self {
            Self::SecretService(tool) => secret_service::forget(tool, service).await,
            Self::Keychain(tool) => keychain::forget(tool, service).await,
        }
    }
}

/// How a program of a keyring has ended.
pub(super) struct ToolOutput {
    stdout: String,
    /// `None` when all went well.
    failed: Option<crate::sys::process::ProcessFailure>,
}

impl KeyringTool {
    /// Runs the program with a secret, or nothing, to read.
    async fn run<A: AsRef<std::ffi::OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
        input: &str,
    ) -> Result<ToolOutput, KeyringUnavailable> {
        let mut command = ProcessCommand::new(&self.program, Path::new("/"), &self.environment);
        command.args(args).input(input);
        let unavailable = |why: String| KeyringUnavailable(why);
        let output = tokio::time::timeout(LIMIT, command.output()).await;
        let output = output.map_err(|_| unavailable("the keyring did not answer".to_owned()))?;
        let output = output.map_err(|error| unavailable(error.chain().join(": ")))?;
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(ToolOutput { stdout, failed: output.success().err() })
    }
}

/// The file of one backend. Its name is the backend's, so that two logins at once do not meet.
fn file(service: &str, environment: &Environment) -> Option<PathBuf> {
    let set = |name| environment.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")))?;
    let name: String =
        service.chars().map(|letter| if letter.is_ascii_alphanumeric() || ".-".contains(letter) { letter } else { '_' }).collect();
    Some(state.join("cargo-union/logins").join(format!("{name}.json")))
}

#[cfg(test)]
mod tests;
