//! A client of the Connect protocol, with unary and server-streaming calls, and of Flyte 1's REST paths.
//!
//! Only transient failures are retried, and only when a repeated call is safe. This module has no logins: credentials
//! are passed in with each call, and sent only to the backend's own host.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use prost::Message;
use tracing::field::Empty;
use tracing::{Instrument as _, debug_span};
use union_build::diag::Code;

use super::Reporter;
use crate::http::body::RequestBody;
use crate::http::error::clean;
use crate::http::failure::Retryable;
use crate::http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
};
use crate::http::response::HttpResponse;
use crate::http::retry::{RetryPolicy, is_transient};
use crate::http::{HttpRequest, Method, StatusCode, Transport, Url, authority};

mod envelope;
mod failure;
mod method;
mod rest;
mod status;
mod stream;

pub use failure::RpcFailure;
pub use method::{Idempotency, Streaming, Unary};
pub(in crate::flyte) use rest::RestCall;
pub(in crate::flyte) use status::Protocol;
pub use status::RpcStatus;

use envelope::LARGEST;
use method::MethodPath;
use status::ErrorText;

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
    retry: RetryPolicy,
    reporter: Arc<dyn Reporter>,
}

/// Metadata that all attempts of a call share.
#[derive(Clone, Debug)]
pub(crate) struct CallMetadata {
    /// The request id, which identifies the attempts as one call in the backend's log.
    id: HeaderValue,
    /// Headers with the user's credentials.
    pub(crate) credentials: HeaderMap,
}

impl CallMetadata {
    /// Metadata with a new random request id.
    pub(crate) fn new(credentials: HeaderMap) -> Result<Self, RpcFailure> {
        let id = crate::sys::random::uuid()?;
        Ok(Self {
            id: HeaderValue::from_str(&id).expect("a UUID is letters, digits and dashes"),
            credentials,
        })
    }
}

impl ConnectTransport {
    pub(crate) fn new(
        transport: Arc<Transport>,
        base: Url,
        retry: RetryPolicy,
        reporter: Arc<dyn Reporter>,
    ) -> Self {
        Self {
            transport,
            base,
            retry,
            reporter,
        }
    }

    /// The same connection settings for another server.
    pub(crate) fn to(&self, base: Url) -> Self {
        Self {
            base,
            ..self.clone()
        }
    }

    /// Calls a unary method.
    pub(crate) async fn unary<Req: Message, Res: Message + Default>(
        &self,
        method: Unary<Req, Res>,
        request: &Req,
        metadata: &CallMetadata,
    ) -> Result<Res, RpcFailure> {
        let place = method.place;
        let bytes = self
            .unary_bytes(
                place,
                method.repeat,
                request.encode_to_vec().into(),
                metadata,
            )
            .await?;
        Res::decode(bytes).map_err(|cause| {
            self.invalid(format!(
                "responds to {place} with an unexpected message: {cause}"
            ))
        })
    }

    /// Calls a unary method with an encoded message. It is not generic: each instance of the retries would be large.
    async fn unary_bytes(
        &self,
        place: MethodPath,
        repeat: Idempotency,
        body: Bytes,
        metadata: &CallMetadata,
    ) -> Result<Bytes, RpcFailure> {
        traced(
            place,
            self.with_retries(&place.to_string(), repeat, || {
                self.unary_once(place, body.clone(), metadata)
            }),
        )
        .await
    }

