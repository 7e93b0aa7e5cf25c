//! The Connect protocol over our own line: one message for another, or one for a stream.
//!
//! Only what may pass by itself is called again, and only where it may be done twice. Nothing here
//! knows who the user is: credentials come with each call, and go to the backend's own host only.

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
use crate::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use crate::http::response::HttpResponse;
use crate::http::retry::{RetryPolicy, is_transient};
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
use method::MethodPath;

const PROTO: &str = "application/proto";
const STREAM: &str = "application/connect+proto";
const VERSION: HeaderName = HeaderName::from_static("connect-protocol-version");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest error that is read.
const LONGEST_ERROR: usize = 1 << 20;

/// The line to one server of the backend.
#[derive(Clone)]
pub(crate) struct ConnectTransport {
    pub(crate) transport: Arc<Transport>,
    /// Scheme, host and port.
    pub(crate) base: Url,
    retry: RetryPolicy,
    reporter: Arc<dyn Reporter>,
}

/// What goes with every try of one call.
#[derive(Clone, Debug)]
pub(crate) struct CallMetadata {
    /// The same for all tries, so that the backend's log shows them as one.
    id: HeaderValue,
    /// Who the user is.
    pub(crate) credentials: HeaderMap,
}

impl CallMetadata {
    /// A stamp with a number of its own.
    pub(crate) fn new(credentials: HeaderMap) -> Result<Self, RpcFailure> {
        let id = crate::sys::random::uuid()?;
        Ok(Self { id: HeaderValue::from_str(&id).expect("a UUID is letters, digits and dashes"), credentials })
    }
}

impl ConnectTransport {
    pub(crate) fn new(transport: Arc<Transport>, base: Url, retry: RetryPolicy, reporter: Arc<dyn Reporter>) -> Self {
        Self { transport, base, retry, reporter }
    }

    /// The same line to another server.
    pub(crate) fn to(&self, base: Url) -> Self {
        Self { base, ..self.clone() }
    }

    /// Calls a method with one answer.
    pub(crate) async fn unary<Req: Message, Res: Message + Default>(
        &self,
        method: Unary<Req, Res>,
        request: &Req,
        stamp: &CallMetadata,
    ) -> Result<Res, RpcFailure> {
        let body = Bytes::from(request.encode_to_vec());
        let place = method.place;
        traced(place, self.persist(&place.to_string(), method.repeat, || self.unary_once(place, body.clone(), stamp))).await
    }

