//! Fetches bearer tokens from token servers (distribution's token specification).

use std::time::{Duration, Instant};

use crate::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use crate::http::{Method, Url};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use union_build::diag::Code;

use super::{RegistryLogin, Scopes};
use crate::http::body::RequestBody;
use crate::http::retry::is_transient;
use crate::http::{HttpRequest, Transport, authority, credential, is_loopback, is_of_host};
use crate::publish::failure::RegistryFailure;
use crate::sys::secret::Secret;

/// The size limit of a response, in bytes.
const LONGEST: usize = 1 << 20;
/// The bounds of a token's lifetime, in seconds. The lower one is the specification's default.
const SHORTEST_LIFE: f64 = 60.0;
const LONGEST_LIFE: f64 = 86_400.0;

/// A token, usable until shortly before it expires.
#[derive(Clone, Debug)]
pub(super) struct BearerToken {
    pub(super) bearer: Secret<String>,
    until: Instant,
}

impl BearerToken {
    pub(super) fn is_fresh(&self) -> bool {
        Instant::now() < self.until
    }
}

/// The response of a token server. No `Debug`, because it has a secret.
struct TokenResponse {
    bearer: String,
    life: Duration,
}

impl TokenResponse {
    /// Parses a response like Docker's client: case-insensitive names, an empty `token` beside an `access_token`, and
    /// anything after the JSON. The lifetime is one minute if it is missing, invalid or shorter.
    fn read(bytes: &[u8]) -> Option<Self> {
        let first = serde_json::Deserializer::from_slice(bytes.trim_ascii_start())
            .into_iter::<Map<String, Value>>()
            .next();
        let fields = first?.ok()?;
        let field = |name: &str| {
            let any_case = || {
                fields
                    .iter()
                    .find(|(field, _)| field.eq_ignore_ascii_case(name))
                    .map(|(_, value)| value)
            };
            fields.get(name).or_else(any_case)
        };
        let text = |name| {
            field(name)?
                .as_str()
                .map(str::trim)
                .filter(|text| !text.is_empty())
        };
        let bearer = text("access_token").or_else(|| text("token"))?.to_owned();
        let seconds = match field("expires_in") {
            Some(Value::Number(number)) => number.as_f64(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            _ => None,
        };
        let seconds = seconds
            .filter(|seconds| seconds.is_finite())
            .unwrap_or(SHORTEST_LIFE);
        Some(Self {
            bearer,
            life: Duration::from_secs_f64(seconds.clamp(SHORTEST_LIFE, LONGEST_LIFE)),
        })
    }
}

/// A request to the token server of a registry.
pub(super) struct TokenRequest<'a> {
    pub(super) registry: &'a str,
    pub(super) realm: &'a str,
    pub(super) service: Option<&'a str>,
    pub(super) scopes: &'a Scopes,
    pub(super) login: Option<&'a RegistryLogin>,
}

impl TokenRequest<'_> {
    pub(super) async fn fetch(
        &self,
        transport: &Transport,
    ) -> Result<BearerToken, RegistryFailure> {
        let realm = self.checked_realm(transport)?;
        let requested_at = Instant::now();
        let mut answer = transport.send(&self.to_http_request(&realm)).await?;
        let status = answer.status();
        let server = authority(&realm);
        if is_transient(status) {
            let cause = format!("the token server {server} responded with {status}");
            let failure =
                RegistryFailure::transient(Code::RegistryFailed, cause, answer.retry_after());
            return Err(failure.through(answer.proxy_hint()));
        }
        if matches!(status.as_u16(), 400 | 401 | 403) {
            let failure = RegistryFailure::new(
                Code::RegistryDenied,
                format!("the token server {server} refused with {status}"),
            );
            return Err(failure.through(answer.proxy_hint()));
        }
        let invalid = || {
            RegistryFailure::new(
                Code::RegistryInvalid,
                format!("the token server {server} responded with {status} without a valid token"),
            )
        };
        let bytes = answer.bytes(LONGEST).await.map_err(|_| {
            RegistryFailure::transient(
                Code::RegistryUnreachable,
                format!("the token server {server} hung up"),
                None,
            )
        })?;
        let answer = TokenResponse::read(&bytes)
            .filter(|_| status.is_success())
            .ok_or_else(invalid)?;
        // A token must be a valid header value.
        credential("Bearer", &answer.bearer).ok_or_else(invalid)?;
        // The margin allows for the time until the registry checks it.
        let life = answer.life - (answer.life / 5).min(Duration::from_secs(15));
        Ok(BearerToken {
            bearer: Secret::new(answer.bearer),
            until: requested_at + life,
        })
    }

    /// The realm, if credentials may be sent there: with encryption, or to an insecure host that is allowed.
    fn checked_realm(&self, transport: &Transport) -> Result<Url, RegistryFailure> {
        let invalid = || {
            RegistryFailure::new(
                Code::RegistryInvalid,
                format!("{} refers to an invalid token server URL", self.registry),
            )
        };
        let realm = Url::parse(self.realm)
            .ok()
            .filter(Url::has_host)
            .ok_or_else(invalid)?;
        let host = authority(&realm);
        // Only a registry on loopback may refer to a token server on loopback.
        let trusted =
            transport.may_be_plain(&host) && (!is_loopback(&host) || is_loopback(self.registry));
        let same_host = is_of_host(&realm, self.registry) && transport.may_be_plain(self.registry);
        match realm.scheme() {
            "https" => Ok(realm),
            "http" if trusted || same_host => Ok(realm),
            "http" => Err(RegistryFailure::new(
                Code::InsecureRealm,
                format!(
                    "{} requires the login to be sent to `http://{host}`",
                    self.registry
                ),
            )
            .help(format!(
                "List `{host}` under `insecure-registries` if you trust the network."
            ))),
            _ => Err(invalid()),
        }
    }

    fn to_http_request(&self, realm: &Url) -> HttpRequest {
        let mut url = realm.clone();
        let service = self
            .service
            .filter(|service| !service.is_empty())
            .map(|service| ("service", service));
        let mut request = HttpRequest::new(Method::GET, url.clone());
        if let Some(RegistryLogin::Identity(identity)) = self.login {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            form.append_pair("grant_type", "refresh_token")
                .append_pair("refresh_token", identity.reveal())
                .append_pair("client_id", "cargo-union");
            form.extend_pairs(service)
                .append_pair("scope", &self.scopes.0.join(" "));
            request.method = Method::POST;
            request.headers.insert(
                CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            );
            request.body = RequestBody::Bytes(form.finish().into());
            return request;
        }
        url.query_pairs_mut()
            .extend_pairs(service)
            .extend_pairs(self.scopes.0.iter().map(|scope| ("scope", scope)));
        request.url = url;
        request.private.extend(
            self.login
                .and_then(basic)
                .map(|login| (AUTHORIZATION, login)),
        );
        request
    }
}

/// The `Authorization` header of a user and password; `None` for other logins.
pub(super) fn basic(login: &RegistryLogin) -> Option<HeaderValue> {
    let RegistryLogin::Password { user, password } = login else {
        return None;
    };
    credential(
        "Basic",
        &STANDARD.encode(format!("{user}:{}", password.reveal())),
    )
}

#[cfg(test)]
mod tests;
