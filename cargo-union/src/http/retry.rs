//! Retry policy: which failures are retried, and after which pause.
//!
//! Only transient failures are retried: timeouts, too many requests, server errors and lost connections.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use tracing::{Instrument as _, Span, debug_span};

use super::failure::RemoteFailure;

/// How often and after which pauses a request is sent again.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// The number of attempts, including the first.
    pub attempts: u32,
    /// The pause after the first failure; it doubles after each further one.
    pub first_pause: Duration,
    /// The maximum pause, also for `Retry-After`.
    pub longest_pause: Duration,
    /// Whether pauses have a random jitter, so that many clients do not return at once. `Retry-After` never has.
    pub jitter: bool,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 4,
            first_pause: Duration::from_millis(300),
            longest_pause: Duration::from_secs(60),
            jitter: true,
        }
    }
}

impl RetryPolicy {
    /// The pause after the `failed`th failure (from 1), or `None` when no attempt is left.
    pub(crate) fn pause(&self, failed: u32, retry_after: Option<Duration>) -> Option<Duration> {
        if failed >= self.attempts {
            return None;
        }
        let doubled = || {
            self.first_pause
                .saturating_mul(1 << (failed.clamp(1, 16) - 1))
                .min(self.longest_pause)
        };
        Some(match retry_after {
            Some(asked) => asked.min(self.longest_pause),
            None if self.jitter => doubled().mul_f64(0.5 + chance() / 2.0),
            None => doubled(),
        })
    }

    /// Calls until a call succeeds, fails in a way that `may_retry` rejects, or no attempt is left. `report` is called
    /// before each pause.
    pub(crate) async fn run<T, D, F: Future<Output = Result<T, RemoteFailure<D>>>>(
        &self,
        call: impl Fn() -> F,
        may_retry: impl Fn(&RemoteFailure<D>) -> bool,
        report: impl Fn(&RemoteFailure<D>, Duration),
    ) -> Result<T, RemoteFailure<D>> {
        let mut attempts = Attempts::of(*self);
        loop {
            let failure = match call().instrument(attempts.span()).await {
                Ok(done) => return Ok(done),
                Err(failure) => failure,
            };
            attempts.pause(failure, &may_retry, &report).await?;
        }
    }
}

/// The attempts of one operation.
#[derive(Debug)]
pub(crate) struct Attempts {
    policy: RetryPolicy,
    failed: u32,
}

impl Attempts {
    /// No attempt has failed yet.
    pub(crate) fn of(policy: RetryPolicy) -> Self {
        Self { policy, failed: 0 }
    }

    /// The span of the next attempt, for the requests in it.
    pub(crate) fn span(&self) -> Span {
        debug_span!("attempt", attempt = self.failed + 1)
    }

    /// Resets the number of failures, after an operation has made progress.
    pub(crate) fn restart(&mut self) {
        self.failed = 0;
    }

    /// Counts a failure and waits until the next attempt.
    ///
    /// # Errors
    /// The failure, when `may_retry` rejects it or no attempt is left.
    pub(crate) async fn pause<D>(
        &mut self,
        failure: RemoteFailure<D>,
        may_retry: impl Fn(&RemoteFailure<D>) -> bool,
        report: impl Fn(&RemoteFailure<D>, Duration),
    ) -> Result<(), RemoteFailure<D>> {
        self.failed += 1;
        let Some(pause) = self
            .policy
            .pause(self.failed, failure.retry_after)
            .filter(|_| may_retry(&failure))
        else {
            return Err(failure);
        };
        report(&failure, pause);
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// Whether a status may be transient.
pub(crate) fn is_transient(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502..=504 | 506..)
}

/// The pause in `Retry-After`, in seconds or as a date (RFC 9110, section 10.2.3).
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
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
        let seconds = Duration::from_secs;
        let retry = RetryPolicy {
            attempts: 5,
            first_pause: seconds(1),
            longest_pause: seconds(3),
            jitter: true,
        };
        for (failed, full) in [(1, 1.0), (2, 2.0), (3, 3.0), (4, 3.0)] {
            let pause = retry.pause(failed, None).unwrap().as_secs_f64();
            assert!((full / 2.0..=full).contains(&pause), "{failed}: {pause}");
            let steady = RetryPolicy {
                jitter: false,
                ..retry
            };
            assert_eq!(
                steady.pause(failed, None),
                Some(Duration::from_secs_f64(full))
            );
        }
        assert_eq!(retry.pause(5, None), None);
        assert_eq!(retry.pause(5, Some(Duration::ZERO)), None);
    }

    #[test]
    fn retry_after_is_honoured_up_to_a_limit() {
        let retry = RetryPolicy::default();
        assert_eq!(
            retry.pause(1, Some(Duration::from_secs(7))),
            Some(Duration::from_secs(7))
        );
        assert_eq!(
            retry.pause(1, Some(Duration::from_secs(86_400))),
            Some(retry.longest_pause)
        );
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let asked = |value: &str| {
            retry_after(
                &HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]),
                now,
            )
        };
        assert_eq!(asked("120"), Some(Duration::from_secs(120)));
        assert_eq!(
            asked("Sun, 09 Sep 2001 01:47:10 GMT"),
            Some(Duration::from_secs(30))
        );
        assert_eq!(asked("Sun, 09 Sep 2001 01:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(asked("soon"), None);
    }

    #[test]
    fn refusals_are_not_transient() {
        for (status, transient) in [
            (400, false),
            (401, false),
            (404, false),
            (408, true),
            (429, true),
            (500, true),
            (501, false),
            (503, true),
        ] {
            assert_eq!(
                is_transient(StatusCode::from_u16(status).unwrap()),
                transient,
                "{status}"
            );
        }
    }
}
