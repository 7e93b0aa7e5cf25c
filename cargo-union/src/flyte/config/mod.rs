//! The user's Flyte config, as the Python SDK reads it: which backend, how to log in, and what stands
//! in for a manifest that says nothing of project, domain or registry.
//!
//! Flags come first, then FLYTE_API_KEY, then the other variables, then one file. Where the SDK loses
//! what the user said, this does not follow it:
//!
//! - variables count without a file as well, and an empty one is as good as none;
//! - `false`, `no`, `off` and `0` are false, in variables and in quotes too, and another word is an error;
//! - a file that is not YAML is an error, and a `config.yaml` that knows nothing of Flyte is somebody else's;
//! - `http://` in front of an endpoint keeps its meaning;
//! - an API key may have either alphabet of base64, a scheme, a port, and colons in its secret.

use std::path::{Path, PathBuf};

use union_build::diag::{Code, Diagnostic, Origin};
use union_build::spec::{Setting, Sourced};

use crate::sys::error::Result;
use crate::sys::process::Environment;

mod api_key;
mod auth;
mod endpoint;
mod file;
mod keys;
mod reader;
mod yaml;

pub use auth::{AuthConfig, AuthType, ClientSecret};
pub use endpoint::BackendEndpoint;
pub use keys::reference_markdown;

use api_key::ApiKey;
use reader::ConfigReader;

/// Where the config is looked for, and what overrides it.
#[derive(Clone, Debug)]
pub struct ConfigRequest<'a> {
    /// The process's variables.
    pub environment: &'a Environment,
    /// The current folder.
    pub folder: &'a Path,
    /// `--config`
    pub file: Option<&'a Path>,
    /// `--endpoint`
    pub endpoint: Option<&'a str>,
    /// `--org`
    pub org: Option<&'a str>,
}

/// What the user said about the backend, each value with where it was said.
#[derive(Clone, Debug)]
pub struct FlyteConfig {
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// Which backend.
    pub endpoint: Option<Sourced<BackendEndpoint>>,
    /// Whose tenant; hosted backends want it with every call.
    pub org: Option<Sourced<String>>,
    /// The project, when the manifest names none.
    pub project: Option<Sourced<String>>,
    /// The domain, when the manifest names none.
    pub domain: Option<Sourced<String>>,
    /// The registry, when the manifest names none.
    pub registry: Option<Sourced<String>>,
    /// Whose authorities are trusted instead of the usual ones: a file of PEM certificates.
    pub ca_file: Option<Sourced<PathBuf>>,
    /// Whether any certificate is accepted.
    pub skip_verify: Option<Sourced<bool>>,
    /// How to log in.
    pub auth: AuthConfig,
}

impl FlyteConfig {
    /// Everything that is set, for `cargo union config`; no secret is among it.
    pub fn settings(&self) -> Vec<Setting> {
        let quoted = |text: &dyn std::fmt::Display| format!("{:?}", text.to_string());
        let text = |key: &str, value: &Option<Sourced<String>>| {
            value.as_ref().map(|value| Setting { key: key.to_owned(), value: quoted(&value.value), origin: value.origin.clone() })
        };
        let switch = |key: &str, value: &Option<Sourced<bool>>| {
            value.as_ref().map(|value| Setting { key: key.to_owned(), value: value.value.to_string(), origin: value.origin.clone() })
        };
        let endpoint =
            self.endpoint.as_ref().map(|endpoint| Sourced { value: endpoint.value.to_string(), origin: endpoint.origin.clone() });
        let ca_file = self.ca_file.as_ref().map(|file| Sourced { value: file.value.display().to_string(), origin: file.origin.clone() });
        let kind = Sourced { value: self.auth.kind.value.word().to_owned(), origin: self.auth.kind.origin.clone() };
        let settings = [
            text("endpoint", &endpoint),
            text("org", &self.org),
            text("project", &self.project),
            text("domain", &self.domain),
            text("registry", &self.registry),
            text("auth-type", &Some(kind)),
            text("client-id", &self.auth.client_id),
            text("ca-file", &ca_file),
            switch("skip-verify", &self.skip_verify),
            switch("disable-keyring", &self.auth.keep_nothing),
        ];
        settings.into_iter().flatten().collect()
    }
}

/// Reads the config. The problems are complete; a value that has one is absent.
///
/// # Errors
/// When a file that was named cannot be read.
pub fn load(request: &ConfigRequest<'_>) -> Result<(FlyteConfig, Vec<Diagnostic>)> {
    let mut problems = Vec::new();
    let file = file::find(request, &mut problems)?;
    let mut reader = ConfigReader::new(request.environment, file.as_ref(), &mut problems);
    let key = ApiKey::of(request.environment, &mut reader);
    let endpoint = endpoint::resolve(request.endpoint, key.as_ref(), &mut reader);
    let org = org(request, key.as_ref(), endpoint.as_ref(), &mut reader);
    let config = FlyteConfig {
        org,
        project: reader.text(&keys::PROJECT),
        domain: reader.text(&keys::DOMAIN),
        registry: reader.text(&keys::REGISTRY),
        ca_file: reader.path(&keys::CA_FILE, request.folder),
        skip_verify: reader.switch(&keys::SKIP_VERIFY),
        auth: auth::resolve(request, key, &mut reader),
        endpoint,
        file: file.map(|file| file.source.path.clone()),
    };
    Ok((config, problems))
}

/// Flag, API key, variable or file; else the first label of a host that has more than two.
fn org(
    request: &ConfigRequest<'_>,
    key: Option<&ApiKey>,
    endpoint: Option<&Sourced<BackendEndpoint>>,
    reader: &mut ConfigReader<'_>,
) -> Option<Sourced<String>> {
    let flag = request.org.map(|org| Sourced { value: org.to_owned(), origin: Origin::Flag("--org") });
    let told = reader.text(&keys::ORG);
    flag.or_else(|| key.and_then(|key| key.org.clone().map(|org| Sourced { value: org, origin: ApiKey::ORIGIN })))
        .or(told)
        .or_else(|| endpoint.and_then(|endpoint| Some(Sourced { value: endpoint.org()?.to_owned(), origin: endpoint.origin.clone() })))
}

/// The problem of a value that is not understood.
fn invalid(message: impl Into<String>, origin: &Origin) -> Diagnostic {
    Diagnostic::error(Code::FlyteConfigInvalid, message, origin, "")
}

#[cfg(test)]
mod tests;