    /// Calls a streaming method and waits for its first message.
    pub(crate) async fn stream<Req: Message, Res: Message + Default + 'static>(
        &self,
        method: Streaming<Req, Res>,
        request: &Req,
        metadata: &CallMetadata,
    ) -> Result<BoxStream<'static, Result<Res, RpcFailure>>, RpcFailure> {
        let body = envelope::wrap(&request.encode_to_vec());
        let name = method.place.to_string();
        let opened = self.with_retries(&name, method.repeat, || async {
            let outgoing = HttpRequest {
                is_stream: true,
                ..self.outgoing(method.place, STREAM, body.clone(), metadata)
            };
            let answer = self.transport.send_once(&outgoing).await?;
            stream::open(self.check_response(answer, STREAM).await?).await
        });
        traced(method.place, opened).await
    }

    async fn unary_once(
        &self,
        place: MethodPath,
        body: Bytes,
        metadata: &CallMetadata,
    ) -> Result<Bytes, RpcFailure> {
        let outgoing = self
            .outgoing(place, PROTO, body, metadata)
            .header(ACCEPT_ENCODING, "gzip");
        let answer = self.transport.send_once(&outgoing).await?;
        let mut answer = self.check_response(answer, PROTO).await?;
        let compressed = answer
            .header(CONTENT_ENCODING)
            .is_some_and(|encoding| encoding.eq_ignore_ascii_case("gzip"));
        let bytes = answer.bytes(LARGEST).await?;
        if compressed {
            envelope::unpack(&bytes).map_err(|why| self.invalid(why))
        } else {
            Ok(bytes)
        }
    }

    fn invalid(&self, why: String) -> RpcFailure {
        RpcFailure::new(
            Code::BackendInvalid,
            format!("{} {why}", authority(&self.base)),
        )
    }

    fn outgoing(
        &self,
        place: MethodPath,
        kind: &'static str,
        body: Bytes,
        metadata: &CallMetadata,
    ) -> HttpRequest {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{}", place.service, place.name));
        let mut outgoing = HttpRequest::new(Method::POST, url)
            .header(CONTENT_TYPE, kind)
            .header(VERSION, "1")
            .body(RequestBody::Bytes(body));
        if kind == STREAM {
            outgoing = outgoing.header(HeaderName::from_static("connect-accept-encoding"), "gzip");
        }
        outgoing.headers.insert(REQUEST_ID, metadata.id.clone());
        outgoing.private = metadata.credentials.clone();
        outgoing
    }

    /// The response, when it is successful and has the expected content type.
    async fn check_response(
        &self,
        answer: HttpResponse,
        kind: &str,
    ) -> Result<HttpResponse, RpcFailure> {
        let content_type = answer.media_type().to_ascii_lowercase();
        match answer.status() {
            StatusCode::OK if content_type == kind => Ok(answer),
            StatusCode::OK => Err(self.unexpected_content_type(&answer, &content_type)),
            status if status.is_redirection() => Err(self.redirected(&answer)),
            _ => Err(self
                .read_failure(answer, &content_type, Protocol::Connect)
                .await),
        }
    }

    /// The failure of a redirect, which is not followed.
    fn redirected(&self, answer: &HttpResponse) -> RpcFailure {
        let to = answer
            .header(crate::http::header::LOCATION)
            .and_then(|location| self.base.join(location).ok());
        let to = to.map_or_else(|| "elsewhere".to_owned(), |to| authority(&to));
        RpcFailure::new(
            Code::BackendInvalid,
            format!("{} redirects to {to}", authority(&self.base)),
        )
    }

    /// The failure of a response that is not in the Connect protocol.
    fn unexpected_content_type(&self, answer: &HttpResponse, kind: &str) -> RpcFailure {
        let content = match kind {
            "text/html" => "a web page".to_owned(),
            "" => "something without a kind".to_owned(),
            kind => format!("`{}`", clean(kind)),
        };
        RpcFailure::new(
            Code::BackendInvalid,
            format!(
                "{} responds to {} with {content}",
                authority(&self.base),
                answer.status()
            ),
        )
    }

    /// The failure of an error response. The protocol of the response is recorded if it is not the expected one.
    async fn read_failure(
        &self,
        mut answer: HttpResponse,
        kind: &str,
        expected: Protocol,
    ) -> RpcFailure {
        let http = answer.status();
        let retry_after = answer.retry_after();
        let body = answer.bytes(LONGEST_ERROR).await.unwrap_or_default();
        let parsed = status::error(kind, &body);
        let protocol = parsed.as_ref().map(|(protocol, _)| *protocol);
        let error = parsed
            .filter(|(protocol, _)| *protocol == expected)
            .map(|(_, error)| error);
        let host = authority(&self.base);
        let mut failure = match &error {
            Some(error) => RpcFailure::from_status(
                &host,
                error.status.unwrap_or_else(|| RpcStatus::of_http(http)),
                error,
            ),
            None => {
                let status = RpcStatus::of_http(http);
                let text = if kind == "text/plain" {
                    format!(": {}", clean(&String::from_utf8_lossy(&body)))
                } else {
                    String::new()
                };
                let error = ErrorText::default();
                // The status is only derived from the HTTP code, which is what decides about retries.
                let retryable = if is_transient(http) {
                    Retryable::MaybeExecuted
                } else {
                    Retryable::Never
                };
                RpcFailure {
                    cause: format!("{host} responded with {http}{text}"),
                    retryable,
                    ..RpcFailure::from_status(&host, status, &error)
                }
            }
        };
        failure.domain.protocol = protocol;
        if error.is_none() && http == StatusCode::NOT_FOUND {
            failure.code = Code::BackendInvalid;
        }
        if http == StatusCode::TOO_MANY_REQUESTS {
            failure.retryable = Retryable::NotExecuted;
        }
        // Go: "Client sent an HTTP request to an HTTPS server."; nginx: "The plain HTTP request was sent to HTTPS port".
        if self.base.scheme() == "http"
            && http == StatusCode::BAD_REQUEST
            && String::from_utf8_lossy(&body).contains("HTTPS")
        {
            failure.code = Code::BackendUntrusted;
        }
        let proxy = answer.proxy_hint().filter(|_| error.is_none());
        RpcFailure {
            retry_after,
            ..self.with_encryption_advice(failure)
        }
        .through(proxy)
    }

    /// Adds advice when an unencrypted connection may be the cause.
    fn with_encryption_advice(&self, failure: RpcFailure) -> RpcFailure {
        let connection_failed = matches!(
            failure.code,
            Code::BackendUnreachable | Code::BackendUntrusted
        );
        if !connection_failed
            || self.base.scheme() != "http"
            || failure.help.is_some()
            || failure.retryable == Retryable::NotExecuted
        {
            return failure;
        }
        failure.help("If the backend uses TLS, write its endpoint without `http://`, and leave out `admin.insecure`.")
    }

    /// Retries a call after transient failures, as far as its idempotency allows.
    pub(crate) async fn with_retries<T, F: Future<Output = Result<T, RpcFailure>>>(
        &self,
        what: &str,
        repeat: Idempotency,
        call: impl Fn() -> F,
    ) -> Result<T, RpcFailure> {
        let attempt = || async {
            call()
                .await
                .map_err(|failure| self.with_encryption_advice(failure))
        };
        let may_retry = |failure: &RpcFailure| match failure.retryable {
            Retryable::Never => false,
            Retryable::MaybeExecuted => repeat == Idempotency::Always,
            Retryable::NotExecuted => true,
        };
        let report =
            |failure: &RpcFailure, pause| self.reporter.retrying(what, &failure.cause, pause);
        self.retry.run(attempt, may_retry, report).await
    }
}

/// A call in a span that `-vv` shows, with all its attempts. The status is the backend's, else the code of the error.
async fn traced<T>(
    method: MethodPath,
    call: impl Future<Output = Result<T, RpcFailure>>,
) -> Result<T, RpcFailure> {
    let span = debug_span!("rpc", %method, status = Empty);
    let done = call.instrument(span.clone()).await;
    span.record(
        "status",
        match &done {
            Ok(_) => "ok",
            Err(failure) => failure
                .status()
                .map_or(failure.code.as_str(), RpcStatus::word),
        },
    );
    done
}
