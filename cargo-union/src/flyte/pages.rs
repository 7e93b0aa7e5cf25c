//! Requests for a page of a list.

use super::idl::common::sort::Direction;
use super::idl::common::{Filter, ListRequest, Sort};

/// A list request for the `limit` most recently created items.
pub(super) fn newest(limit: u32, filters: Vec<Filter>) -> ListRequest {
    let newest = Sort {
        key: "created_at".to_owned(),
        direction: Direction::Descending.into(),
    };
    ListRequest {
        limit,
        sort_by: Some(newest),
        filters,
        token: String::new(),
    }
}
