//! The logs of a run, attempt by attempt; each line is reported once.
//!
//! The log stream of a hosted backend does not end with the program, so it is closed when no line arrives for a
//! while after the end of an attempt. An interrupted stream starts over, and lines already reported are skipped.

use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::watch::{Receiver, Sender};

use super::listener::{ReconnectPolicy, RunListener, passes};
use super::log_line::TaskLogLine;
use super::log_stream::LogStream;
use super::service::Messages;
use super::{ActionIdent, RunService};
use crate::flyte::idl::logs::dataplane::{LogLine, LogLineOriginator};
use crate::flyte::rpc::{RpcFailure, RpcStatus};

/// The maximum number of attempts whose logs are requested.
const MOST_ATTEMPTS: u32 = 1000;

/// The attempts whose logs are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AttemptRange {
    /// From 1.
    pub(super) first: u32,
    /// Inclusive.
    pub(super) last: u32,
}

impl AttemptRange {
    pub(super) const ALL: Self = Self {
        first: 1,
        last: u32::MAX,
    };
}

/// Reads the logs of one action.
pub(super) struct LogReader<'a> {
    pub(super) service: &'a dyn RunService,
    pub(super) action: &'a ActionIdent,
    pub(super) policy: ReconnectPolicy,
    pub(super) listener: &'a dyn RunListener,
    /// Lines of later times are not read, nor those after them; seconds since 1970.
    pub(super) until: Option<i64>,
}

impl LogReader<'_> {
    /// Reports the logs of attempts in order, and sends the number of each attempt whose logs are complete to `shown`.
    /// Ends when the action has ended or is no longer watched.
    pub(super) async fn report(
        &self,
        attempts: AttemptRange,
        mut logs: Receiver<LogStream>,
        shown: Sender<u32>,
    ) {
        for attempt in attempts.first..=attempts.last.min(MOST_ATTEMPTS) {
            let Ok(state) = logs
                .wait_for(|state| state.may_have_logs(attempt) || state.is_over(attempt))
                .await
                .map(|state| *state)
            else {
                return;
            };
            if state.attempt.max(state.logged) < attempt {
                return;
            }
            let log = AttemptLog {
                reader: self,
                attempt,
            };
            if let Err(failure) = log.report(&mut logs.clone()).await {
                self.listener.logs_unavailable(attempt, &failure.cause);
                // If the log of one attempt was deleted, that of the next may still exist.
                if !is_missing(&failure) && !passes(&failure) {
                    return;
                }
            }
            shown.send_replace(attempt);
        }
    }
}

/// Whether the backend has no such log, or the pod was deleted. Older backends return the latter as an internal error.
fn is_missing(failure: &RpcFailure) -> bool {
    failure.is(RpcStatus::NotFound)
        || failure.is(RpcStatus::Internal) && failure.cause.contains("not found")
}

struct AttemptLog<'a> {
    reader: &'a LogReader<'a>,
    attempt: u32,
}

/// How one attempt's log has been read so far.
#[derive(Default)]
struct LogProgress {
    cursor: LogCursor,
    /// Failures in a row while the attempt was running.
    early: u32,
    has_lines: bool,
    /// Whether the last stream was read to its end.
    has_ended: bool,
    /// Whether a line was later than the limit of the request.
    is_complete: bool,
}

