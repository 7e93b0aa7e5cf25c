//! Parses the credential files of Docker and podman.
//!
//! The `docker_credential` crate parses the same files, but does not support logins for a path of a registry, does not
//! report which file a login is from, has no timeout for helpers, and includes their output in errors. The parser here
//! is as lenient as Go's for JSON: keys are case-insensitive, `null` equals a missing value, and only values that are
//! used must have the right type.

use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};
use union_build::diag::Code;

use super::RegistryLogin;
use crate::http::error::clean;
use crate::publish::failure::RegistryFailure;
use crate::sys::fs::unreadable;
use crate::sys::secret::Secret;

/// The size limit of a config, in bytes.
const LONGEST: u64 = 16 << 20;

/// A file or variable that may have credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialFile {
    /// A file that a setting refers to.
    Named {
        /// The path of the file.
        path: PathBuf,
        /// The name of the setting, for messages.
        setting: &'static str,
        /// Whether a missing file is an error; an invalid one always is.
        required: bool,
    },
    /// Docker's config.json at its default path.
    Docker(PathBuf),
    /// Podman's auth.json at one of its default paths.
    Podman(PathBuf),
    /// A file with only the content of `auths`: `~/.dockercfg`.
    Legacy(PathBuf),
    /// A variable with the content of a config.json.
    Variable {
        /// The name of the variable.
        name: &'static str,
        /// The value of the variable.
        text: Secret<String>,
    },
}

/// An entry of a config for a repository.
#[derive(Debug)]
pub(super) enum CredentialEntry {
    Login(RegistryLogin),
    /// A credential helper.
    Helper {
        /// The suffix of the program's name, `docker-credential-<program>`.
        program: String,
        /// The name of the registry for the helper.
        server: String,
    },
    /// An invalid entry, with the reason.
    Unusable(String),
}

/// The content of a credential file. No `Debug`, because it has secrets.
#[derive(Default)]
pub(super) struct DockerConfig {
    auths: Map<String, Value>,
    helpers: Map<String, Value>,
    store: Option<String>,
    /// Whether a login for a path of a registry applies to the whole registry, if there is no better one.
    serves_whole_hosts: bool,
}

/// A credential file that cannot be used.
#[derive(Debug)]
pub(super) struct UnreadableFile {
    pub(super) failure: RegistryFailure,
    /// Whether it is an error rather than a warning.
    pub(super) is_error: bool,
}

impl CredentialFile {
    /// Whether a setting refers to it explicitly, so that problems are errors.
    pub(super) fn is_named(&self) -> bool {
        matches!(self, Self::Named { .. })
    }

    /// Reads and parses the file; `None` if it does not exist.
    ///
    /// # Errors
    /// `FileUnreadable`; `CredentialsInvalid` when it cannot be parsed, or is required and missing.
    pub(super) fn read(&self) -> Result<Option<DockerConfig>, UnreadableFile> {
        let error = |failure, is_error| UnreadableFile { failure, is_error };
        let text = match self {
            Self::Variable { text, .. } => Some(text.reveal().clone()),
            Self::Docker(path)
            | Self::Podman(path)
            | Self::Legacy(path)
            | Self::Named { path, .. } => read_text(path)
                .map_err(|cause| error(unreadable(path, cause).into(), self.is_named()))?,
        };
        match (text, self) {
            (Some(text), _) => self.parse(&text).map(Some).map_err(|why| {
                let failure = RegistryFailure::new(
                    Code::CredentialsInvalid,
                    format!("{self} is not a Docker config.json: {why}"),
                );
                error(
                    failure.help(format!("Correct or remove {self}.")),
                    self.is_named(),
                )
            }),
            (
                None,
                Self::Named {
                    path,
                    setting,
                    required,
                },
            ) => {
                let cause = format!(
                    "`{}`, which `{setting}` names, does not exist",
                    path.display()
                );
                Err(error(
                    RegistryFailure::new(Code::CredentialsInvalid, cause),
                    *required,
                ))
            }
            (None, _) => Ok(None),
        }
    }

