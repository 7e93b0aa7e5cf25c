//! Size limits of requests: a blob that is refused because of its size is sent in parts.
//!
//! Limits are not known in advance. Proxies return 413 with a web page, GitHub's registry returns 416 for a PATCH of
//! more than 4 MiB, and some hosts close the connection. The limit of a host is cached for other blobs.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::endpoint::RepositoryEndpoint;
use super::transport::ErrorResponse;
use crate::http::failure::Retryable;
use crate::publish::failure::RegistryFailure;

/// The sizes to try, in order. The last one is nginx's default limit.
const SIZES: [u64; 3] = [16 << 20, 4 << 20, 1 << 20];

/// The largest part, to try if a host only closes the connection.
pub(super) const LARGEST: u64 = SIZES[0];

/// The size of parts, by host, for hosts that refused a larger request.
#[derive(Debug, Default)]
pub(super) struct PartSizes(Mutex<HashMap<String, u64>>);

impl PartSizes {
    /// The size of parts for a host; `None` if no limit is known.
    pub(super) fn of(&self, place: &RepositoryEndpoint) -> Option<u64> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&place.host)
            .copied()
    }

    /// Records the size limit of a host.
    pub(super) fn learn(&self, place: &RepositoryEndpoint, size: u64) {
        let mut sizes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sizes
            .entry(place.host.clone())
            .and_modify(|known| *known = size.min(*known))
            .or_insert(size);
    }
}

/// The next smaller size after `refused`, but at least `least`, the registry's minimum; `None` if there is none.
pub(super) fn smaller(refused: u64, least: u64) -> Option<u64> {
    SIZES
        .into_iter()
        .map(|size| size.max(least))
        .find(|size| *size < refused)
}

/// Whether a request was refused because of its size.
pub(super) fn is_too_large(refusal: &ErrorResponse) -> bool {
    let Some(status) = refusal.status else {
        return false;
    };
    let words = refusal.failure.cause.to_ascii_lowercase();
    status.as_u16() == 413
        || (matches!(status.as_u16(), 400 | 416)
            && ["too large", "exceeds the maximum"]
                .iter()
                .any(|word| words.contains(word)))
}

/// The failure of a request that is too large and cannot be split further.
pub(super) fn too_large(refusal: ErrorResponse, size: u64) -> RegistryFailure {
    let cause = format!("{}; the request had {size} bytes", refusal.failure.cause);
    let help = "Raise the limit for request bodies at the registry or at the proxy before it (nginx: `client_max_body_size`).";
    RegistryFailure {
        cause,
        retryable: Retryable::Never,
        ..refusal.failure
    }
    .help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_get_smaller_until_the_least_that_the_registry_takes() {
        for (refused, least, next) in [
            (80 << 20, 0, Some(16 << 20)),
            (16 << 20, 0, Some(4 << 20)),
            (4 << 20, 0, Some(1 << 20)),
            (1 << 20, 0, None),
            (3 << 20, 0, Some(1 << 20)),
            (80 << 20, 20 << 20, Some(20 << 20)),
            (16 << 20, 5 << 20, Some(5 << 20)),
            (5 << 20, 5 << 20, None),
            (1, u64::MAX, None),
        ] {
            assert_eq!(smaller(refused, least), next, "{refused} {least}");
        }
    }
}
