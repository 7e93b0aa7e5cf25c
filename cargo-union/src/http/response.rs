//! A response: its head, and a body that is read in chunks, with a timeout and a size limit.

use bytes::{Bytes, BytesMut};
use reqwest::header::{AsHeaderName, CONTENT_TYPE, HeaderMap};
use reqwest::{Response, StatusCode, Url};

use super::error::{TransportError, causes};
use super::{SILENCE, authority};

/// A response whose head has arrived and whose body is still to be read.
#[derive(Debug)]
pub(crate) struct HttpResponse(Response);

impl HttpResponse {
    pub(super) fn new(response: Response) -> Self {
        Self(response)
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.0.status()
    }

    /// The URL that has responded, after redirects.
    pub(crate) fn url(&self) -> &Url {
        self.0.url()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.0.headers()
    }

    /// The value of a header; `None` also when it is not ASCII text.
    pub(crate) fn header(&self, name: impl AsHeaderName) -> Option<&str> {
        self.0.headers().get(name)?.to_str().ok()
    }

    /// Whether the body is an HTML page.
    pub(crate) fn is_web_page(&self) -> bool {
        self.header(CONTENT_TYPE).is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/html"))
    }

    /// The next bytes of the body; `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, TransportError> {
        let host = authority(self.0.url());
        match tokio::time::timeout(SILENCE, self.chunk_some_day()).await {
            Ok(chunk) => chunk,
            Err(_) => Err(TransportError::unreachable(format!("{host}: timed out while reading the response"))),
        }
    }

    /// The next bytes of the body, without a timeout; `None` at its end.
    pub(crate) async fn chunk_some_day(&mut self) -> Result<Option<Bytes>, TransportError> {
        let host = authority(self.0.url());
        let cut =
            |error: reqwest::Error| TransportError::unreachable(format!("{host} cut the connection: {}", causes(&error.without_url())));
        self.0.chunk().await.map_err(cut)
    }

    /// The whole body, of at most `most` bytes.
    pub(crate) async fn bytes(&mut self, most: usize) -> Result<Bytes, TransportError> {
        let mut bytes = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            if bytes.len() + chunk.len() > most {
                let host = authority(self.0.url());
                return Err(TransportError::misleading(format!("{host} answers with more than {most} bytes, where fewer were expected")));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    }
}
