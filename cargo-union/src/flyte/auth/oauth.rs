//! Requests to the token server (RFC 6749): forms in, JSON out. Both contain secrets.

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

/// The maximum size of a response.
const LONGEST: usize = 1 << 20;

/// A form request to a token server.
pub(super) struct TokenForm<'a> {
    connection: &'a ConnectTransport,
    url: Url,
    /// URL-encoded; a `Serializer` is not `Send`, so it cannot be stored here.
    fields: String,
    private: HeaderMap,
    repeat: Idempotency,
}

/// An error response (RFC 6749, section 5.2).
#[derive(Debug, Deserialize)]
pub(super) struct OAuthError {
    pub(super) error: String,
    #[serde(default)]
    pub(super) error_description: Option<String>,
}

// No `Debug`: it contains secrets.
#[derive(Deserialize)]
struct TokenGrant {
    access_token: String,
    #[serde(default)]
    refresh_token: Option<String>,
}

impl<'a> TokenForm<'a> {
    /// An empty form. The proxy's credentials are included only for the backend's own origin, where the proxy is.
    pub(super) fn new(connection: &'a ConnectTransport, url: Url, proxy: &HeaderMap) -> Self {
        let private = if same_origin(&url, &connection.base) {
            proxy.clone()
        } else {
            HeaderMap::new()
        };
        Self {
            connection,
            url,
            fields: String::new(),
            private,
            repeat: Idempotency::Always,
        }
    }

    /// A token request with a grant type.
    pub(super) fn grant(
        connection: &'a ConnectTransport,
        authority: &AuthorizationServer,
        proxy: &HeaderMap,
        kind: &str,
    ) -> Self {
        Self::new(connection, authority.token.clone(), proxy).field("grant_type", kind)
    }

    /// Adds a field, unless its value is empty.
    pub(super) fn field(mut self, name: &str, value: &str) -> Self {
        if !value.is_empty() {
            self.fields = Serializer::new(self.fields)
                .append_pair(name, value)
                .finish();
        }
        self
    }

    /// Authenticates the client by HTTP basic authentication.
    pub(super) fn basic(mut self, login: HeaderValue) -> Self {
        self.private.insert(AUTHORIZATION, login);
        self
    }

    /// Marks the form as containing a single-use code: it is retried only when the server cannot have received it.
    pub(super) fn single_use(mut self) -> Self {
        self.repeat = Idempotency::IfNotExecuted;
        self
    }

    /// Sends a token request.
    pub(super) async fn tokens(self) -> Result<Result<Tokens, OAuthError>, RpcFailure> {
        let server = authority(&self.url);
        let granted: TokenGrant = match self.send().await? {
            Ok(granted) => granted,
            Err(denied) => return Ok(Err(denied)),
        };
        if !is_token(&granted.access_token) {
            return Err(no_token(&server));
        }
        let refresh = granted
            .refresh_token
            .filter(|token| is_token(token))
            .map(Secret::new);
        Ok(Ok(Tokens {
            access: Secret::new(granted.access_token),
            refresh,
        }))
    }

    pub(super) async fn send<T: DeserializeOwned>(
        self,
    ) -> Result<Result<T, OAuthError>, RpcFailure> {
        let body = RequestBody::Bytes(self.fields.into());
        let outgoing = HttpRequest {
            private: self.private,
            ..HttpRequest::new(Method::POST, self.url.clone())
        }
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(ACCEPT, "application/json")
        .body(body);
        let server = authority(&self.url);
        let connection = self.connection;
        connection
            .with_retries(&format!("the token server {server}"), self.repeat, || {
                send_once(connection, &outgoing, &server)
            })
            .await
    }
}

async fn send_once<T: DeserializeOwned>(
    connection: &ConnectTransport,
    outgoing: &HttpRequest,
    server: &str,
) -> Result<Result<T, OAuthError>, RpcFailure> {
    let mut answer = connection.transport.send_once(outgoing).await?;
    let status = answer.status();
    let retry_after = answer.retry_after();
    let body = answer.bytes(LONGEST).await?;
    if status.is_success() {
        // serde's message would repeat parts of the response.
        return serde_json::from_slice(&body)
            .map(Ok)
            .map_err(|_| no_token(server));
    }
    match serde_json::from_slice::<OAuthError>(&body) {
        Ok(denied) if !is_transient(status) || denied.error == "slow_down" => Ok(Err(denied)),
        _ if is_transient(status) => {
            let cause = format!("the token server {server} responded with {status}");
            Err(RpcFailure::transient(Code::LoginFailed, cause, retry_after)
                .through(answer.proxy_hint()))
        }
        _ => {
            let failure = RpcFailure::new(
                Code::LoginFailed,
                format!("the token server {server} responded with {status}"),
            );
            Err(failure.through(answer.proxy_hint()))
        }
    }
}

fn no_token(server: &str) -> RpcFailure {
    RpcFailure::new(
        Code::BackendInvalid,
        format!("the token server {server} sent a response without a token"),
    )
}

impl OAuthError {
    pub(super) fn into_failure(self, server: &Url) -> RpcFailure {
        let why = self
            .error_description
            .as_deref()
            .map(|words| format!(" ({})", clean(words)))
            .unwrap_or_default();
        RpcFailure::new(
            Code::LoginFailed,
            format!(
                "the token server {} responded with `{}`{why}",
                authority(server),
                clean(&self.error)
            ),
        )
    }
}
