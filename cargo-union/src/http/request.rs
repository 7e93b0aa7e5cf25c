//! HTTP requests that can be sent more than once.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};

use super::body::RequestBody;

/// A request that can be sent more than once.
#[derive(Clone, Debug)]
pub(crate) struct HttpRequest {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    /// Headers that are sent only to the origin of `url`, not after redirects.
    pub(crate) private: HeaderMap,
    pub(crate) body: RequestBody,
    /// Whether the response is a stream, whose head may arrive only when something happens: it has no timeout.
    pub(crate) is_stream: bool,
}

impl HttpRequest {
    /// A request without headers and body.
    pub(crate) fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            private: HeaderMap::new(),
            body: RequestBody::Empty,
            is_stream: false,
        }
    }

    pub(crate) fn header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.insert(name, HeaderValue::from_static(value));
        self
    }

    pub(crate) fn body(mut self, body: RequestBody) -> Self {
        self.body = body;
        self
    }
}

/// The value of an authorization header, hidden in Debug: `Bearer …`. `None` when it contains invalid characters.
pub(crate) fn credential(scheme: &str, secret: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("{scheme} {secret}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}
