//! A request that can be sent more than once.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};

use super::body::RequestBody;

/// A request, ready to be sent more than once.
#[derive(Clone, Debug)]
pub(crate) struct HttpRequest {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    /// Headers that nobody but the URL's own server may see.
    pub(crate) private: HeaderMap,
    pub(crate) body: RequestBody,
    /// Whether the server may take all the time it wants: it answers when something happens.
    pub(crate) patient: bool,
}

impl HttpRequest {
    /// A request with nothing but an address.
    pub(crate) fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), private: HeaderMap::new(), body: RequestBody::Empty, patient: false }
    }

    /// Sets a header.
    pub(crate) fn header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.insert(name, HeaderValue::from_static(value));
        self
    }

    /// Sets the body.
    pub(crate) fn body(mut self, body: RequestBody) -> Self {
        self.body = body;
        self
    }
}

/// A header's value that shows nothing in a debug print: `Bearer …`. `None` when no header can hold it.
pub(crate) fn credential(scheme: &str, secret: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("{scheme} {secret}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}