    fn parse(&self, text: &str) -> Result<DockerConfig, String> {
        if text.trim().is_empty() {
            return Ok(DockerConfig::default());
        }
        // Like Docker, ignores everything after the first value.
        let first = serde_json::Deserializer::from_str(text)
            .into_iter::<Value>()
            .next();
        // serde's message could contain the invalid value, which may be a secret.
        let position =
            |error: serde_json::Error| format!("line {}, column {}", error.line(), error.column());
        let document = object(
            "the document",
            first.transpose().map_err(position)?.as_ref(),
        )?;
        if matches!(self, Self::Legacy(_)) {
            return Ok(DockerConfig {
                auths: document,
                ..DockerConfig::default()
            });
        }
        let store = match field(&document, "credsStore") {
            None => None,
            Some(Value::String(store)) => Some(store.clone()),
            Some(_) => return Err("`credsStore` is not a string".to_owned()),
        };
        let auths = object("`auths`", field(&document, "auths"))?;
        let helpers = object("`credHelpers`", field(&document, "credHelpers"))?;
        let serves_whole_hosts = matches!(self, Self::Docker(_) | Self::Variable { .. });
        Ok(DockerConfig {
            auths,
            helpers,
            store: store.filter(|store| !store.is_empty()),
            serves_whole_hosts,
        })
    }
}

impl fmt::Display for CredentialFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named { path, .. }
            | Self::Docker(path)
            | Self::Podman(path)
            | Self::Legacy(path) => write!(f, "`{}`", path.display()),
            Self::Variable { name, .. } => write!(f, "the variable {name}"),
        }
    }
}

impl DockerConfig {
    /// The entries for a repository in the order to try: `credHelpers` of the registry as in Docker and podman, then
    /// `auths` with the longest path first, then `credsStore`. In Docker's files, logins for other paths of the registry
    /// come last, because Docker ignores paths.
    pub(super) fn entries(&self, registry: &str, path: &str) -> Vec<CredentialEntry> {
        let names = candidate_names(registry, path);
        let mut entries = Vec::new();
        for name in &names {
            let matching = self
                .helpers
                .iter()
                .filter(|(key, _)| normalize(key) == *name);
            entries.extend(matching.filter_map(|(key, program)| helper(key, program)));
        }
        for name in &names {
            entries.extend(
                self.auths
                    .iter()
                    .filter(|(key, _)| normalize(key) == *name)
                    .filter_map(|(key, auth)| login(key, auth)),
            );
        }
        entries.extend(self.store.as_ref().map(|program| CredentialEntry::Helper {
            program: program.clone(),
            server: store_name(registry).to_owned(),
        }));
        let host = normalize(registry);
        let is_other_path = |key: &str| {
            let key = normalize(key);
            self.serves_whole_hosts
                && key.split('/').next() == Some(&*host)
                && !names.contains(&key)
        };
        let others = self
            .auths
            .iter()
            .filter(|(key, _)| is_other_path(key))
            .filter_map(|(key, auth)| login(key, auth));
        entries.extend(others.filter(|entry| matches!(entry, CredentialEntry::Login(_))));
        entries
    }
}

/// Reads a file and replaces invalid UTF-8; `None` if it does not exist.
pub(super) fn read_text(path: &Path) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.len() as u64 > LONGEST => Err(io::Error::other(format!(
            "it has more than {LONGEST} bytes"
        ))),
        Ok(_) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        // The home directory may be a file, such as /dev/null.
        Err(cause) if matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(cause) => Err(cause),
    }
}

/// The members of an object; empty for `null` and a missing value.
fn object(name: &str, value: Option<&Value>) -> Result<Map<String, Value>, String> {
    match value {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(object)) => Ok(object.clone()),
        Some(_) => Err(format!("{name} is not an object")),
    }
}

/// A member that is not `null`, by its case-insensitive name.
pub(super) fn field<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let any_case = || {
        object
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    };
    object
        .get(name)
        .or_else(any_case)
        .filter(|value| !value.is_null())
}

