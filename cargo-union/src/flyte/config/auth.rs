//! How to log in, as the config says it. Whether it is enough is seen by who logs in: a build needs no login.

use std::path::PathBuf;

use union_build::diag::Origin;
use union_build::spec::Sourced;

use super::api_key::ApiKey;
use super::reader::ConfigReader;
use super::{ConfigRequest, invalid, keys};
use crate::sys::secret::Secret;

/// How to log in.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// In which way, and who said so.
    pub kind: Sourced<AuthType>,
    /// `admin.clientId`, or that of the API key.
    pub client_id: Option<Sourced<String>>,
    /// The client's secret, or where it is.
    pub secret: Option<ClientSecret>,
    /// `admin.command`: prints a token.
    pub command: Option<Sourced<Vec<String>>>,
    /// `admin.proxyCommand`: prints a token for a proxy before the backend.
    pub proxy_command: Option<Sourced<Vec<String>>>,
    /// `admin.scopes`, instead of those that the backend names.
    pub scopes: Option<Sourced<Vec<String>>>,
    /// `admin.disableKeyring`: tokens are kept nowhere.
    pub keep_nothing: Option<Sourced<bool>>,
}

/// The ways to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthType {
    /// In the user's browser, on this machine.
    Pkce,
    /// In a browser anywhere.
    DeviceFlow,
    /// With a client's secret, without a user.
    ClientSecret,
    /// With a token that a program prints.
    ExternalCommand,
    /// With headers of a caller in Python; there is none here.
    Passthrough,
}

impl AuthType {
    /// Every way with the word of the config.
    pub const ALL: [(Self, &str); 5] = [
        (Self::Pkce, "Pkce"),
        (Self::DeviceFlow, "DeviceFlow"),
        (Self::ClientSecret, "ClientSecret"),
        (Self::ExternalCommand, "ExternalCommand"),
        (Self::Passthrough, "Passthrough"),
    ];

    /// The word of the config.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map(|(_, word)| *word).expect("every way is listed")
    }
}

/// A client's secret, or where it is.
#[derive(Clone, Debug)]
pub enum ClientSecret {
    /// It is known.
    Known(Secret<String>),
    /// In a file.
    File(Sourced<PathBuf>),
    /// In a variable that is not set.
    Unset(Sourced<String>),
}

pub(super) fn resolve(request: &ConfigRequest<'_>, key: Option<ApiKey>, reader: &mut ConfigReader<'_>) -> AuthConfig {
    let (told, client_id) = (kind(reader), reader.text(&keys::CLIENT_ID));
    let auth = AuthConfig {
        kind: told,
        client_id,
        secret: secret(request, reader),
        command: reader.command(&keys::COMMAND),
        proxy_command: reader.command(&keys::PROXY_COMMAND),
        scopes: reader.words(&keys::SCOPES),
        keep_nothing: reader.switch(&keys::DISABLE_KEYRING),
    };
    let by_secret = |origin: &Origin| Sourced { value: AuthType::ClientSecret, origin: origin.clone() };
    match (key, &auth.secret) {
        (Some(key), _) => AuthConfig {
            kind: by_secret(&ApiKey::ORIGIN),
            client_id: Some(Sourced { value: key.client_id, origin: ApiKey::ORIGIN }),
            secret: Some(ClientSecret::Known(key.secret)),
            ..auth
        },
        // Whoever names a secret wants it used, whatever else is said.
        (None, Some(ClientSecret::Known(_) | ClientSecret::File(_))) if auth.kind.value != AuthType::ClientSecret => {
            AuthConfig { kind: by_secret(&auth.kind.origin), ..auth }
        }
        _ => auth,
    }
}

fn kind(reader: &mut ConfigReader<'_>) -> Sourced<AuthType> {
    let default = Sourced { value: AuthType::Pkce, origin: Origin::Default };
    let Some(text) = reader.text(&keys::AUTH_TYPE) else { return default };
    // The words of the SDK's own command line are as good as those of its file.
    let plain: String = text.value.to_ascii_lowercase().chars().filter(|letter| letter.is_ascii_alphanumeric()).collect();
    let value = match plain.as_str() {
        "pkce" => AuthType::Pkce,
        "deviceflow" | "headless" => AuthType::DeviceFlow,
        "clientsecret" | "appcredential" => AuthType::ClientSecret,
        "externalcommand" | "externalprocess" | "command" | "custom" => AuthType::ExternalCommand,
        "passthrough" => AuthType::Passthrough,
        _ => {
            let words: Vec<String> = AuthType::ALL.iter().map(|(_, word)| format!("`{word}`")).collect();
            let problem = invalid(format!("`{}` is not a way to log in", text.value), &text.origin);
            reader.problems.push(problem.help(format!("the words are {}", words.join(", "))));
            return default;
        }
    };
    Sourced { value, origin: text.origin }
}

/// The variable that is named wins over the file, when it is set.
fn secret(request: &ConfigRequest<'_>, reader: &mut ConfigReader<'_>) -> Option<ClientSecret> {
    let variable = reader.text(&keys::SECRET_VARIABLE);
    let file = reader.path(&keys::SECRET_FILE, request.folder);
    let known = variable.as_ref().and_then(|name| reader.environment.get(&name.value)).filter(|secret| !secret.is_empty());
    let known = known.map(|secret| ClientSecret::Known(Secret::new(secret.to_owned())));
    known.or_else(|| file.map(ClientSecret::File)).or_else(|| variable.map(ClientSecret::Unset))
}
