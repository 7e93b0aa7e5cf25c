//! The difference between the clock of this machine and those of servers, by the `Date` of their responses.

use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use reqwest::header::{AGE, DATE, HeaderMap};

/// The difference to the server that responded last.
#[derive(Debug, Default)]
pub(super) struct ServerClock(Mutex<Option<i64>>);

impl ServerClock {
    /// Compares the `Date` of a response with the times at which the request was sent and the response received. A
    /// cached response is ignored.
    pub(super) fn observe(&self, headers: &HeaderMap, sent: SystemTime, received: SystemTime) {
        let date = headers.get(DATE).filter(|_| !headers.contains_key(AGE));
        let date = date.and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
        if let Some(date) = date {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(difference(date, sent, received));
        }
    }

    /// Seconds by which this machine's clock is ahead of the server's; negative if it is behind. `None` before a
    /// response with a valid `Date` header.
    pub(super) fn difference(&self) -> Option<i64> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Seconds from a server's time to the nearest moment between sending and receiving.
fn difference(date: SystemTime, sent: SystemTime, received: SystemTime) -> i64 {
    let seconds = |later: SystemTime, earlier: SystemTime| {
        later.duration_since(earlier).map_or(0, |difference| {
            i64::try_from(difference.as_secs()).unwrap_or(i64::MAX)
        })
    };
    match seconds(sent, date) {
        0 => -seconds(date, received),
        ahead => ahead,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn clock_difference_leaves_out_the_time_of_the_request() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        for (date, expected) in [(1000, 0), (1030, 0), (1060, 0), (700, 300), (1360, -300)] {
            assert_eq!(difference(at(date), at(1000), at(1060)), expected, "{date}");
        }
    }

    #[test]
    fn clock_of_a_cached_or_invalid_response_is_not_used() {
        let clock = ServerClock::default();
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let mut headers = HeaderMap::new();
        for date in ["yesterday", "Sun, 09 Sep 2001 01:46:40 GMT"] {
            headers.insert(DATE, date.parse().expect("a header"));
            headers.insert(AGE, "5".parse().expect("a header"));
            clock.observe(&headers, now, now);
            assert_eq!(clock.difference(), None);
        }
        headers.remove(AGE);
        clock.observe(&headers, now, now);
        assert_eq!(clock.difference(), Some(0));
    }
}
