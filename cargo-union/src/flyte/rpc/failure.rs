//! Why a call did not give what was asked for, before it is known what that was for.

use std::time::Duration;

use union_build::diag::Code;

use super::status::{ErrorText, RpcStatus};
use crate::http::ProxyHint;
use crate::http::error::{TransportError, TransportErrorKind};
use crate::sys::error::Error;

/// Why a call failed.
#[derive(Clone, Debug)]
pub struct RpcFailure {
    /// The backend's code; `None` when it has not answered in the protocol's words.
    pub status: Option<RpcStatus>,
    /// The code that a user sees.
    pub(crate) code: Code,
    /// The cause, which names who has answered.
    pub(crate) cause: String,
    /// What to do next, when there is more to say than the code's own cure.
    pub(crate) help: Option<String>,
    /// Whether it may pass by itself.
    pub(super) again: Retryable,
    /// The pause that the backend asked for.
    pub(super) pause: Option<Duration>,
}

/// Whether a failure may pass by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Retryable {
    /// It will be the same.
    Never,
    /// It may pass; what was asked for may have been done all the same.
    Perhaps,
    /// It may pass; nobody has acted on it.
    Unheard,
}

impl RpcFailure {
    pub(crate) fn new(code: Code, cause: impl Into<String>) -> Self {
        Self { status: None, code, cause: cause.into(), help: None, again: Retryable::Never, pause: None }
    }

    /// The failure that the backend itself tells.
    pub(super) fn from_status(host: &str, status: RpcStatus, said: &ErrorText) -> Self {
        let words = if said.message.is_empty() { String::new() } else { format!(": {}", said.message) };
        let again = if matches!(status, RpcStatus::Unavailable | RpcStatus::Internal) { Retryable::Perhaps } else { Retryable::Never };
        let cause = format!("{host} answered `{}`{words}", status.word());
        Self { status: Some(status), again, ..Self::new(code_of(status), cause) }
    }

    /// A failure that may pass by itself.
    pub(crate) fn passing(code: Code, cause: impl Into<String>, pause: Option<Duration>) -> Self {
        Self { again: Retryable::Perhaps, pause, ..Self::new(code, cause) }
    }

    /// The stream ended where it should not have.
    pub(super) fn cut(cause: impl Into<String>) -> Self {
        Self { again: Retryable::Perhaps, ..Self::new(Code::BackendUnreachable, cause) }
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

    /// Whether the backend gave this code.
    pub fn is(&self, status: RpcStatus) -> bool {
        self.status == Some(status)
    }

    /// Whether the same may go well in a moment: the line was cut, or the backend is not there.
    pub fn may_pass(&self) -> bool {
        self.again > Retryable::Never
    }

    /// The error of what was to be done with the backend.
    pub fn into_error(self, tried: impl Into<String>) -> Error {
        let error = Error::new(self.code, tried).because(self.cause);
        match self.help {
            Some(help) => error.help(help),
            None => error,
        }
    }
}

/// A fault of the line, in the words of backends.
impl From<TransportError> for RpcFailure {
    fn from(fault: TransportError) -> Self {
        let (code, again, help) = match fault.kind {
            TransportErrorKind::NoConnection => (Code::BackendUnreachable, Retryable::Unheard, None),
            TransportErrorKind::Unreachable => (Code::BackendUnreachable, Retryable::Perhaps, None),
            TransportErrorKind::Refused => (Code::BackendUnreachable, Retryable::Never, None),
            TransportErrorKind::Plain(host) => {
                let help = format!("If it is meant to go without encryption, write `http://{host}`, or set `admin.insecure`.");
                (Code::BackendUntrusted, Retryable::Never, Some(help))
            }
            TransportErrorKind::Untrusted => (Code::BackendUntrusted, Retryable::Never, None),
            TransportErrorKind::Misleading => (Code::BackendInvalid, Retryable::Never, None),
            TransportErrorKind::Machine(code) => (code, Retryable::Never, None),
        };
        Self { again, help: fault.help.or(help), ..Self::new(code, fault.cause) }
    }
}

/// An error of the machine at hand keeps its code.
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