fn helper(key: &str, program: &Value) -> Option<CredentialEntry> {
    match program {
        Value::Null => None,
        Value::String(program) if program.is_empty() => None,
        Value::String(program) => Some(CredentialEntry::Helper {
            program: program.clone(),
            server: key.to_owned(),
        }),
        _ => Some(CredentialEntry::Unusable(format!(
            "the helper for `{}` is not the name of a program",
            clean(key)
        ))),
    }
}

/// The login of an entry of `auths`; `None` if it is empty, as with a credential store.
fn login(key: &str, auth: &Value) -> Option<CredentialEntry> {
    let unusable = |why: &str| {
        Some(CredentialEntry::Unusable(format!(
            "the login for `{}` {why}",
            clean(key)
        )))
    };
    let auth = match auth {
        Value::Null => return None,
        Value::Object(auth) => auth,
        _ => return unusable("is not an object"),
    };
    let mut texts = [None, None, None, None, None];
    for (text, name) in texts.iter_mut().zip([
        "identitytoken",
        "registrytoken",
        "auth",
        "username",
        "password",
    ]) {
        *text = match field(auth, name) {
            None => None,
            Some(Value::String(text)) => Some(text.as_str()).filter(|text| !text.is_empty()),
            Some(_) => return unusable(&format!("has a `{name}` that is not a string")),
        };
    }
    match texts {
        [Some(token), ..] => Some(CredentialEntry::Login(RegistryLogin::Identity(
            Secret::new(token.to_owned()),
        ))),
        [None, Some(token), ..] => Some(CredentialEntry::Login(RegistryLogin::Bearer(
            Secret::new(token.to_owned()),
        ))),
        [None, None, Some(encoded), ..] => match decode(encoded) {
            Some(login) => Some(CredentialEntry::Login(login)),
            None => unusable("is not base64 of `user:password`"),
        },
        [.., Some(user), Some(password)] => Some(CredentialEntry::Login(RegistryLogin::Password {
            user: user.to_owned(),
            password: Secret::new(password.to_owned()),
        })),
        _ => None,
    }
}

/// The normalized keys that apply to a repository, the longest first.
fn candidate_names(registry: &str, path: &str) -> Vec<String> {
    let mut name = format!("{}/{path}", normalize(registry));
    let mut names = vec![name.clone()];
    while let Some(slash) = name.rfind('/') {
        name.truncate(slash);
        names.push(name.clone());
    }
    names
}

/// A key as podman writes it: `https://index.docker.io/v1/` becomes `docker.io`, `https://ghcr.io/v2/` `ghcr.io`.
fn normalize(key: &str) -> String {
    let bare = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"));
    // Docker writes a scheme only before hosts, and ignores the path after them.
    let name = bare
        .map_or(key, |bare| bare.split('/').next().unwrap_or(bare))
        .trim_end_matches('/');
    let name = name
        .strip_suffix("/v1")
        .or_else(|| name.strip_suffix("/v2"))
        .unwrap_or(name);
    let (host, rest) = name.split_at(name.find('/').unwrap_or(name.len()));
    let host = if matches!(host, "index.docker.io" | "registry-1.docker.io") {
        "docker.io"
    } else {
        host
    };
    format!("{host}{rest}")
}

/// Docker's name of a registry in a credential store.
fn store_name(registry: &str) -> &str {
    if registry == "docker.io" {
        "https://index.docker.io/v1/"
    } else {
        registry
    }
}

fn decode(encoded: &str) -> Option<RegistryLogin> {
    let engine = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    // `base64` wraps lines, and Go ignores line breaks.
    let encoded: String = encoded.split_ascii_whitespace().collect();
    let text = String::from_utf8(engine.decode(encoded).ok()?).ok()?;
    let (user, password) = text.split_once(':').filter(|(user, _)| !user.is_empty())?;
    // Old versions of Docker padded passwords with zeros.
    Some(RegistryLogin::Password {
        user: user.to_owned(),
        password: Secret::new(password.trim_matches('\0').to_owned()),
    })
}

#[cfg(test)]
mod tests;
