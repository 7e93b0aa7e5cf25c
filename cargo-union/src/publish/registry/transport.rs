//! Sends requests to registries, with authentication and retries, and parses error responses.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use union_build::diag::Code;

use super::endpoint::RepositoryEndpoint;
use super::origin::Origins;
use super::settings::RegistrySettings;
use crate::http::body::RequestBody;
use crate::http::error::clean;
use crate::http::header::{
    AUTHORIZATION, AsHeaderName, HeaderMap, HeaderName, HeaderValue, LOCATION,
};
use crate::http::retry::{Attempts, RetryPolicy, is_transient};
use crate::http::{
    self, HttpRequest, Method, ProxyHint, StatusCode, Transport, Url, authority, same_origin,
};
use crate::publish::Reporter;
use crate::publish::auth::{Authenticator, Scopes};
use crate::publish::failure::RegistryFailure;

/// The maximum number of authentication attempts per request: the first one, and another if the token was refused.
const LOGINS: usize = 2;
/// The size limit of manifests and error responses, in bytes.
const LONGEST: usize = 4 << 20;

/// The connections to registries, with their credentials and limits.
pub(crate) struct RegistryTransport {
    pub(crate) transport: Transport,
    pub(crate) auth: Authenticator,
    pub(crate) retry: RetryPolicy,
    origins: Origins,
    reporter: Arc<dyn Reporter>,
    permits: Arc<Semaphore>,
}

/// A request to a registry.
#[derive(Clone, Debug)]
pub(crate) struct RegistryRequest<'a> {
    pub(crate) place: &'a RepositoryEndpoint,
    pub(crate) scopes: Scopes,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: RequestBody,
}

impl RegistryRequest<'_> {
    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.append(name, value);
        }
        self
    }

    pub(crate) fn body(mut self, body: RequestBody) -> Self {
        self.body = body;
        self
    }
}

/// A response of a registry. It counts towards the limit of concurrent requests: read it before the next request.
#[derive(Debug)]
pub(crate) struct RegistryResponse {
    inner: http::response::HttpResponse,
    _permit: OwnedSemaphorePermit,
}

/// An error response: the status, the error codes of the OCI distribution spec, and the resulting failure.
#[derive(Clone, Debug)]
pub(crate) struct ErrorResponse {
    pub(crate) status: Option<StatusCode>,
    pub(crate) codes: Vec<String>,
    pub(crate) failure: RegistryFailure,
}

impl RegistryTransport {
    pub(crate) fn new(settings: &RegistrySettings, reporter: Arc<dyn Reporter>) -> Self {
        let sources = settings
            .options
            .sources(settings.registry_config.as_deref());
        Self {
            transport: Transport::new(
                settings.insecure.clone(),
                settings.options.authorities(),
                settings.options.proxies.clone(),
            ),
            auth: Authenticator::new(sources, reporter.clone()),
            retry: settings.retry,
            origins: Origins::default(),
            reporter,
            permits: Arc::new(Semaphore::new(settings.max_parallel.max(1))),
        }
    }

