//! The span of a request, which `-vv` shows. It contains no header, no body and no part of an address that may be
//! secret.

use reqwest::{StatusCode, Url};
use tracing::field::Empty;
use tracing::{Span, debug_span};

use super::error::TransportError;
use super::request::HttpRequest;

/// One request and its response. The span ends with this value, when the response was read or dropped.
#[derive(Debug)]
pub(super) struct RequestSpan {
    span: Span,
    received: Option<u64>,
}

impl RequestSpan {
    /// Begins with the request.
    pub(super) fn begin(request: &HttpRequest, url: &Url) -> Self {
        let method = request.method.as_str();
        let span = debug_span!(
            "http",
            method,
            url = shown(url),
            status = Empty,
            sent = Empty,
            received = Empty,
            error = Empty
        );
        Self {
            span,
            received: None,
        }
    }

    /// Records the status of the response, or the error if there is none.
    pub(super) fn answered(
        &mut self,
        request: &HttpRequest,
        status: Result<StatusCode, &TransportError>,
    ) {
        match status {
            Ok(status) => {
                self.span.record("sent", request.body.sent());
                self.span.record("status", status.as_u16());
                self.received = Some(0);
            }
            Err(error) => {
                self.span.record("error", error.cause.as_str());
            }
        }
    }

    /// Counts bytes of the response's body.
    pub(super) fn received(&mut self, bytes: usize) {
        self.received = self.received.map(|received| received + bytes as u64);
    }
}

impl Drop for RequestSpan {
    fn drop(&mut self) {
        if let Some(received) = self.received {
            self.span.record("received", received);
        }
    }
}

/// A URL without login, query and fragment: queries may contain signatures and tokens.
fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    // These calls fail only for a URL that cannot have a login.
    let _ = shown
        .set_username("")
        .and_then(|()| shown.set_password(None));
    shown.set_query(None);
    shown.set_fragment(None);
    let query = if url.query().is_some() { "?…" } else { "" };
    format!("{shown}{query}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn shown_url_has_no_login_query_or_fragment() {
        for (url, expected) in [
            (
                "https://reg.lan/v2/app/blobs/uploads/1?_state=secret",
                "https://reg.lan/v2/app/blobs/uploads/1?…",
            ),
            (
                "http://me:secret@reg.lan:5000/v2/#secret",
                "http://reg.lan:5000/v2/",
            ),
            ("https://secret@store.test/a", "https://store.test/a"),
            ("https://store.test/a", "https://store.test/a"),
        ] {
            assert_eq!(shown(&Url::parse(url).unwrap()), expected);
        }
    }
}
