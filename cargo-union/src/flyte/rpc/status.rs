//! Status codes of the Connect protocol, and parsing of error responses.

use serde::Deserialize;

use crate::http::StatusCode;
use crate::http::error::clean;

/// A status code of the Connect protocol; the same as in gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(
    missing_docs,
    reason = "the protocol's documentation says what they mean"
)]
pub enum RpcStatus {
    Canceled,
    Unknown,
    InvalidArgument,
    DeadlineExceeded,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    Aborted,
    OutOfRange,
    Unimplemented,
    Internal,
    Unavailable,
    DataLoss,
    Unauthenticated,
}

impl RpcStatus {
    const WORDS: [(Self, &str); 16] = [
        (Self::Canceled, "canceled"),
        (Self::Unknown, "unknown"),
        (Self::InvalidArgument, "invalid_argument"),
        (Self::DeadlineExceeded, "deadline_exceeded"),
        (Self::NotFound, "not_found"),
        (Self::AlreadyExists, "already_exists"),
        (Self::PermissionDenied, "permission_denied"),
        (Self::ResourceExhausted, "resource_exhausted"),
        (Self::FailedPrecondition, "failed_precondition"),
        (Self::Aborted, "aborted"),
        (Self::OutOfRange, "out_of_range"),
        (Self::Unimplemented, "unimplemented"),
        (Self::Internal, "internal"),
        (Self::Unavailable, "unavailable"),
        (Self::DataLoss, "data_loss"),
        (Self::Unauthenticated, "unauthenticated"),
    ];

    /// The code in the protocol: `not_found`.
    pub fn word(self) -> &'static str {
        Self::WORDS
            .iter()
            .find(|(status, _)| *status == self)
            .map(|(_, word)| *word)
            .expect("every code is listed")
    }

    /// The status of a code; gRPC's upper-case spelling is accepted too.
    fn of_word(word: &str) -> Option<Self> {
        let word = word.to_ascii_lowercase();
        Self::WORDS
            .iter()
            .find(|(_, known)| *known == word)
            .map(|(status, _)| *status)
    }

    /// The status of a response without one of the protocol, by Connect's mapping of HTTP codes.
    pub(super) fn of_http(status: StatusCode) -> Self {
        match status.as_u16() {
            400 => Self::Internal,
            401 | 407 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 => Self::Unimplemented,
            429 | 502..=504 => Self::Unavailable,
            _ => Self::Unknown,
        }
    }
}

/// The error of a response.
#[derive(Debug)]
pub(super) struct ErrorText {
    /// `None` when the code is not one of the protocol.
    pub(super) status: Option<RpcStatus>,
    pub(super) message: String,
}

#[derive(Deserialize)]
struct WireError {
    code: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

impl From<WireError> for ErrorText {
    fn from(wire: WireError) -> Self {
        let word = wire.code.unwrap_or_default();
        let message = wire.message.unwrap_or_default();
        let status = RpcStatus::of_word(&word);
        let text = if message.is_empty() && status.is_none() {
            word
        } else {
            message
        };
        Self {
            status,
            message: clean(&text),
        }
    }
}

/// Parses the body of an error response; `None` when it is not one.
pub(super) fn error(body: &[u8]) -> Option<ErrorText> {
    let wire: WireError = serde_json::from_slice(body).ok()?;
    (wire.code.is_some() || wire.message.is_some()).then(|| wire.into())
}

/// Parses an end-of-stream frame; `Ok(None)` when the stream succeeded.
pub(super) fn end(frame: &[u8]) -> Result<Option<ErrorText>, serde_json::Error> {
    #[derive(Deserialize)]
    struct EndOfStream {
        error: Option<WireError>,
    }
    let end: EndOfStream = serde_json::from_slice(frame)?;
    Ok(end.error.map(ErrorText::from))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn rpc_status_and_word_round_trip() {
        for (status, word) in RpcStatus::WORDS {
            assert_eq!(
                (status.word(), RpcStatus::of_word(word)),
                (word, Some(status))
            );
        }
        assert_eq!(
            RpcStatus::of_word("UNAUTHENTICATED"),
            Some(RpcStatus::Unauthenticated)
        );
        assert_eq!(RpcStatus::of_word("teapot"), None);
    }

    #[test]
    fn error_response_is_parsed_from_json_only() {
        let error_text =
            error(br#"{"code":"not_found","message":"project \"x\"\n not found","details":[]}"#)
                .unwrap();
        assert_eq!(
            (error_text.status, error_text.message.as_str()),
            (Some(RpcStatus::NotFound), r#"project "x" not found"#)
        );
        let error_text = error(br#"{"code":"teapot"}"#).unwrap();
        assert_eq!(
            (error_text.status, error_text.message.as_str()),
            (None, "teapot")
        );
        for body in ["", "<html>", "{}", "[]", r#"{"error":"x"}"#] {
            assert!(error(body.as_bytes()).is_none(), "{body}");
        }
    }

    #[test]
    fn end_of_stream_is_success_or_an_error() {
        assert!(end(b"{}").unwrap().is_none());
        assert!(end(br#"{"metadata":{"a":["b"]}}"#).unwrap().is_none());
        assert_eq!(
            end(br#"{"error":{"code":"aborted"}}"#)
                .unwrap()
                .unwrap()
                .status,
            Some(RpcStatus::Aborted)
        );
        assert!(end(b"").is_err());
    }

    #[test]
    fn rpc_status_is_derived_from_the_http_code() {
        for (number, status) in [
            (400, RpcStatus::Internal),
            (401, RpcStatus::Unauthenticated),
            (407, RpcStatus::Unauthenticated),
            (403, RpcStatus::PermissionDenied),
            (404, RpcStatus::Unimplemented),
            (418, RpcStatus::Unknown),
            (429, RpcStatus::Unavailable),
            (500, RpcStatus::Unknown),
            (503, RpcStatus::Unavailable),
        ] {
            assert_eq!(
                RpcStatus::of_http(StatusCode::from_u16(number).unwrap()),
                status,
                "{number}"
            );
        }
    }
}
