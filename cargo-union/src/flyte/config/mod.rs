//! The user's Flyte config, compatible with the Python SDK: the backend, the login, and defaults for a
//! manifest without a project, domain or registry.
//!
//! Flags take precedence over FLYTE_API_KEY, which takes precedence over other variables, which take
//! precedence over one file. This differs from the SDK where the SDK ignores or misreads a setting:
//!
//! - variables are read without a file as well, and an empty variable counts as unset;
//! - `false`, `no`, `off` and `0` are false, in variables and in quotes too, and other words are errors;
//! - a file that is not YAML is an error, and a `config.yaml` without Flyte's sections is ignored;
//! - `http://` in front of an endpoint disables encryption;
//! - an API key may use either base64 alphabet, and contain a scheme, a port, and colons in its secret.

use std::path::{Path, PathBuf};

use union_build::diag::{Code, Diagnostic, Origin};
use union_build::spec::{Setting, Sourced};

use crate::sys::error::Result;
use crate::sys::process::Environment;

mod api_key;
mod auth;
mod endpoint;
mod file;
mod ini;
mod keys;
mod reader;
mod yaml;

pub use auth::{AuthConfig, AuthType, ClientSecret};
pub use endpoint::BackendEndpoint;
pub use keys::reference_markdown;

use api_key::ApiKey;
use reader::ConfigReader;

/// Where the config is read from, and the flags that override it.
#[derive(Clone, Debug)]
pub struct ConfigRequest<'a> {
    /// Environment variables of the process.
    pub environment: &'a Environment,
    /// The current directory.
    pub directory: &'a Path,
    /// `--config`: the only file to read.
    pub file: Option<&'a Path>,
    /// `--endpoint`: overrides `admin.endpoint`.
    pub endpoint: Option<&'a str>,
    /// `--org`: overrides `task.org`.
    pub org: Option<&'a str>,
}

/// The resolved config; each value has the place where it was set.
#[derive(Clone, Debug)]
pub struct FlyteConfig {
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// The address of the backend.
    pub endpoint: Option<Sourced<BackendEndpoint>>,
    /// Organization (tenant); hosted backends require it in every call.
    pub org: Option<Sourced<String>>,
    /// Default of the manifest's `project`.
    pub project: Option<Sourced<String>>,
    /// Default of the manifest's `domain`.
    pub domain: Option<Sourced<String>>,
    /// Default of the manifest's `registry`.
    pub registry: Option<Sourced<String>>,
    /// `image.builder`: the default of the manifest's `builder`, if it is the remote one.
    pub builder: Option<Sourced<String>>,
    /// PEM file of the certificate authorities to trust instead of the system's.
    pub ca_file: Option<Sourced<PathBuf>>,
    /// Whether certificates are not verified.
    pub skip_verify: Option<Sourced<bool>>,
    /// The login.
    pub auth: AuthConfig,
}

impl FlyteConfig {
    /// All values that are set, for `cargo union config`; contains no secrets.
    pub fn settings(&self) -> Vec<Setting> {
        let quoted = |text: &dyn std::fmt::Display| format!("{:?}", text.to_string());
        let text = |key: &str, value: &Option<Sourced<String>>| {
            value.as_ref().map(|value| Setting {
                key: key.to_owned(),
                value: quoted(&value.value),
                origin: value.origin.clone(),
            })
        };
        let switch = |key: &str, value: &Option<Sourced<bool>>| {
            value.as_ref().map(|value| Setting {
                key: key.to_owned(),
                value: value.value.to_string(),
                origin: value.origin.clone(),
            })
        };
        let endpoint = self.endpoint.as_ref().map(|endpoint| Sourced {
            value: endpoint.value.to_string(),
            origin: endpoint.origin.clone(),
        });
        let ca_file = self.ca_file.as_ref().map(|file| Sourced {
            value: file.value.display().to_string(),
            origin: file.origin.clone(),
        });
        let kind = Sourced {
            value: self.auth.kind.value.word().to_owned(),
            origin: self.auth.kind.origin.clone(),
        };
        let settings = [
            text("endpoint", &endpoint),
            text("org", &self.org),
            text("project", &self.project),
            text("domain", &self.domain),
            text("registry", &self.registry),
            text("builder", &self.builder),
            text("auth-type", &Some(kind)),
            text("client-id", &self.auth.client_id),
            text("audience", &self.auth.audience),
            text("ca-file", &ca_file),
            switch("skip-verify", &self.skip_verify),
            switch("disable-keyring", &self.auth.disable_keyring),
        ];
        settings.into_iter().flatten().collect()
    }
}

/// Reads the config. All problems are returned; a value with a problem is absent.
///
/// # Errors
/// U0004 (`FileUnreadable`) when a file that was named cannot be read.
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
        builder: builder(&mut reader),
        ca_file: reader.path(&keys::CA_FILE, request.directory),
        skip_verify: reader.switch(&keys::SKIP_VERIFY),
        auth: auth::resolve(request, key, &mut reader),
        endpoint,
        file: file.map(|file| file.source.path.clone()),
    };
    Ok((config, problems))
}

/// The organization: flag, API key, variable or file; else the first label of a host with more than two labels.
fn org(
    request: &ConfigRequest<'_>,
    key: Option<&ApiKey>,
    endpoint: Option<&Sourced<BackendEndpoint>>,
    reader: &mut ConfigReader<'_>,
) -> Option<Sourced<String>> {
    let flag = request.org.map(|org| Sourced {
        value: org.to_owned(),
        origin: Origin::Flag("--org"),
    });
    let configured = reader.text(&keys::ORG);
    flag.or_else(|| {
        key.and_then(|key| {
            key.org.clone().map(|org| Sourced {
                value: org,
                origin: ApiKey::ORIGIN,
            })
        })
    })
    .or(configured)
    .or_else(|| {
        endpoint.and_then(|endpoint| {
            Some(Sourced {
                value: endpoint.org()?.to_owned(),
                origin: endpoint.origin.clone(),
            })
        })
    })
}

/// The words of `image.builder`.
const BUILDERS: [&str; 3] = ["local", "local-podman", "remote"];

fn builder(reader: &mut ConfigReader<'_>) -> Option<Sourced<String>> {
    let builder = reader.text(&keys::BUILDER)?;
    if BUILDERS.contains(&builder.value.as_str()) {
        return Some(builder);
    }
    let problem = invalid(
        format!(
            "`{}` of `image.builder` is not an image builder",
            builder.value
        ),
        &builder.origin,
    );
    reader.report(problem.help("the values are `local`, `local-podman` and `remote`"));
    None
}

/// The problem of an invalid value.
fn invalid(message: impl Into<String>, origin: &Origin) -> Diagnostic {
    Diagnostic::error(Code::FlyteConfigInvalid, message, origin, "")
}

#[cfg(test)]
mod tests;
