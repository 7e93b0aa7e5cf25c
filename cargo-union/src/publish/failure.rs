//! The failure of a request to a registry, before the image and the operation are known.

use union_build::diag::Code;

use crate::http::failure::{FailureDomain, RemoteFailure};
use crate::sys::error::Error;

/// The failure of a request to a registry or to its token server. Its code is that of publishing;
/// [`into_base_error`](RemoteFailure::into_base_error) translates it for base images.
pub(crate) type RegistryFailure = RemoteFailure<RegistryDomain>;

/// The codes and help texts of registry failures.
#[derive(Clone, Debug, Default)]
pub(crate) struct RegistryDomain;

impl FailureDomain for RegistryDomain {
    const UNREACHABLE: Code = Code::RegistryUnreachable;
    const UNTRUSTED: Code = Code::TlsFailed;
    const INVALID: Code = Code::RegistryInvalid;

    fn plaintext_help(host: &str) -> String {
        format!(
            "If it is meant to go without encryption, list `{host}` under `insecure-registries`."
        )
    }
}

impl RegistryFailure {
    /// The error of a base image that could not be read.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_failures_have_their_own_codes() {
        for (code, base) in [
            (Code::RegistryDenied, Code::BaseDenied),
            (Code::RegistryFailed, Code::BaseUnreachable),
            (Code::DigestMismatch, Code::BaseCorrupt),
            (Code::DiskFull, Code::DiskFull),
        ] {
            assert_eq!(
                RegistryFailure::new(code, "x").into_base_error("y").code(),
                base
            );
        }
    }
}
