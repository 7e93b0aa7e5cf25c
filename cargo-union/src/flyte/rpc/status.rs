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

/// The protocol of a server, detected from its error responses.
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

/// Parses the body of an error response by its content type. Returns the protocol of the body too; `None` when it is in
/// neither.
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
mod tests;
