//! Status codes of the Connect protocol and of gRPC, and parsing of error responses.

use prost::Message as _;
use serde::Deserialize;

use crate::flyte::idl::v1::service::ErrorStatus;
use crate::http::StatusCode;
use crate::http::error::clean;
use crate::sys::words;

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

    /// The status of gRPC's number, which REST responses have; `None` for 0, which is success, and for unknown numbers.
    fn of_number(number: i32) -> Option<Self> {
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        Self::WORDS.get(index).map(|(status, _)| *status)
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

/// The protocol of a server, by the words of its responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::flyte) enum Protocol {
    /// Connect, whose error codes are words: Flyte 2.
    Connect,
    /// The gateway of Flyte 1, whose error codes are numbers.
    Gateway,
}

/// The error of a response.
#[derive(Debug, Default)]
pub(super) struct ErrorText {
    /// `None` when the code is not one of the protocol.
    pub(super) status: Option<RpcStatus>,
    /// The message on one line, bounded.
    pub(super) message: String,
    /// The message with its line breaks, bounded.
    pub(super) text: String,
}

/// The maximum length of a message with line breaks, in characters.
const LONGEST_TEXT: usize = 4_000;

impl ErrorText {
    fn new(status: Option<RpcStatus>, message: &str) -> Self {
        Self {
            status,
            message: clean(message),
            text: words::printable(message, LONGEST_TEXT),
        }
    }
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
        Self::new(status, &text)
    }
}

/// Parses the body of an error response by its content type, with the protocol in whose words it is; `None` when it is in
/// none.
pub(super) fn error(content_type: &str, body: &[u8]) -> Option<(Protocol, ErrorText)> {
    let connect = || connect_error(content_type, body).map(|error| (Protocol::Connect, error));
    gateway_error(content_type, body)
        .map(|error| (Protocol::Gateway, error))
        .or_else(connect)
}

fn connect_error(content_type: &str, body: &[u8]) -> Option<ErrorText> {
    if content_type != "application/json" {
        return None;
    }
    let wire: WireError = serde_json::from_slice(body).ok()?;
    (wire.code.is_some() || wire.message.is_some()).then(|| wire.into())
}

/// `google.rpc.Status` as protobuf or as JSON, whose code is a number.
fn gateway_error(content_type: &str, body: &[u8]) -> Option<ErrorText> {
    #[derive(Deserialize)]
    struct GatewayError {
        code: i32,
        #[serde(default, alias = "error")]
        message: String,
    }
    let (code, message) = match content_type {
        "application/json" => {
            let GatewayError { code, message } = serde_json::from_slice(body).ok()?;
            (code, message)
        }
        "application/octet-stream" => {
            let ErrorStatus { code, message } = ErrorStatus::decode(body).ok()?;
            (code, message)
        }
        _ => return None,
    };
    let status = RpcStatus::of_number(code)?;
    Some(ErrorText::new(Some(status), &message))
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
        let read = |body: &[u8]| connect_error("application/json", body);
        let error_text =
            read(br#"{"code":"not_found","message":"project \"x\"\n not found","details":[]}"#)
                .unwrap();
        assert_eq!(
            (error_text.status, error_text.message.as_str()),
            (Some(RpcStatus::NotFound), r#"project "x" not found"#)
        );
        let error_text = read(br#"{"code":"teapot"}"#).unwrap();
        assert_eq!(
            (error_text.status, error_text.message.as_str()),
            (None, "teapot")
        );
        for body in ["", "<html>", "{}", "[]", r#"{"error":"x"}"#] {
            assert!(read(body.as_bytes()).is_none(), "{body}");
        }
        assert!(connect_error("text/plain", br#"{"code":"teapot"}"#).is_none());
    }

    #[test]
    fn gateway_error_is_parsed_from_json_and_protobuf() {
        let json = "application/json";
        let text = "different\n  - a\u{1b}[2J";
        let status = ErrorStatus {
            code: 3,
            message: text.to_owned(),
        };
        for (kind, body) in [
            (
                json,
                serde_json::json!({ "code": 3, "message": text, "details": [] })
                    .to_string()
                    .into_bytes(),
            ),
            ("application/octet-stream", status.encode_to_vec()),
        ] {
            let error = gateway_error(kind, &body).unwrap();
            assert_eq!(
                (error.status, error.message.as_str(), error.text.as_str()),
                (
                    Some(RpcStatus::InvalidArgument),
                    "different - a [2J",
                    "different\n  - a[2J"
                )
            );
        }
        for (kind, body) in [
            (json, "{\"code\":\"not_found\"}"),
            (json, "{\"code\":0,\"message\":\"\"}"),
            (json, "{\"code\":99}"),
            (json, "<html>"),
            ("application/octet-stream", "<html>"),
            ("application/octet-stream", ""),
            ("text/html", "{\"code\":5}"),
        ] {
            assert!(
                gateway_error(kind, body.as_bytes()).is_none(),
                "{kind} {body}"
            );
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
