//! The login settings. Whether they are complete is checked only when a login is needed: a build needs none.

use std::path::PathBuf;

use union_build::diag::Origin;
use union_build::spec::Sourced;

use super::api_key::ApiKey;
use super::reader::ConfigReader;
use super::{ConfigRequest, invalid, keys};
use crate::sys::secret::Secret;

/// The login settings of a config.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// The kind of login.
    pub kind: Sourced<AuthType>,
    /// `admin.clientId`, or the client id of the API key.
    pub client_id: Option<Sourced<String>>,
    /// The client's secret, or where it is stored.
    pub secret: Option<ClientSecret>,
    /// `admin.command`: a program that prints a token.
    pub command: Option<Sourced<Vec<String>>>,
    /// `admin.proxyCommand`: a program that prints a token for a proxy before the backend.
    pub proxy_command: Option<Sourced<Vec<String>>>,
    /// `admin.scopes`, instead of the scopes that the backend requests.
    pub scopes: Option<Sourced<Vec<String>>>,
    /// `admin.audience`, instead of the audience that the backend requests.
    pub audience: Option<Sourced<String>>,
    /// `admin.disableKeyring`: tokens are not stored.
    pub disable_keyring: Option<Sourced<bool>>,
}

/// The kinds of login, as in `admin.authType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthType {
    /// Authorization code with PKCE (RFC 7636), in a browser on this machine.
    Pkce,
    /// Device authorization grant (RFC 8628), in a browser on any device.
    DeviceFlow,
    /// Client credentials grant, without a user.
    ClientSecret,
    /// A token that a program prints.
    ExternalCommand,
    /// Headers that a Python caller passes in; not supported here.
    Passthrough,
}

impl AuthType {
    /// All kinds with their words in the config.
    pub const ALL: [(Self, &str); 5] = [
        (Self::Pkce, "Pkce"),
        (Self::DeviceFlow, "DeviceFlow"),
        (Self::ClientSecret, "ClientSecret"),
        (Self::ExternalCommand, "ExternalCommand"),
        (Self::Passthrough, "Passthrough"),
    ];

    /// The word in the config.
    pub fn word(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(kind, _)| *kind == self)
            .map(|(_, word)| *word)
            .expect("every kind is listed")
    }
}

/// A client's secret, or where it is stored.
#[derive(Clone, Debug)]
pub enum ClientSecret {
    /// The secret itself.
    Known(Secret<String>),
    /// The file that contains it.
    File(Sourced<PathBuf>),
    /// The variable that should contain it, but is not set.
    Unset(Sourced<String>),
}

pub(super) fn resolve(
    request: &ConfigRequest<'_>,
    key: Option<ApiKey>,
    reader: &mut ConfigReader<'_>,
) -> AuthConfig {
    let kind = kind(reader);
    let client_id = reader.text(&keys::CLIENT_ID);
    let auth = AuthConfig {
        kind,
        client_id,
        secret: secret(request, reader),
        command: reader.command(&keys::COMMAND),
        proxy_command: reader.command(&keys::PROXY_COMMAND),
        scopes: reader.words(&keys::SCOPES),
        audience: reader.text(&keys::AUDIENCE),
        disable_keyring: reader.switch(&keys::DISABLE_KEYRING),
    };
    let client_secret_from = |origin: &Origin| Sourced {
        value: AuthType::ClientSecret,
        origin: origin.clone(),
    };
    match (key, &auth.secret) {
        (Some(key), _) => AuthConfig {
            kind: client_secret_from(&ApiKey::ORIGIN),
            client_id: Some(Sourced {
                value: key.client_id,
                origin: ApiKey::ORIGIN,
            }),
            secret: Some(ClientSecret::Known(key.secret)),
            ..auth
        },
        // A secret that is set is used, whatever kind is configured.
        (None, Some(ClientSecret::Known(_) | ClientSecret::File(_)))
            if auth.kind.value != AuthType::ClientSecret =>
        {
            AuthConfig {
                kind: client_secret_from(&auth.kind.origin),
                ..auth
            }
        }
        _ => auth,
    }
}

fn kind(reader: &mut ConfigReader<'_>) -> Sourced<AuthType> {
    let default = Sourced {
        value: AuthType::Pkce,
        origin: Origin::Default,
    };
    let Some(text) = reader.text(&keys::AUTH_TYPE) else {
        return default;
    };
    // The words of the SDK's command line are accepted as well as those of its config file.
    let normalized: String = text
        .value
        .to_ascii_lowercase()
        .chars()
        .filter(|letter| letter.is_ascii_alphanumeric())
        .collect();
    let value = match normalized.as_str() {
        "pkce" | "standard" => AuthType::Pkce,
        "deviceflow" | "headless" => AuthType::DeviceFlow,
        "clientsecret" | "appcredential" | "clientcredentials" | "basic" => AuthType::ClientSecret,
        "externalcommand" | "externalprocess" | "command" | "custom" => AuthType::ExternalCommand,
        "passthrough" => AuthType::Passthrough,
        _ => {
            let words: Vec<String> = AuthType::ALL
                .iter()
                .map(|(_, word)| format!("`{word}`"))
                .collect();
            let problem = invalid(
                format!("`{}` is not a way to log in", text.value),
                &text.origin,
            );
            reader
                .problems
                .push(problem.help(format!("the values are {}", words.join(", "))));
            return default;
        }
    };
    Sourced {
        value,
        origin: text.origin,
    }
}

/// The secret; the variable takes precedence over the file when it is set.
fn secret(request: &ConfigRequest<'_>, reader: &mut ConfigReader<'_>) -> Option<ClientSecret> {
    let variable = reader.text(&keys::SECRET_VARIABLE);
    let file = reader.path(&keys::SECRET_FILE, request.directory);
    let secret = variable
        .as_ref()
        .and_then(|name| reader.environment.get(&name.value))
        .filter(|secret| !secret.is_empty());
    let known = |secret: String| ClientSecret::Known(Secret::new(secret));
    let secret = secret.map(|secret| known(secret.to_owned()));
    secret
        .or_else(|| reader.text(&keys::SECRET).map(|secret| known(secret.value)))
        .or_else(|| file.map(ClientSecret::File))
        .or_else(|| variable.map(ClientSecret::Unset))
}
