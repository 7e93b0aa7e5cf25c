//! The failure of a call, before the operation that it belongs to is known.

use std::time::Duration;

use union_build::diag::Code;

use super::status::{ErrorText, RpcStatus};
use crate::http::ProxyHint;
use crate::http::error::{TransportError, TransportErrorKind};
use crate::sys::error::Error;

/// The failure of a call.
#[derive(Clone, Debug)]
pub struct RpcFailure {
    /// The status of the backend's response; `None` when there was no response in the protocol.
    pub status: Option<RpcStatus>,
    /// The error code that the user sees.
    pub(crate) code: Code,
    /// The cause; names the host.
    pub(crate) cause: String,
    /// Advice, when there is more to say than the code's own.
    pub(crate) help: Option<String>,
    /// Whether a retry may succeed.
    pub(super) retryable: Retryable,
    /// The pause that the backend requested (`Retry-After`).
    pub(super) pause: Option<Duration>,
}

/// Whether a retry may succeed, and whether the failed call may have been executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Retryable {
    /// A retry would fail again.
    Never,
    /// A retry may succeed; the call may have been executed.
    MaybeExecuted,
    /// A retry may succeed; the call was not executed.
    NotExecuted,
}

impl RpcFailure {
    pub(crate) fn new(code: Code, cause: impl Into<String>) -> Self {
        Self { status: None, code, cause: cause.into(), help: None, retryable: Retryable::Never, pause: None }
    }

    /// The failure of an error response.
    pub(super) fn from_status(host: &str, status: RpcStatus, error: &ErrorText) -> Self {
        let message = if error.message.is_empty() { String::new() } else { format!(": {}", error.message) };
        let retryable =
            if matches!(status, RpcStatus::Unavailable | RpcStatus::Internal) { Retryable::MaybeExecuted } else { Retryable::Never };
        let cause = format!("{host} answered `{}`{message}", status.word());
        Self { status: Some(status), retryable, ..Self::new(code_of(status), cause) }
    }

    /// A transient failure.
    pub(crate) fn passing(code: Code, cause: impl Into<String>, pause: Option<Duration>) -> Self {
        Self { retryable: Retryable::MaybeExecuted, pause, ..Self::new(code, cause) }
    }

    /// A stream that ended prematurely.
    pub(super) fn cut(cause: impl Into<String>) -> Self {
        Self { retryable: Retryable::MaybeExecuted, ..Self::new(Code::BackendUnreachable, cause) }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds the proxy that may have answered in place of the server.
    pub(crate) fn through(mut self, proxy: Option<&ProxyHint>) -> Self {
        if let Some(proxy) = proxy {
            proxy.add_to(&mut self.cause, &mut self.help);
        }
        self
    }

    /// Whether the backend responded with this status.
    pub fn is(&self, status: RpcStatus) -> bool {
        self.status == Some(status)
    }

    /// Whether the failure is transient: the connection was interrupted, or the backend is not available.
    pub fn may_pass(&self) -> bool {
        self.retryable > Retryable::Never
    }

    /// Converts it into an error of the operation `tried`.
    pub fn into_error(self, tried: impl Into<String>) -> Error {
        let error = Error::new(self.code, tried).because(self.cause);
        match self.help {
            Some(help) => error.help(help),
            None => error,
        }
    }
}

/// A transport error with the error codes of backends.
impl From<TransportError> for RpcFailure {
    fn from(fault: TransportError) -> Self {
        let (code, retryable, help) = match fault.kind {
            TransportErrorKind::NoConnection => (Code::BackendUnreachable, Retryable::NotExecuted, None),
            TransportErrorKind::Unreachable => (Code::BackendUnreachable, Retryable::MaybeExecuted, None),
            TransportErrorKind::Refused => (Code::BackendUnreachable, Retryable::Never, None),
            TransportErrorKind::Plain(host) => {
                let help = format!("If it is meant to go without encryption, write `http://{host}`, or set `admin.insecure`.");
                (Code::BackendUntrusted, Retryable::Never, Some(help))
            }
            TransportErrorKind::Untrusted => (Code::BackendUntrusted, Retryable::Never, None),
            TransportErrorKind::Misleading => (Code::BackendInvalid, Retryable::Never, None),
            TransportErrorKind::Machine(code) => (code, Retryable::Never, None),
        };
        Self { retryable, help: fault.help.or(help), ..Self::new(code, fault.cause) }
    }
}

/// A local error keeps its code.
impl From<Error> for RpcFailure {
    fn from(error: Error) -> Self {
        Self::new(error.code(), error.chain().join(": ")).help(error.advice())
    }
}

fn code_of(status: RpcStatus) -> Code {
    match status {
        RpcStatus::Unauthenticated => Code::LoginRefused,
        RpcStatus::PermissionDenied => Code::BackendDenied,
        RpcStatus::NotFound => Code::BackendNotFound,
        RpcStatus::Unimplemented => Code::BackendLacks,
        RpcStatus::InvalidArgument
        | RpcStatus::AlreadyExists
        | RpcStatus::FailedPrecondition
        | RpcStatus::Aborted
        | RpcStatus::OutOfRange
        | RpcStatus::Canceled => Code::BackendRefused,
        RpcStatus::Unknown
        | RpcStatus::DeadlineExceeded
        | RpcStatus::ResourceExhausted
        | RpcStatus::Internal
        | RpcStatus::Unavailable
        | RpcStatus::DataLoss => Code::BackendFailed,
    }
}
