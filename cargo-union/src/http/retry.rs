//! Retry policy: which failures are retried, and after which pause.
//!
//! Only transient failures are retried: timeouts, too many requests, server errors and lost connections.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// How often and after which pauses something is retried.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// The number of attempts, including the first.
    pub attempts: u32,
    /// The pause after the first failure; it doubles after each further one.
    pub first: Duration,
    /// The maximum pause, also for `Retry-After`.
    pub longest: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 4, first: Duration::from_millis(300), longest: Duration::from_secs(60) }
    }
}

impl Retry {
    /// The pause after the `failed`th failure (from 1), or `None` when no attempt is left.
    /// A pause that the server has requested is used as it is; otherwise it has a random jitter.
    pub fn pause(&self, failed: u32, asked: Option<Duration>) -> Option<Duration> {
        if failed >= self.attempts {
            return None;
        }
        let doubled = self.first.saturating_mul(1 << (failed.clamp(1, 16) - 1)).min(self.longest);
        Some(asked.map_or_else(|| doubled.mul_f64(0.5 + chance() / 2.0), |asked| asked.min(self.longest)))
    }
}

/// Whether a status may be transient.
pub(crate) fn is_transient(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502..=504 | 506..)
}

/// The pause in `Retry-After`, in seconds or as a date (RFC 9110, section 10.2.3).
pub(crate) fn asked(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// A random number between 0 and 1. The hasher's keys are random per process and differ per call.
fn chance() -> f64 {
    f64::from(RandomState::new().hash_one(0) as u32) / f64::from(u32::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_then_end() {
        let retry = Retry { attempts: 5, first: Duration::from_secs(1), longest: Duration::from_secs(3) };
        for (failed, full) in [(1, 1.0), (2, 2.0), (3, 3.0), (4, 3.0)] {
            let pause = retry.pause(failed, None).unwrap().as_secs_f64();
            assert!((full / 2.0..=full).contains(&pause), "{failed}: {pause}");
        }
        assert_eq!(retry.pause(5, None), None);
        assert_eq!(retry.pause(5, Some(Duration::ZERO)), None);
    }

    #[test]
    fn a_server_may_ask_for_a_pause_but_not_for_a_long_one() {
        let retry = Retry::default();
        assert_eq!(retry.pause(1, Some(Duration::from_secs(7))), Some(Duration::from_secs(7)));
        assert_eq!(retry.pause(1, Some(Duration::from_secs(86_400))), Some(retry.longest));
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let asked = |value: &str| super::asked(&HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]), now);
        assert_eq!(asked("120"), Some(Duration::from_secs(120)));
        assert_eq!(asked("Sun, 09 Sep 2001 01:47:10 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(asked("Sun, 09 Sep 2001 01:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(asked("soon"), None);
    }

    #[test]
    fn refusals_are_not_transient() {
        for (status, transient) in
            [(400, false), (401, false), (404, false), (408, true), (429, true), (500, true), (501, false), (503, true)]
        {
            assert_eq!(is_transient(StatusCode::from_u16(status).unwrap()), transient, "{status}");
        }
    }
}
