//! The servers that the backend returned for operations and resources.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::http::Url;

/// The selected servers by operation and resource; concurrent callers share one request.
#[derive(Default)]
pub(super) struct ClusterCache(Mutex<HashMap<(i32, String), CachedUrl>>);

/// A server; empty before the first response.
pub(super) type CachedUrl = Arc<OnceCell<Url>>;

impl ClusterCache {
    /// The server of an operation and the text of its resource.
    pub(super) fn cell(&self, key: (i32, String)) -> CachedUrl {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(key)
            .or_default()
            .clone()
    }
}
