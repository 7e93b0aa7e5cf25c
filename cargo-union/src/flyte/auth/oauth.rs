//! The token server: forms in, JSON out. What goes in and what comes out is a secret.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use union_build::diag::Code;
use url::form_urlencoded::Serializer;

use super::discovery::AuthorizationServer;
use super::tokens::{Tokens, is_token};
use crate::flyte::rpc::{ConnectTransport, Idempotency, RpcFailure};
use crate::http::body::RequestBody;
use crate::http::error::clean;
use crate::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use crate::http::retry::is_transient;
use crate::http::{HttpRequest, Method, Url, authority, same_origin};
use crate::sys::secret::Secret;

/// The longest answer that is read.
const LONGEST: usize = 1 << 20;

/// A form for a token server.
pub(super) struct TokenForm<'a> {
    line: &'a ConnectTransport,
    url: Url,
    /// Encoded; a `Serializer` is not `Send`, and so does not stay.
    fields: String,
    private: HeaderMap,
    repeat: Idempotency,
}

/// Why a token server does not give what it is asked for, in OAuth's words.
#[derive(Debug, Deserialize)]
pub(super) struct OAuthError {
    pub(super) error: String,
    #[serde(default)]
    pub(super) error_description: Option<String>,
}

/// No `Debug`: it holds secrets.
#[derive(Deserialize)]
struct TokenGrant {
    access_token: String,
    #[serde(default)]
    refresh_token: Option<String>,
}

impl<'a> TokenForm<'a> {
    /// An empty form. A proxy before the backend is shown its token only where it is on the way.
    pub(super) fn new(line: &'a ConnectTransport, url: Url, proxy: &HeaderMap) -> Self {
        let private = if same_origin(&url, &line.base) { proxy.clone() } else { HeaderMap::new() };
        Self { line, url, fields: String::new(), private, repeat: Idempotency::Always }
    }

    /// A form for tokens.
    pub(super) fn grant(line: &'a ConnectTransport, authority: &AuthorizationServer, proxy: &HeaderMap, kind: &str) -> Self {
        Self::new(line, authority.token.clone(), proxy).field("grant_type", kind)
    }

    /// Adds a field that has something in it.
    pub(super) fn field(mut self, name: &str, value: &str) -> Self {
        if !value.is_empty() {
            self.fields = Serializer::new(self.fields).append_pair(name, value).finish();
        }
        self
    }

    /// Sends a client's name and secret as well.
    pub(super) fn basic(mut self, login: HeaderValue) -> Self {
        self.private.insert(AUTHORIZATION, login);
        self
    }

    /// Sends it a second time only when nobody has heard the first: what it carries is good for one use.
    pub(super) fn send_form(mut self) -> Self {
        self.repeat = Idempotency::Unheard;
        self
    }

    /// Sends it for tokens.
    pub(super) async fn tokens(self) -> Result<Result<Tokens, OAuthError>, RpcFailure> {
        let server = authority(&self.url);
        let granted: TokenGrant = match self.send().await? {
            Ok(granted) => granted,
            Err(denied) => return Ok(Err(denied)),
        };
        if !is_token(&granted.access_token) {
            return Err(no_token(&server));
        }
        let refresh = granted.refresh_token.filter(|token| is_token(token)).map(Secret::new);
        Ok(Ok(Tokens { access: Secret::new(granted.access_token), refresh }))
    }

    /// Sends it.
    pub(super) async fn send<T: DeserializeOwned>(self) -> Result<Result<T, OAuthError>, RpcFailure> {
        let body = RequestBody::Bytes(self.fields.into());
        let outgoing = HttpRequest { private: self.private, ..HttpRequest::new(Method::POST, self.url.clone()) }
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .body(body);
        let server = authority(&self.url);
        let line = self.line;
        line.persist(&format!("the token server {server}"), self.repeat, || once(line, &outgoing, &server)).await
    }
}

async fn once<T: DeserializeOwned>(
    line: &ConnectTransport,
    outgoing: &HttpRequest,
    server: &str,
) -> Result<Result<T, OAuthError>, RpcFailure> {
    let mut answer = line.transport.send_once(outgoing).await?;
    let (status, retry_after) = (answer.status(), answer.retry_after());
    let body = answer.bytes(LONGEST).await?;
    if status.is_success() {
        // serde's own message would repeat what it does not like.
        return serde_json::from_slice(&body).map(Ok).map_err(|_| no_token(server));
    }
    match serde_json::from_slice::<OAuthError>(&body) {
        Ok(denied) if !is_transient(status) || denied.error == "slow_down" => Ok(Err(denied)),
        _ if is_transient(status) => {
            Err(RpcFailure::transient(Code::LoginFailed, format!("the token server {server} answered {status}"), retry_after))
        }
        _ => Err(RpcFailure::new(Code::LoginFailed, format!("the token server {server} answered {status}"))),
    }
}

fn no_token(server: &str) -> RpcFailure {
    RpcFailure::new(Code::BackendInvalid, format!("the token server {server} answered with something that is no token"))
}

impl OAuthError {
    /// The failure of a login that was denied.
    pub(super) fn into_failure(self, server: &Url) -> RpcFailure {
        let why = self.error_description.as_deref().map(|words| format!(" ({})", clean(words))).unwrap_or_default();
        RpcFailure::new(Code::LoginFailed, format!("the token server {} says `{}`{why}", authority(server), clean(&self.error)))
    }
}
