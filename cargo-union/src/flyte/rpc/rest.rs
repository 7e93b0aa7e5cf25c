//! Calls of Flyte 1: REST paths with protobuf messages as bodies, over any version of HTTP.
//!
//! The gateway of Flyte 1 encodes responses and errors as `Accept` requests. Errors of a proxy before it, and those of
//! unknown paths, may be JSON. The rules for retries, redirects and web pages are those of the Connect protocol.

use std::marker::PhantomData;

use bytes::Bytes;
use prost::Message;
use serde::de::DeserializeOwned;

use super::envelope::LARGEST;
use super::method::{Idempotency, MethodPath};
use super::status::Protocol;
use super::{CallMetadata, ConnectTransport, PROTO, REQUEST_ID, RpcFailure, traced};
use crate::http::body::RequestBody;
use crate::http::header::{ACCEPT, CONTENT_TYPE};
use crate::http::response::HttpResponse;
use crate::http::{HttpRequest, Method, StatusCode, Url};

/// The content type of protobuf messages at the gateway.
const BINARY: &str = "application/octet-stream";
/// The content type of the login documents.
const JSON: &str = "application/json";

/// A call of a REST path. `name` is the method of Flyte 1's services that the path maps to; messages show it.
pub(in crate::flyte) struct RestCall<Response> {
    place: MethodPath,
    method: Method,
    /// The parts of the path, not encoded.
    path: Vec<String>,
    query: Vec<(&'static str, String)>,
    body: Bytes,
    repeat: Idempotency,
    response: PhantomData<fn() -> Response>,
}

impl<Response> RestCall<Response> {
    fn new(name: &'static str, method: Method, path: &[&str], body: Bytes) -> Self {
        Self {
            place: MethodPath {
                service: "flyteidl.service.AdminService",
                name,
            },
            method,
            path: path.iter().map(|&part| part.to_owned()).collect(),
            query: Vec::new(),
            body,
            repeat: Idempotency::Always,
            response: PhantomData,
        }
    }

    /// A call that reads.
    pub(in crate::flyte) fn get(name: &'static str, path: &[&str]) -> Self {
        Self::new(name, Method::GET, path, Bytes::new())
    }

    /// A call that creates a resource under a name that the client chose, so that it can be repeated: the gateway
    /// rejects a second one with `already_exists`.
    pub(in crate::flyte) fn post(
        name: &'static str,
        path: &[&str],
        request: &impl Message,
    ) -> Self {
        Self::new(name, Method::POST, path, request.encode_to_vec().into())
    }

    /// A call that sets a state.
    pub(in crate::flyte) fn put(name: &'static str, path: &[&str], request: &impl Message) -> Self {
        Self::new(name, Method::PUT, path, request.encode_to_vec().into())
    }

    /// A call that terminates a resource.
    pub(in crate::flyte) fn delete(
        name: &'static str,
        path: &[&str],
        request: &impl Message,
    ) -> Self {
        Self::new(name, Method::DELETE, path, request.encode_to_vec().into())
    }

    /// Adds a parameter.
    #[must_use]
    pub(in crate::flyte) fn query(mut self, name: &'static str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    fn url(&self, base: &Url) -> Url {
        let mut url = base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().extend(&self.path);
        }
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        url
    }
}

impl ConnectTransport {
    /// Calls a REST path of Flyte 1.
    pub(in crate::flyte) async fn rest<Res: Message + Default>(
        &self,
        call: &RestCall<Res>,
        metadata: &CallMetadata,
    ) -> Result<Res, RpcFailure> {
        let place = call.place;
        let mut outgoing = HttpRequest::new(call.method.clone(), call.url(&self.base))
            .header(ACCEPT, BINARY)
            .header(CONTENT_TYPE, BINARY)
            .body(RequestBody::Bytes(call.body.clone()));
        outgoing.headers.insert(REQUEST_ID, metadata.id.clone());
        outgoing.private = metadata.credentials.clone();
        let name = place.to_string();
        let sent = self.with_retries(&name, call.repeat, || self.rest_once(&outgoing, BINARY));
        let bytes = traced(place, sent).await?;
        Res::decode(bytes).map_err(|cause| {
            self.invalid(format!(
                "responds to {place} with an unexpected message: {cause}"
            ))
        })
    }

    async fn rest_once(&self, outgoing: &HttpRequest, expected: &str) -> Result<Bytes, RpcFailure> {
        let answer = self.transport.send_once(outgoing).await?;
        let content_type = answer.media_type().to_ascii_lowercase();
        let mut answer = match answer.status() {
            StatusCode::OK if content_type == expected => answer,
            StatusCode::OK => return Err(self.unexpected_content_type(&answer, &content_type)),
            status if status.is_redirection() => return Err(self.redirected(&answer)),
            _ => {
                return Err(self
                    .read_failure(answer, &content_type, Protocol::Gateway)
                    .await);
            }
        };
        Ok(answer.bytes(LARGEST).await?)
    }

    /// Reads a JSON document of Flyte 1, such as those with the parameters of a login.
    pub(in crate::flyte) async fn document<T: DeserializeOwned>(
        &self,
        name: &'static str,
        path: &[&str],
        metadata: &CallMetadata,
    ) -> Result<T, RpcFailure> {
        let call: RestCall<()> = RestCall::get(name, path);
        let mut outgoing = HttpRequest::new(Method::GET, call.url(&self.base)).header(ACCEPT, JSON);
        outgoing.headers.insert(REQUEST_ID, metadata.id.clone());
        outgoing.private = metadata.credentials.clone();
        let what = call.place.to_string();
        let sent = self.with_retries(&what, Idempotency::Always, || {
            self.rest_once(&outgoing, JSON)
        });
        let bytes = traced(call.place, sent).await?;
        serde_json::from_slice(&bytes).map_err(|cause| {
            self.invalid(format!(
                "responds to {what} with an unexpected document: {cause}"
            ))
        })
    }

    /// Detects the protocol of the server, by one call to which servers of both protocols respond in their own format.
    ///
    /// # Errors
    /// The failure of a response in neither protocol, such as a web page, after retries.
    pub(in crate::flyte) async fn protocol(
        &self,
        service: &'static str,
        name: &'static str,
        request: &impl Message,
        metadata: &CallMetadata,
    ) -> Result<Protocol, RpcFailure> {
        let place = MethodPath { service, name };
        let body: Bytes = request.encode_to_vec().into();
        let name = place.to_string();
        let asked = self.with_retries(&name, Idempotency::Always, || async {
            let outgoing = self.outgoing(place, PROTO, body.clone(), metadata);
            self.recognize(self.transport.send_once(&outgoing).await?)
                .await
        });
        traced(place, asked).await
    }

    async fn recognize(&self, answer: HttpResponse) -> Result<Protocol, RpcFailure> {
        let content_type = answer.media_type().to_ascii_lowercase();
        match answer.status() {
            StatusCode::OK if content_type == PROTO => return Ok(Protocol::Connect),
            StatusCode::OK => return Err(self.unexpected_content_type(&answer, &content_type)),
            status if status.is_redirection() => return Err(self.redirected(&answer)),
            _ => {}
        }
        let failure = self
            .read_failure(answer, &content_type, Protocol::Gateway)
            .await;
        failure.domain.protocol.ok_or(failure)
    }
}