impl AttemptLog<'_> {
    /// # Errors
    /// The last failure, when the attempt should have more logs.
    async fn report(&self, logs: &mut Receiver<LogStream>) -> Result<(), RpcFailure> {
        // While the attempt is running, transient failures are retried without limit; afterwards they are counted.
        let mut progress = LogProgress::default();
        let mut late = 0;
        loop {
            let over = self.is_over(logs);
            let failure = self.read(&mut progress, logs).await.err();
            let missing = failure.as_ref().is_some_and(is_missing);
            let promised = logs.borrow().logged >= self.attempt;
            // A log that was shown to its end before it was deleted is complete.
            let is_shown = missing && (!promised || progress.has_lines && progress.has_ended);
            if progress.is_complete || over && (failure.is_none() || is_shown) {
                return Ok(());
            }
            late += u32::from(over);
            let pause = if over {
                let is_last = logs.borrow().attempt == self.attempt;
                self.late_pause(late, missing.then_some(is_last))
            } else {
                self.early_pause(progress.early)
            };
            progress.early += u32::from(!over);
            match (failure, pause) {
                (Some(_), None) if missing && progress.has_lines => return Ok(()),
                (Some(failure), None) => return Err(failure),
                (Some(failure), _) if !missing && !passes(&failure) => return Err(failure),
                (_, pause) if over => tokio::time::sleep(pause.unwrap_or_default()).await,
                (_, pause) => self.sleep_until_over(pause.unwrap_or_default(), logs).await,
            }
        }
    }

    /// The pause after a number of failures before now while the attempt is running.
    fn early_pause(&self, failures: u32) -> Option<Duration> {
        let retry = self.reader.policy.retry;
        retry.pause((failures + 1).min(retry.attempts - 1), None)
    }

    /// The pause after a number of failures after the end of the attempt; `None` when the log is given up. `missing` is
    /// `Some` if there is no log; its value is whether the attempt is the last one. A missing log rarely appears later,
    /// and meanwhile the log of the next attempt may be deleted.
    fn late_pause(&self, failures: u32, missing: Option<bool>) -> Option<Duration> {
        let most = match missing {
            Some(false) => 2,
            Some(true) => 3,
            None => u32::MAX,
        };
        let retry = self.reader.policy.retry;
        retry.pause(failures, None).filter(|_| failures < most)
    }

    /// Whether the attempt has ended, or the run is no longer watched.
    fn is_over(&self, logs: &Receiver<LogStream>) -> bool {
        logs.has_changed().is_err() || logs.borrow().is_over(self.attempt)
    }

    /// Sleeps until the pause is over or the attempt has ended, which may have happened while its log was read.
    async fn sleep_until_over(&self, pause: Duration, logs: &mut Receiver<LogStream>) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = logs.wait_for(|state| state.is_over(self.attempt)) => {}
        }
    }

    /// Reads one stream, until it ends or stays silent after the end of the attempt.
    async fn read(
        &self,
        progress: &mut LogProgress,
        logs: &mut Receiver<LogStream>,
    ) -> Result<(), RpcFailure> {
        let LogReader {
            service,
            action,
            listener,
            until,
            ..
        } = self.reader;
        let Some(opened) = self
            .until_silent(service.tail(action, self.attempt), logs)
            .await
        else {
            return Ok(());
        };
        let mut messages: Messages<Vec<LogLine>> = opened?;
        progress.cursor.start_over();
        progress.has_ended = false;
        while let Some(Some(message)) = self.until_silent(messages.next(), logs).await {
            progress.early = 0;
            for line in message? {
                let is_late =
                    |until: &i64| line.timestamp.is_some_and(|time| time.seconds > *until);
                if until.as_ref().is_some_and(is_late) {
                    progress.is_complete = true;
                    return Ok(());
                }
                if progress.cursor.is_new(&line) {
                    progress.has_lines = true;
                    listener.log_line(&TaskLogLine::of(self.attempt, line));
                }
            }
        }
        progress.has_ended = true;
        Ok(())
    }

    /// Awaits a future; `None` when it does not complete within the timeout after the end of the attempt.
    async fn until_silent<T>(
        &self,
        future: impl Future<Output = T>,
        logs: &mut Receiver<LogStream>,
    ) -> Option<T> {
        let end = async {
            // An error means that the run is no longer watched, which ends the attempt too.
            let _ = logs.wait_for(|state| state.is_over(self.attempt)).await;
            tokio::time::sleep(self.reader.policy.log_timeout).await;
        };
        tokio::select! {
            biased;
            result = future => Some(result),
            () = end => None,
        }
    }
}

impl TaskLogLine {
    fn of(attempt: u32, line: LogLine) -> Self {
        Self {
            attempt,
            system: line.originator() == LogLineOriginator::System,
            time: line.timestamp.map(|time| (time.seconds, time.nanos)),
            text: String::from_utf8_lossy(&line.message)
                .trim_end_matches(['\n', '\r'])
                .to_owned(),
        }
    }
}

/// The position in a log, so that a stream that starts over reports no line twice.
#[derive(Debug, Default)]
struct LogCursor {
    /// The time of the last line, and the number of lines with this time.
    last: Option<(Time, usize)>,
    /// How many lines of this time are still to be skipped; `None` when the stream has reached new lines.
    skip: Option<usize>,
}

/// Seconds and nanoseconds since 1970.
type Time = (i64, i32);

impl LogCursor {
    fn start_over(&mut self) {
        self.skip = self.last.map(|(_, count)| count);
    }

    fn is_new(&mut self, line: &LogLine) -> bool {
        let time = line
            .timestamp
            .map(|time| (time.seconds, time.nanos))
            .unwrap_or_default();
        if let (Some(skip), Some((last, _))) = (self.skip, self.last) {
            if time < last {
                return false;
            }
            if time == last && skip > 0 {
                self.skip = Some(skip - 1);
                return false;
            }
            self.skip = None;
        }
        self.last = match self.last {
            Some((last, count)) if last == time => Some((last, count + 1)),
            _ => Some((time, 1)),
        };
        true
    }
}
