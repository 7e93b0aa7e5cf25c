//! A client of the Connect protocol: unary and server-streaming calls.
//!
//! Only transient failures are retried, and only when a repeated call is safe. This module knows nothing of
//! logins: credentials are passed in with each call, and sent only to the backend's own host.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use prost::Message;
use union_build::diag::Code;

use super::Reporter;
use crate::http::body::RequestBody;
use crate::http::error::clean;
use crate::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use crate::http::response::HttpResponse;
use crate::http::retry::{Retry, asked, is_transient};
use crate::http::{HttpRequest, Method, StatusCode, Transport, Url, authority};

mod envelope;
mod failure;
mod method;
mod status;
mod stream;

pub use failure::RpcFailure;
pub use method::{Idempotency, Streaming, Unary};
pub use status::RpcStatus;

use envelope::LARGEST;
use failure::Retryable;
use method::MethodPath;

const PROTO: &str = "application/proto";
const STREAM: &str = "application/connect+proto";
const VERSION: HeaderName = HeaderName::from_static("connect-protocol-version");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The maximum size of an error response.
const LONGEST_ERROR: usize = 1 << 20;

/// The connection to one server of the backend.
#[derive(Clone)]
pub(crate) struct ConnectTransport {
    pub(crate) transport: Arc<Transport>,
    /// Scheme, host and port.
    pub(crate) base: Url,
    retry: Retry,
    reporter: Arc<dyn Reporter>,
}

/// Metadata that all attempts of a call share.
#[derive(Clone, Debug)]
pub(crate) struct CallMetadata {
    /// The request id, by which the backend's log shows the attempts as one call.
    id: HeaderValue,
    /// Headers with the user's credentials.
    pub(crate) credentials: HeaderMap,
}

impl CallMetadata {
    /// Metadata with a new random request id.
    pub(crate) fn new(credentials: HeaderMap) -> Result<Self, RpcFailure> {
        let id = crate::sys::random::uuid()?;
        Ok(Self { id: HeaderValue::from_str(&id).expect("a UUID is letters, digits and dashes"), credentials })
    }
}

impl ConnectTransport {
    pub(crate) fn new(transport: Arc<Transport>, base: Url, retry: Retry, reporter: Arc<dyn Reporter>) -> Self {
        Self { transport, base, retry, reporter }
    }

    /// The same connection settings for another server.
    pub(crate) fn to(&self, base: Url) -> Self {
        Self { base, ..self.clone() }
    }

    /// Calls a unary method.
    pub(crate) async fn unary<Req: Message, Res: Message + Default>(
        &self,
        method: Unary<Req, Res>,
        request: &Req,
        metadata: &CallMetadata,
    ) -> Result<Res, RpcFailure> {
        let body = Bytes::from(request.encode_to_vec());
        self.with_retries(&method.place.to_string(), method.repeat, || self.unary_once(method.place, body.clone(), metadata)).await
    }

