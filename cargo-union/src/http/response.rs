//! A response: its head, and a body that is read in chunks, with a timeout and a size limit.

use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use reqwest::header::{AsHeaderName, CONTENT_TYPE, HeaderMap};
use reqwest::{Response, StatusCode, Url};

use super::error::{TransportError, causes};
use super::proxy::ProxyHint;
use super::trace::RequestSpan;
use super::{IDLE_TIMEOUT, authority, retry};

/// A response whose head has arrived and whose body is still to be read.
#[derive(Debug)]
pub(crate) struct HttpResponse {
    inner: Response,
    proxy: Option<ProxyHint>,
    span: Option<RequestSpan>,
}

impl HttpResponse {
    pub(super) fn new(inner: Response, proxy: Option<ProxyHint>) -> Self {
        Self {
            inner,
            proxy,
            span: None,
        }
    }

    /// The same response; the bytes of its body are counted in a span.
    pub(super) fn traced_by(self, span: RequestSpan) -> Self {
        Self {
            span: Some(span),
            ..self
        }
    }

    /// The proxy on the way, when it may have sent this response in place of the server: as a gateway, or because it
    /// forbids the request.
    pub(crate) fn proxy_hint(&self) -> Option<&ProxyHint> {
        self.proxy
            .as_ref()
            .filter(|_| matches!(self.status().as_u16(), 403 | 502..=504))
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.inner.status()
    }

    /// The URL that has responded, after redirects.
    pub(crate) fn url(&self) -> &Url {
        self.inner.url()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.inner.headers()
    }

    /// The value of a header; `None` also when it is not ASCII text.
    pub(crate) fn header(&self, name: impl AsHeaderName) -> Option<&str> {
        self.inner.headers().get(name)?.to_str().ok()
    }

    /// The media type in `Content-Type`, without its parameters; empty when there is none.
    pub(crate) fn media_type(&self) -> &str {
        let value = self.header(CONTENT_TYPE).unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim()
    }

    /// The pause that the server requests before the next request.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        retry::retry_after(self.inner.headers(), SystemTime::now())
    }

    /// Whether the body is an HTML page.
    pub(crate) fn is_web_page(&self) -> bool {
        self.header(CONTENT_TYPE).is_some_and(|kind| {
            kind.trim_start()
                .to_ascii_lowercase()
                .starts_with("text/html")
        })
    }

    /// The next bytes of the body; `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, TransportError> {
        let host = authority(self.inner.url());
        match tokio::time::timeout(IDLE_TIMEOUT, self.chunk_some_day()).await {
            Ok(chunk) => chunk,
            Err(_) => Err(TransportError::unreachable(format!(
                "{host}: timed out while reading the response"
            ))),
        }
    }

    /// The next bytes of the body, without a timeout; `None` at its end.
    pub(crate) async fn chunk_some_day(&mut self) -> Result<Option<Bytes>, TransportError> {
        let host = authority(self.inner.url());
        let cut = |error: reqwest::Error| {
            TransportError::unreachable(format!(
                "{host} cut the connection: {}",
                causes(&error.without_url())
            ))
        };
        let chunk = self.inner.chunk().await.map_err(cut)?;
        if let (Some(span), Some(chunk)) = (&mut self.span, &chunk) {
            span.received(chunk.len());
        }
        Ok(chunk)
    }

    /// The whole body, of at most `most` bytes.
    pub(crate) async fn bytes(&mut self, most: usize) -> Result<Bytes, TransportError> {
        let mut bytes = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            if bytes.len() + chunk.len() > most {
                let host = authority(self.inner.url());
                return Err(TransportError::misleading(format!(
                    "{host} responds with more than the expected maximum of {most} bytes"
                )));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    }
}
