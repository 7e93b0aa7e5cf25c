//! Failures of registries, without the context in which they happened.
//!
//! A failure becomes an [`Error`] where the image and the purpose are known. Its texts come from servers and files:
//! they are sanitized and limited in length, and never contain secrets.

use std::time::Duration;

use union_build::diag::Code;

use crate::http::ProxyHint;
use crate::http::error::{TransportError, TransportErrorKind};
use crate::sys::error::Error;

/// The reason why a request to a registry failed.
#[derive(Clone, Debug)]
pub(crate) struct RegistryFailure {
    /// The code of publishing; [`into_base_error`](Self::into_base_error) converts it.
    pub(crate) code: Code,
    /// The cause, without the operation that was attempted.
    pub(crate) cause: String,
    /// Advice that replaces the code's own.
    pub(crate) help: Option<String>,
    /// Whether a retry may succeed.
    pub(crate) again: bool,
    /// The pause that the server requested (`Retry-After`).
    pub(crate) pause: Option<Duration>,
}

impl RegistryFailure {
    pub(crate) fn new(code: Code, cause: impl Into<String>) -> Self {
        Self { code, cause: cause.into(), help: None, again: false, pause: None }
    }

    /// A failure for which a retry may succeed.
    pub(crate) fn passing(code: Code, cause: impl Into<String>) -> Self {
        Self { again: true, ..Self::new(code, cause) }
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

    /// The error of publishing.
    pub(crate) fn into_error(self, tried: impl Into<String>) -> Error {
        let error = Error::new(self.code, tried).because(self.cause);
        match self.help {
            Some(help) => error.help(help),
            None => error,
        }
    }

    /// The error of reading a base.
    pub(crate) fn into_base_error(mut self, tried: impl Into<String>) -> Error {
        self.code = match self.code {
            Code::RegistryDenied => Code::BaseDenied,
            Code::RegistryUnreachable | Code::RegistryFailed => Code::BaseUnreachable,
            Code::DigestMismatch => Code::BaseCorrupt,
            other => other,
        };
        self.into_error(tried)
    }
}

/// Maps a connection error to the codes of registries.
impl From<TransportError> for RegistryFailure {
    fn from(fault: TransportError) -> Self {
        let again = matches!(fault.kind, TransportErrorKind::NoConnection | TransportErrorKind::Unreachable);
        let (code, help) = match fault.kind {
            TransportErrorKind::NoConnection | TransportErrorKind::Unreachable | TransportErrorKind::Refused => {
                (Code::RegistryUnreachable, None)
            }
            TransportErrorKind::Plain(host) => {
                let help = format!("If it is meant to go without encryption, list `{host}` under `insecure-registries`.");
                (Code::TlsFailed, Some(help))
            }
            TransportErrorKind::Untrusted => (Code::TlsFailed, None),
            TransportErrorKind::Misleading => (Code::RegistryInvalid, None),
            TransportErrorKind::Machine(code) => (code, None),
        };
        Self { again, help: fault.help.or(help), ..Self::new(code, fault.cause) }
    }
}

/// A local error (a file, the disk) keeps its code.
impl From<Error> for RegistryFailure {
    fn from(error: Error) -> Self {
        Self::new(error.code(), error.chain().join(": ")).help(error.advice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_has_codes_of_its_own() {
        for (code, base) in [
            (Code::RegistryDenied, Code::BaseDenied),
            (Code::RegistryFailed, Code::BaseUnreachable),
            (Code::DigestMismatch, Code::BaseCorrupt),
            (Code::DiskFull, Code::DiskFull),
        ] {
            assert_eq!(RegistryFailure::new(code, "x").into_base_error("y").code(), base);
        }
    }
}