    /// Calls a streaming method and waits for its first message.
    pub(crate) async fn stream<Req: Message, Res: Message + Default + 'static>(
        &self,
        method: Streaming<Req, Res>,
        request: &Req,
        metadata: &CallMetadata,
    ) -> Result<BoxStream<'static, Result<Res, RpcFailure>>, RpcFailure> {
        let body = envelope::wrap(&request.encode_to_vec());
        self.with_retries(&method.place.to_string(), Idempotency::Always, || async {
            let outgoing = HttpRequest { patient: true, ..self.outgoing(method.place, STREAM, body.clone(), metadata) };
            let answer = self.transport.send_once(&outgoing).await?;
            stream::open(self.check_response(answer, STREAM).await?).await
        })
        .await
    }

    async fn unary_once<Res: Message + Default>(&self, place: MethodPath, body: Bytes, metadata: &CallMetadata) -> Result<Res, RpcFailure> {
        let outgoing = self.outgoing(place, PROTO, body, metadata).header(ACCEPT_ENCODING, "gzip");
        let answer = self.transport.send_once(&outgoing).await?;
        let mut answer = self.check_response(answer, PROTO).await?;
        let compressed = answer.header(CONTENT_ENCODING).is_some_and(|encoding| encoding.eq_ignore_ascii_case("gzip"));
        let bytes = answer.bytes(LARGEST).await?;
        let host = authority(&self.base);
        let invalid = |why: String| RpcFailure::new(Code::BackendInvalid, format!("{host} {why}"));
        let bytes = if compressed { envelope::unpack(&bytes).map_err(invalid)? } else { bytes };
        Res::decode(bytes).map_err(|cause| invalid(format!("answers {place} with another message than expected: {cause}")))
    }

    fn outgoing(&self, place: MethodPath, kind: &'static str, body: Bytes, metadata: &CallMetadata) -> HttpRequest {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{}", place.service, place.name));
        let mut outgoing =
            HttpRequest::new(Method::POST, url).header(CONTENT_TYPE, kind).header(VERSION, "1").body(RequestBody::Bytes(body));
        if kind == STREAM {
            outgoing = outgoing.header(HeaderName::from_static("connect-accept-encoding"), "gzip");
        }
        outgoing.headers.insert(REQUEST_ID, metadata.id.clone());
        outgoing.private = metadata.credentials.clone();
        outgoing
    }

    /// The response, when it is successful and has the expected content type.
    async fn check_response(&self, answer: HttpResponse, kind: &str) -> Result<HttpResponse, RpcFailure> {
        let content_type =
            answer.header(CONTENT_TYPE).unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match answer.status() {
            StatusCode::OK if content_type == kind => Ok(answer),
            StatusCode::OK => Err(self.unexpected_content_type(&answer, &content_type)),
            status if status.is_redirection() => {
                let to = answer.header(crate::http::header::LOCATION).and_then(|location| self.base.join(location).ok());
                let to = to.map_or_else(|| "elsewhere".to_owned(), |to| authority(&to));
                Err(RpcFailure::new(Code::BackendInvalid, format!("{} sends on to {to}", authority(&self.base))))
            }
            _ => Err(self.read_failure(answer, &content_type).await),
        }
    }

    /// The failure of a response that is not in the Connect protocol.
    fn unexpected_content_type(&self, answer: &HttpResponse, kind: &str) -> RpcFailure {
        let content = match kind {
            "text/html" => "a web page".to_owned(),
            "" => "something without a kind".to_owned(),
            kind => format!("`{}`", clean(kind)),
        };
        RpcFailure::new(Code::BackendInvalid, format!("{} answers {} with {content}", authority(&self.base), answer.status()))
    }

    async fn read_failure(&self, mut answer: HttpResponse, kind: &str) -> RpcFailure {
        let http = answer.status();
        let pause = asked(answer.headers(), SystemTime::now());
        let body = answer.bytes(LONGEST_ERROR).await.unwrap_or_default();
        let error = if kind == "application/json" { status::error(&body) } else { None };
        let host = authority(&self.base);
        let mut failure = match &error {
            Some(error) => RpcFailure::from_status(&host, error.status.unwrap_or_else(|| RpcStatus::of_http(http)), error),
            None => {
                let status = RpcStatus::of_http(http);
                let text = if kind == "text/plain" { format!(": {}", clean(&String::from_utf8_lossy(&body))) } else { String::new() };
                let error = status::ErrorText { status: None, message: String::new() };
                // The status is only derived from the HTTP code, which is what decides about retries.
                let retryable = if is_transient(http) { Retryable::MaybeExecuted } else { Retryable::Never };
                RpcFailure { cause: format!("{host} answered {http}{text}"), retryable, ..RpcFailure::from_status(&host, status, &error) }
            }
        };
        if error.is_none() && http == StatusCode::NOT_FOUND {
            failure.code = Code::BackendInvalid;
        }
        if http == StatusCode::TOO_MANY_REQUESTS {
            failure.retryable = Retryable::NotExecuted;
        }
        // Go: "Client sent an HTTP request to an HTTPS server."; nginx: "The plain HTTP request was sent to HTTPS port".
        if self.base.scheme() == "http" && http == StatusCode::BAD_REQUEST && String::from_utf8_lossy(&body).contains("HTTPS") {
            failure.code = Code::BackendUntrusted;
        }
        let proxy = answer.proxy_hint().filter(|_| error.is_none());
        RpcFailure { pause, ..self.with_encryption_advice(failure) }.through(proxy)
    }

    /// Adds advice when an unencrypted connection may be the cause.
    fn with_encryption_advice(&self, failure: RpcFailure) -> RpcFailure {
        let connection_failed = matches!(failure.code, Code::BackendUnreachable | Code::BackendUntrusted);
        if !connection_failed || self.base.scheme() != "http" || failure.help.is_some() || failure.retryable == Retryable::NotExecuted {
            return failure;
        }
        failure.help("If the backend encrypts, write its endpoint without `http://`, and leave out `admin.insecure`.")
    }

    /// Retries a call after transient failures, as far as its idempotency allows.
    pub(crate) async fn with_retries<T, F: Future<Output = Result<T, RpcFailure>>>(
        &self,
        what: &str,
        repeat: Idempotency,
        call: impl Fn() -> F,
    ) -> Result<T, RpcFailure> {
        let mut failed = 0;
        loop {
            let failure = match call().await {
                Err(failure) => self.with_encryption_advice(failure),
                result => return result,
            };
            failed += 1;
            let safe = failure.retryable == Retryable::NotExecuted
                || (failure.retryable == Retryable::MaybeExecuted && repeat == Idempotency::Always);
            let Some(pause) = self.retry.pause(failed, failure.pause).filter(|_| safe) else { return Err(failure) };
            self.reporter.retrying(what, &failure.cause, pause);
            tokio::time::sleep(pause).await;
        }
    }
}