    /// Prepares a request to `/v2/<repository>/<rest>`. Probes the host for https and http at the first request.
    pub(crate) async fn call<'a>(
        &self,
        place: &'a RepositoryEndpoint,
        scopes: Scopes,
        method: Method,
        rest: &str,
    ) -> Result<RegistryRequest<'a>, RegistryFailure> {
        let origin = self
            .retrying(place, || self.origins.of(&self.transport, &place.host))
            .await?;
        let invalid = |_| {
            RegistryFailure::new(
                Code::InvalidRegistry,
                format!("{place} is not the address of a repository"),
            )
        };
        let url = origin
            .join(&format!("v2/{}/{rest}", place.path))
            .map_err(invalid)?;
        Ok(self.call_to(place, scopes, method, url))
    }

    /// Prepares a request to a URL that the registry returned.
    pub(crate) fn call_to<'a>(
        &self,
        place: &'a RepositoryEndpoint,
        scopes: Scopes,
        method: Method,
        url: Url,
    ) -> RegistryRequest<'a> {
        RegistryRequest {
            place,
            scopes,
            method,
            url,
            headers: HeaderMap::new(),
            body: RequestBody::Empty,
        }
    }

    /// Sends a request, and retries it after transient failures. Other responses are returned unchanged.
    pub(crate) async fn send(
        &self,
        call: &RegistryRequest<'_>,
    ) -> Result<RegistryResponse, RegistryFailure> {
        let attempt = || async {
            match self.send_once(call).await {
                Ok(answer) if is_transient(answer.status()) => Err(answer.transient_failure()),
                done => done,
            }
        };
        self.retrying(call.place, attempt).await
    }

    async fn retrying<T, F: Future<Output = Result<T, RegistryFailure>>>(
        &self,
        place: &RepositoryEndpoint,
        attempt: impl Fn() -> F,
    ) -> Result<T, RegistryFailure> {
        let report = |failure: &RegistryFailure, pause| {
            self.reporter
                .retrying(&place.to_string(), &failure.cause, pause)
        };
        self.retry
            .run(attempt, RegistryFailure::is_transient, report)
            .await
    }

    /// Sends a request once, and again with credentials after a challenge.
    pub(crate) async fn send_once(
        &self,
        call: &RegistryRequest<'_>,
    ) -> Result<RegistryResponse, RegistryFailure> {
        // Credentials must not be sent to other hosts that the registry refers to, such as the location of an upload.
        let own = same_origin(
            &call.url,
            &self.origins.of(&self.transport, &call.place.host).await?,
        );
        let (registry, path) = (call.place.registry.as_str(), call.place.path.as_str());
        let mut authorization = if own {
            self.auth
                .ready(&self.transport, registry, path, &call.scopes)
                .await?
        } else {
            None
        };
        for login in 0.. {
            let permit = self
                .permits
                .clone()
                .acquire_owned()
                .await
                .expect("the semaphore is never closed");
            let outgoing = HttpRequest {
                headers: call.headers.clone(),
                private: authorization
                    .iter()
                    .map(|login| (AUTHORIZATION, login.clone()))
                    .collect(),
                ..HttpRequest::new(call.method.clone(), call.url.clone()).body(call.body.clone())
            };
            let answer = RegistryResponse {
                inner: self.transport.send(&outgoing).await?,
                _permit: permit,
            };
            let asked = own
                && answer.status() == StatusCode::UNAUTHORIZED
                && same_origin(answer.inner.url(), &call.url);
            if !asked || login == LOGINS {
                return Ok(answer);
            }
            let headers = answer.inner.headers().clone();
            let better = self
                .auth
                .answer(
                    &self.transport,
                    (registry, path),
                    &call.scopes,
                    &headers,
                    authorization.as_ref(),
                )
                .await?;
            if better.is_none() {
                return Ok(answer);
            }
            // The connection can be reused only after the response was read.
            let _ = answer.bytes().await;
            authorization = better;
        }
        unreachable!("the loop ends at the last login")
    }

    /// Counts a failed attempt and waits before the next; returns the failure if there were enough attempts.
    pub(crate) async fn pause(
        &self,
        place: &RepositoryEndpoint,
        attempts: &mut Attempts,
        failure: RegistryFailure,
    ) -> Result<(), RegistryFailure> {
        let report = |failure: &RegistryFailure, pause| {
            self.reporter
                .retrying(&place.to_string(), &failure.cause, pause)
        };
        attempts
            .pause(failure, RegistryFailure::is_transient, report)
            .await
    }

    /// Reads an error response to its end.
    pub(crate) async fn refusal(
        &self,
        place: &RepositoryEndpoint,
        mut answer: RegistryResponse,
    ) -> ErrorResponse {
        let (status, web_page, retry_after) = (
            answer.status(),
            answer.is_web_page(),
            answer.inner.retry_after(),
        );
        let body = answer.inner.bytes(LONGEST).await.unwrap_or_default();
        let errors = RegistryError::all(&body);
        let details: Vec<String> = errors
            .iter()
            .map(RegistryError::text)
            .filter(|text| !text.is_empty())
            .collect();
        let page = if web_page {
            ", and a web page instead of a registry response"
        } else {
            ""
        };
        let cause = match details.is_empty() {
            true => format!("{} responded with {status}{page}", place.registry),
            false => format!(
                "{} responded with {status}: {}",
                place.registry,
                clean(&details.join("; "))
            ),
        };
        let code = match status.as_u16() {
            401 | 403 | 405 => Code::RegistryDenied,
            _ if status.is_server_error() => Code::RegistryFailed,
            _ if errors.is_empty() && !matches!(status.as_u16(), 408 | 413 | 429) => {
                Code::RegistryInvalid
            }
            _ => Code::RegistryFailed,
        };
        let mut failure = match is_transient(status) {
            true => RegistryFailure::transient(code, cause, retry_after),
            false => RegistryFailure {
                retry_after,
                ..RegistryFailure::new(code, cause)
            },
        };
        if matches!(status.as_u16(), 401 | 403) {
            failure = self.auth.explained(failure, &place.registry, &place.path);
        }
        if details.is_empty() {
            failure = failure.through(answer.proxy_hint());
        }
        ErrorResponse {
            status: Some(status),
            codes: errors.into_iter().map(|error| error.code).collect(),
            failure,
        }
    }
}