    /// Calls a method that streams, and waits for the first that it says.
    pub(crate) async fn stream<Req: Message, Res: Message + Default + 'static>(
        &self,
        method: Streaming<Req, Res>,
        request: &Req,
        stamp: &CallMetadata,
    ) -> Result<BoxStream<'static, Result<Res, RpcFailure>>, RpcFailure> {
        let body = envelope::wrap(&request.encode_to_vec());
        let name = method.place.to_string();
        let opened = self.persist(&name, Idempotency::Always, || async {
            let outgoing = HttpRequest { patient: true, ..self.outgoing(method.place, STREAM, body.clone(), stamp) };
            let answer = self.transport.send_once(&outgoing).await?;
            stream::open(self.accepted(answer, STREAM).await?).await
        });
        traced(method.place, opened).await
    }

    async fn unary_once<Res: Message + Default>(&self, place: MethodPath, body: Bytes, stamp: &CallMetadata) -> Result<Res, RpcFailure> {
        let outgoing = self.outgoing(place, PROTO, body, stamp).header(ACCEPT_ENCODING, "gzip");
        let answer = self.transport.send_once(&outgoing).await?;
        let mut answer = self.accepted(answer, PROTO).await?;
        let packed = answer.header(CONTENT_ENCODING).is_some_and(|encoding| encoding.eq_ignore_ascii_case("gzip"));
        let bytes = answer.bytes(LARGEST).await?;
        let host = authority(&self.base);
        let invalid = |why: String| RpcFailure::new(Code::BackendInvalid, format!("{host} {why}"));
        let bytes = if packed { envelope::unpack(&bytes).map_err(invalid)? } else { bytes };
        Res::decode(bytes).map_err(|cause| invalid(format!("answers {place} with another message than expected: {cause}")))
    }

    fn outgoing(&self, place: MethodPath, kind: &'static str, body: Bytes, stamp: &CallMetadata) -> HttpRequest {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{}", place.service, place.name));
        let mut outgoing =
            HttpRequest::new(Method::POST, url).header(CONTENT_TYPE, kind).header(VERSION, "1").body(RequestBody::Bytes(body));
        if kind == STREAM {
            outgoing = outgoing.header(HeaderName::from_static("connect-accept-encoding"), "gzip");
        }
        outgoing.headers.insert(REQUEST_ID, stamp.id.clone());
        outgoing.private = stamp.credentials.clone();
        outgoing
    }

    /// The answer, when it is one of the protocol's and no error.
    async fn accepted(&self, answer: HttpResponse, kind: &str) -> Result<HttpResponse, RpcFailure> {
        let told = answer.header(CONTENT_TYPE).unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match answer.status() {
            StatusCode::OK if told == kind => Ok(answer),
            StatusCode::OK => Err(self.unexpected_content_type(&answer, &told)),
            status if status.is_redirection() => {
                let to = answer.header(crate::http::header::LOCATION).and_then(|location| self.base.join(location).ok());
                let to = to.map_or_else(|| "elsewhere".to_owned(), |to| authority(&to));
                Err(RpcFailure::new(Code::BackendInvalid, format!("{} sends on to {to}", authority(&self.base))))
            }
            _ => Err(self.refused(answer, &told).await),
        }
    }

    /// The failure of an answer from somebody who does not speak the protocol.
    fn unexpected_content_type(&self, answer: &HttpResponse, kind: &str) -> RpcFailure {
        let what = match kind {
            "text/html" => "a web page".to_owned(),
            "" => "something without a kind".to_owned(),
            kind => format!("`{}`", clean(kind)),
        };
        RpcFailure::new(Code::BackendInvalid, format!("{} answers {} with {what}", authority(&self.base), answer.status()))
    }

    async fn refused(&self, mut answer: HttpResponse, kind: &str) -> RpcFailure {
        let (http, retry_after) = (answer.status(), answer.retry_after());
        let body = answer.bytes(LONGEST_ERROR).await.unwrap_or_default();
        let said = if kind == "application/json" { status::error(&body) } else { None };
        let host = authority(&self.base);
        let mut failure = match &said {
            Some(said) => RpcFailure::from_status(&host, said.status.unwrap_or_else(|| RpcStatus::of_http(http)), said),
            None => {
                let status = RpcStatus::of_http(http);
                let words = if kind == "text/plain" { format!(": {}", clean(&String::from_utf8_lossy(&body))) } else { String::new() };
                let said = status::ErrorText { status: None, message: String::new() };
                // The protocol's code for it is a guess, the number is not.
                let retryable = if is_transient(http) { Retryable::IfIdempotent } else { Retryable::Never };
                RpcFailure { cause: format!("{host} answered {http}{words}"), retryable, ..RpcFailure::from_status(&host, status, &said) }
            }
        };
        if said.is_none() && http == StatusCode::NOT_FOUND {
            failure.code = Code::BackendInvalid;
        }
        if http == StatusCode::TOO_MANY_REQUESTS {
            failure.retryable = Retryable::Always;
        }
        // Go: "Client sent an HTTP request to an HTTPS server."; nginx: "The plain HTTP request was sent to HTTPS port".
        if self.base.scheme() == "http" && http == StatusCode::BAD_REQUEST && String::from_utf8_lossy(&body).contains("HTTPS") {
            failure.code = Code::BackendUntrusted;
        }
        RpcFailure { retry_after, ..self.explained(failure) }
    }

    /// Adds what a line without encryption may have to do with it.
    fn explained(&self, failure: RpcFailure) -> RpcFailure {
        let line = matches!(failure.code, Code::BackendUnreachable | Code::BackendUntrusted);
        if !line || self.base.scheme() != "http" || failure.help.is_some() || failure.retryable == Retryable::Always {
            return failure;
        }
        failure.help("If the backend encrypts, write its endpoint without `http://`, and leave out `admin.insecure`.")
    }

    /// Calls again while that is safe and may help.
    pub(crate) async fn persist<T, F: Future<Output = Result<T, RpcFailure>>>(
        &self,
        what: &str,
        repeat: Idempotency,
        call: impl Fn() -> F,
    ) -> Result<T, RpcFailure> {
        let attempt = || async { call().await.map_err(|failure| self.explained(failure)) };
        let may_retry = |failure: &RpcFailure| match failure.retryable {
            Retryable::Never => false,
            Retryable::IfIdempotent => repeat == Idempotency::Always,
            Retryable::Always => true,
        };
        let report = |failure: &RpcFailure, pause| self.reporter.retrying(what, &failure.cause, pause);
        self.retry.run(attempt, may_retry, report).await
    }
}

/// A call in a span that `-vv` shows, with all its attempts. The status is the backend's, else the code of the error.
async fn traced<T>(method: MethodPath, call: impl Future<Output = Result<T, RpcFailure>>) -> Result<T, RpcFailure> {
    let span = debug_span!("rpc", %method, status = Empty);
    let done = call.instrument(span.clone()).await;
    span.record(
        "status",
        match &done {
            Ok(_) => "ok",
            Err(failure) => failure.status().map_or(failure.code.as_str(), RpcStatus::word),
        },
    );
    done
}
