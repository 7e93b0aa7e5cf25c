//! The failure of a request, before the operation that it belongs to is known.
//!
//! Registries and backends use the same type. They differ in a [`FailureDomain`]: the error codes of a transport error,
//! and the advice for a host that does not encrypt.

use std::time::Duration;

use union_build::diag::Code;

use super::error::{TransportError, TransportErrorKind};
use super::proxy::ProxyHint;
use crate::sys::error::Error;

/// The error codes and fields of failures of one kind of server. The default value is that of a failure without a
/// response.
pub trait FailureDomain: Default {
    /// The code when no connection was made, or when it was cut.
    const UNREACHABLE: Code;
    /// The code when the host's identity is not proven, or when it does not encrypt.
    const UNTRUSTED: Code;
    /// The code of a response that breaks the protocol.
    const INVALID: Code;

    /// The advice when `host[:port]` does not encrypt although it should.
    fn plaintext_help(host: &str) -> String;
}

/// The failure of a request.
#[derive(Clone, Debug)]
pub struct RemoteFailure<D> {
    /// The fields that only this kind of server has.
    pub(crate) domain: D,
    /// The code of the error that the user sees.
    pub(crate) code: Code,
    /// The cause, which names the host. Text from servers is cleaned and bounded; it never holds a secret.
    pub(crate) cause: String,
    /// Advice that replaces the code's own.
    pub(crate) help: Option<String>,
    /// Whether a retry may succeed.
    pub(crate) retryable: Retryable,
    /// The pause that the server requested (`Retry-After`).
    pub(crate) retry_after: Option<Duration>,
}

/// Whether a retry may succeed, and whether the server may have executed the failed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Retryable {
    /// A retry would fail again.
    Never,
    /// A retry may succeed, but the server may have executed the request already.
    MaybeExecuted,
    /// A retry may succeed, and the server has not executed the request.
    NotExecuted,
}

impl<D: FailureDomain> RemoteFailure<D> {
    /// A failure that a retry does not change.
    pub(crate) fn new(code: Code, cause: impl Into<String>) -> Self {
        Self {
            domain: D::default(),
            code,
            cause: cause.into(),
            help: None,
            retryable: Retryable::Never,
            retry_after: None,
        }
    }

    /// A failure that may not occur again after a pause.
    pub(crate) fn transient(
        code: Code,
        cause: impl Into<String>,
        retry_after: Option<Duration>,
    ) -> Self {
        Self {
            retryable: Retryable::MaybeExecuted,
            retry_after,
            ..Self::new(code, cause)
        }
    }
}

impl<D> RemoteFailure<D> {
    /// Sets the advice.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds the proxy that may have sent the response in place of the server.
    pub(crate) fn through(mut self, proxy: Option<&ProxyHint>) -> Self {
        if let Some(proxy) = proxy {
            proxy.add_to(&mut self.cause, &mut self.help);
        }
        self
    }

    /// Whether a retry can succeed, if the request may be executed twice.
    pub fn is_transient(&self) -> bool {
        self.retryable > Retryable::Never
    }

    /// The error of an operation that needed the request; `tried` names it.
    pub fn into_error(self, tried: impl Into<String>) -> Error {
        let error = Error::new(self.code, tried).because(self.cause);
        match self.help {
            Some(help) => error.help(help),
            None => error,
        }
    }
}

impl<D: FailureDomain> From<TransportError> for RemoteFailure<D> {
    fn from(error: TransportError) -> Self {
        let (code, retryable, help) = match error.kind {
            TransportErrorKind::NoConnection => (D::UNREACHABLE, Retryable::NotExecuted, None),
            TransportErrorKind::Unreachable => (D::UNREACHABLE, Retryable::MaybeExecuted, None),
            TransportErrorKind::Refused => (D::UNREACHABLE, Retryable::Never, None),
            TransportErrorKind::Plain(host) => (
                D::UNTRUSTED,
                Retryable::Never,
                Some(D::plaintext_help(&host)),
            ),
            TransportErrorKind::Untrusted => (D::UNTRUSTED, Retryable::Never, None),
            TransportErrorKind::Misleading => (D::INVALID, Retryable::Never, None),
            TransportErrorKind::Machine(code) => (code, Retryable::Never, None),
        };
        Self {
            retryable,
            help: error.help.or(help),
            ..Self::new(code, error.cause)
        }
    }
}

/// An error of this machine, such as a full disk, is converted with its code.
impl<D: FailureDomain> From<Error> for RemoteFailure<D> {
    fn from(error: Error) -> Self {
        Self::new(error.code(), error.chain().join(": ")).help(error.advice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default)]
    struct TestDomain;

    impl FailureDomain for TestDomain {
        const UNREACHABLE: Code = Code::RegistryUnreachable;
        const UNTRUSTED: Code = Code::TlsFailed;
        const INVALID: Code = Code::RegistryInvalid;

        fn plaintext_help(host: &str) -> String {
            format!("allow {host}")
        }
    }

    #[test]
    fn transport_error_decides_code_and_retry() {
        for (kind, code, retryable) in [
            (
                TransportErrorKind::NoConnection,
                Code::RegistryUnreachable,
                Retryable::NotExecuted,
            ),
            (
                TransportErrorKind::Unreachable,
                Code::RegistryUnreachable,
                Retryable::MaybeExecuted,
            ),
            (
                TransportErrorKind::Refused,
                Code::RegistryUnreachable,
                Retryable::Never,
            ),
            (
                TransportErrorKind::Untrusted,
                Code::TlsFailed,
                Retryable::Never,
            ),
            (
                TransportErrorKind::Misleading,
                Code::RegistryInvalid,
                Retryable::Never,
            ),
            (
                TransportErrorKind::Machine(Code::DiskFull),
                Code::DiskFull,
                Retryable::Never,
            ),
        ] {
            let failure = RemoteFailure::<TestDomain>::from(TransportError::new(kind, "x"));
            assert_eq!(
                (failure.code, failure.retryable, failure.help),
                (code, retryable, None)
            );
        }
        let plain = RemoteFailure::<TestDomain>::from(TransportError::new(
            TransportErrorKind::Plain("lan:80".to_owned()),
            "x",
        ));
        assert_eq!(plain.help.as_deref(), Some("allow lan:80"));
    }

    #[test]
    fn error_of_this_machine_keeps_code_and_advice() {
        let failure = RemoteFailure::<TestDomain>::from(
            Error::new(Code::DiskFull, "could not write").because("no space"),
        );
        assert_eq!(
            (failure.code, failure.cause.as_str()),
            (Code::DiskFull, "could not write: no space")
        );
        assert_eq!(failure.help.as_deref(), Some(Code::DiskFull.help()));
    }
}