impl RegistryResponse {
    pub(crate) fn status(&self) -> StatusCode {
        self.inner.status()
    }

    pub(crate) fn header(&self, name: impl AsHeaderName) -> Option<&str> {
        self.inner.header(name)
    }

    /// The media type in `Content-Type`, without its parameters; empty when there is none.
    pub(crate) fn media_type(&self) -> &str {
        self.inner.media_type()
    }

    /// Whether the response is an HTML page of a web server or proxy.
    pub(crate) fn is_web_page(&self) -> bool {
        self.inner.is_web_page()
    }

    /// The URL in the `Location` header.
    pub(crate) fn location(&self, transport: &Transport) -> Result<Url, RegistryFailure> {
        let host = authority(self.inner.url());
        let invalid = || {
            RegistryFailure::new(
                Code::RegistryInvalid,
                format!("{host} sent no upload URL in `Location`"),
            )
        };
        let text = self.header(LOCATION).ok_or_else(invalid)?;
        let url = self.inner.url().join(text).map_err(|_| invalid())?;
        Ok(transport.checked(self.inner.url(), url)?)
    }

    /// The next chunk of the body; `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, RegistryFailure> {
        Ok(self.inner.chunk().await?)
    }

    /// The complete body, which is a manifest or an error.
    pub(crate) async fn bytes(mut self) -> Result<Bytes, RegistryFailure> {
        Ok(self.inner.bytes(LONGEST).await?)
    }

    /// The failure of a response that a retry may change.
    fn transient_failure(&self) -> RegistryFailure {
        let page = if self.is_web_page() {
            ", and a web page instead of a registry response"
        } else {
            ""
        };
        let cause = format!(
            "{} responded with {}{page}",
            authority(self.inner.url()),
            self.status()
        );
        RegistryFailure::transient(Code::RegistryFailed, cause, self.inner.retry_after())
            .through(self.proxy_hint())
    }

    /// The proxy that may have created this response. Registries identify themselves with a header.
    fn proxy_hint(&self) -> Option<&ProxyHint> {
        self.inner
            .proxy_hint()
            .filter(|_| self.header("docker-distribution-api-version").is_none())
    }
}

impl ErrorResponse {
    /// Whether the response has one of these error codes.
    pub(crate) fn has(&self, codes: &[&str]) -> bool {
        self.codes.iter().any(|code| codes.contains(&code.as_str()))
    }
}

impl From<RegistryFailure> for ErrorResponse {
    fn from(failure: RegistryFailure) -> Self {
        Self {
            status: None,
            codes: Vec::new(),
            failure,
        }
    }
}

/// An error in the body of an error response.
struct RegistryError {
    code: String,
    message: String,
}

impl RegistryError {
    /// Parses `{"errors": [{"code": …, "message": …}]}`. Missing values and those of another type are empty.
    fn all(body: &[u8]) -> Vec<Self> {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let errors = body["errors"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|error| error.is_object());
        errors
            .map(|error| Self {
                code: text(&error["code"]),
                message: text(&error["message"]),
            })
            .collect()
    }

    fn text(&self) -> String {
        let parts = [&self.code, &self.message];
        parts
            .into_iter()
            .filter(|part| !part.is_empty())
            .cloned()
            .collect::<Vec<_>>()
            .join(": ")
    }
}
