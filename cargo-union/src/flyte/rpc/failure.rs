//! The failure of a call to the backend, before the operation that it belongs to is known.

use union_build::diag::Code;

use super::status::{ErrorText, Protocol, RpcStatus};
use crate::http::failure::{FailureDomain, RemoteFailure, Retryable};

/// The failure of a call to the backend, its token servers or its object store.
pub type RpcFailure = RemoteFailure<RpcDomain>;

/// The backend's part of a failure.
#[derive(Clone, Debug, Default)]
pub struct RpcDomain {
    /// The status of the response; `None` when there was no response in the protocol.
    pub(in crate::flyte) status: Option<RpcStatus>,
    /// The server's message with its line breaks, bounded; empty when there is none.
    pub(in crate::flyte) text: String,
    /// The protocol of the error response; `None` when it was in none.
    pub(in crate::flyte) protocol: Option<Protocol>,
}

impl FailureDomain for RpcDomain {
    const UNREACHABLE: Code = Code::BackendUnreachable;
    const UNTRUSTED: Code = Code::BackendUntrusted;
    const INVALID: Code = Code::BackendInvalid;

    fn plaintext_help(host: &str) -> String {
        format!(
            "If it is meant to go without encryption, write `http://{host}`, or set `admin.insecure`."
        )
    }
}

impl RpcFailure {
    /// The failure of an error response.
    pub(super) fn from_status(host: &str, status: RpcStatus, said: &ErrorText) -> Self {
        let words = if said.message.is_empty() {
            String::new()
        } else {
            format!(": {}", said.message)
        };
        let is_transient = matches!(status, RpcStatus::Unavailable | RpcStatus::Internal);
        let retryable = if is_transient {
            Retryable::MaybeExecuted
        } else {
            Retryable::Never
        };
        let cause = format!("{host} responded with `{}`{words}", status.word());
        Self {
            domain: RpcDomain {
                status: Some(status),
                text: said.text.clone(),
                protocol: None,
            },
            retryable,
            ..Self::new(code_of(status), cause)
        }
    }

    /// The failure of a stream that ended before its end frame.
    pub(super) fn cut(cause: impl Into<String>) -> Self {
        Self::transient(Code::BackendUnreachable, cause, None)
    }

    /// The status of the response; `None` when there was no response in the protocol.
    pub fn status(&self) -> Option<RpcStatus> {
        self.domain.status
    }

    /// Whether the backend responded with this status.
    pub fn is(&self, status: RpcStatus) -> bool {
        self.status() == Some(status)
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
