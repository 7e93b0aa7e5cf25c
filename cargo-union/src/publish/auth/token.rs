//! Tokens: what a token server gives for a login, and for how long.

use std::time::{Duration, Instant};

use crate::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use crate::http::{Method, Url};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use union_build::diag::Code;

use super::{Login, Scopes};
use crate::base::secret::Secret;
use crate::http::body::Body;
use crate::http::retry;
use crate::http::{Outgoing, Transport, authority, credential, is_loopback};
use crate::publish::failure::Failure;

/// The longest answer that is read.
const LONGEST: usize = 1 << 20;

/// A token, usable until shortly before it expires.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) bearer: Secret<String>,
    until: Instant,
}

impl Token {
    pub(super) fn is_fresh(&self) -> bool {
        Instant::now() < self.until
    }
}

/// No `Debug`: it holds a secret.
#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

/// Asks a token server, for one registry.
pub(super) struct Request<'a> {
    pub(super) registry: &'a str,
    pub(super) realm: &'a str,
    pub(super) service: Option<&'a str>,
    pub(super) scopes: &'a Scopes,
    pub(super) login: Option<&'a Login>,
}

impl Request<'_> {
    /// Fetches a token.
    pub(super) async fn fetch(&self, transport: &Transport) -> Result<Token, Failure> {
        let realm = self.checked_realm(transport)?;
        let asked = Instant::now();
        let mut answer = transport.send(&self.outgoing(&realm)).await?;
        let (status, server) = (answer.status(), authority(&realm));
        let pause = retry::asked(answer.headers(), std::time::SystemTime::now());
        if retry::is_transient(status) {
            let failure = Failure::passing(Code::RegistryFailed, format!("the token server {server} answered {status}"));
            return Err(Failure { pause, ..failure });
        }
        if matches!(status.as_u16(), 400 | 401 | 403) {
            return Err(Failure::new(Code::RegistryDenied, format!("the token server {server} refused with {status}")));
        }
        let invalid =
            || Failure::new(Code::RegistryInvalid, format!("the token server {server} answered {status} with something that is no token"));
        let bytes = answer
            .bytes(LONGEST)
            .await
            .map_err(|_| Failure::passing(Code::RegistryUnreachable, format!("the token server {server} hung up")))?;
        let answer: Answer = serde_json::from_slice(&bytes).ok().filter(|_| status.is_success()).ok_or_else(invalid)?;
        let bearer = answer.token.or(answer.access_token).filter(|token| !token.is_empty()).ok_or_else(invalid)?;
        // A minute is what the protocol takes when nothing is said; the margin is for the way to the registry.
        let life = Duration::from_secs(answer.expires_in.unwrap_or(60).clamp(1, 86_400));
        Ok(Token { bearer: Secret::new(bearer), until: asked + life - (life / 5).min(Duration::from_secs(15)) })
    }

    /// The realm, if a login may be sent there: with encryption, or to a host that needs none.
    fn checked_realm(&self, transport: &Transport) -> Result<Url, Failure> {
        let invalid = || Failure::new(Code::RegistryInvalid, format!("{} names a token server that is no address", self.registry));
        let realm = Url::parse(self.realm).ok().filter(Url::has_host).ok_or_else(invalid)?;
        let host = authority(&realm);
        // Only a registry on this machine may send us to a token server on this machine.
        let trusted = transport.may_be_plain(&host) && (!is_loopback(&host) || is_loopback(self.registry));
        let same_host = host.split(':').next() == self.registry.split(':').next() && transport.may_be_plain(self.registry);
        match realm.scheme() {
            "https" => Ok(realm),
            "http" if trusted || same_host => Ok(realm),
            "http" => Err(Failure::new(Code::InsecureRealm, format!("{} wants the login sent to `http://{host}`", self.registry))
                .help(format!("List `{host}` under `insecure-registries` if you trust the network."))),
            _ => Err(invalid()),
        }
    }

    fn outgoing(&self, realm: &Url) -> Outgoing {
        let mut url = realm.clone();
        let service = self.service.map(|service| ("service", service));
        let mut outgoing = Outgoing::new(Method::GET, url.clone());
        if let Some(Login::Identity(identity)) = self.login {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            form.append_pair("grant_type", "refresh_token")
                .append_pair("refresh_token", identity.reveal())
                .append_pair("client_id", "cargo-union");
            form.extend_pairs(service).append_pair("scope", &self.scopes.0.join(" "));
            outgoing.method = Method::POST;
            outgoing.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
            outgoing.body = Body::Bytes(form.finish().into());
            return outgoing;
        }
        url.query_pairs_mut().extend_pairs(service).extend_pairs(self.scopes.0.iter().map(|scope| ("scope", scope)));
        outgoing.url = url;
        outgoing.private.extend(self.login.and_then(basic).map(|login| (AUTHORIZATION, login)));
        outgoing
    }
}

/// The header that sends a user and a password.
pub(super) fn basic(login: &Login) -> Option<HeaderValue> {
    let Login::Password { user, password } = login else { return None };
    credential("Basic", &STANDARD.encode(format!("{user}:{}", password.reveal())))
}
