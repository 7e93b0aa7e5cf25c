//! The logs of a run, attempt by attempt; each line is reported once.
//!
//! The log stream of a hosted backend does not end with the program, so it is closed when no line arrives for a
//! while after the end of an attempt. An interrupted stream starts over, and lines already reported are skipped.

use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::watch::Receiver;

use super::listener::{ReconnectPolicy, RunListener, passes};
use super::log_stream::LogStream;
use super::service::Messages;
use super::{RunIdent, RunService};
use crate::flyte::idl::logs::dataplane::{LogLine, LogLineOriginator};
use crate::flyte::rpc::{RpcFailure, RpcStatus};

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskLogLine {
    /// Text without its line ending.
    pub text: String,
    /// Whether the system that runs the program wrote it.
    pub system: bool,
}

/// Reports the logs of all attempts. It ends with the run, or when the run is no longer watched.
pub(super) async fn report_logs(
    service: &dyn RunService,
    run: &RunIdent,
    policy: ReconnectPolicy,
    listener: &dyn RunListener,
    mut logs: Receiver<LogStream>,
) {
    for attempt in 1.. {
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
            service,
            run,
            attempt,
            policy,
            listener,
        };
        if let Err(failure) = log.report(&mut logs.clone()).await {
            return listener.no_logs(&failure.cause);
        }
    }
}

/// The log of one attempt.
struct AttemptLog<'a> {
    service: &'a dyn RunService,
    run: &'a RunIdent,
    attempt: u32,
    policy: ReconnectPolicy,
    listener: &'a dyn RunListener,
}

impl AttemptLog<'_> {
    /// # Errors
    /// The last failure, when the attempt should have more logs.
    async fn report(&self, logs: &mut Receiver<LogStream>) -> Result<(), RpcFailure> {
        // While the attempt is running, transient failures are retried without limit; afterwards they are counted.
        let mut cursor = LogCursor::default();
        let mut early = 0;
        let mut late = 0;
        loop {
            let over = self.is_over(logs);
            let failure = self.read(&mut cursor, &mut early, logs).await.err();
            let missing = failure
                .as_ref()
                .is_some_and(|failure| failure.is(RpcStatus::NotFound));
            let promised = logs.borrow().logged >= self.attempt;
            if over && (failure.is_none() || missing && !promised) {
                return Ok(());
            }
            let count = if over { &mut late } else { &mut early };
            *count += 1;
            let retry = self.policy.retry;
            let pause = retry.pause(
                if over {
                    late
                } else {
                    early.min(retry.attempts - 1)
                },
                None,
            );
            match (failure, pause) {
                (Some(failure), None) => return Err(failure),
                (Some(failure), _) if !missing && !passes(&failure) => return Err(failure),
                (_, pause) => self.sleep_until_over(pause.unwrap_or_default(), logs).await,
            }
        }
    }

    /// Whether the attempt has ended, or the run is no longer watched.
    fn is_over(&self, logs: &Receiver<LogStream>) -> bool {
        logs.has_changed().is_err() || logs.borrow().is_over(self.attempt)
    }

    /// Sleeps, but not beyond the end of the attempt.
    async fn sleep_until_over(&self, pause: Duration, logs: &mut Receiver<LogStream>) {
        if self.is_over(logs) {
            return tokio::time::sleep(pause).await;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = logs.wait_for(|state| state.is_over(self.attempt)) => {}
        }
    }

    /// Reads one stream, until it ends or stays silent after the end of the attempt.
    async fn read(
        &self,
        cursor: &mut LogCursor,
        early: &mut u32,
        logs: &mut Receiver<LogStream>,
    ) -> Result<(), RpcFailure> {
        let Some(opened) = self
            .until_silent(self.service.tail(self.run, self.attempt), logs)
            .await
        else {
            return Ok(());
        };
        let mut messages: Messages<Vec<LogLine>> = opened?;
        cursor.start_over();
        while let Some(Some(message)) = self.until_silent(messages.next(), logs).await {
            *early = 0;
            for line in message?.into_iter().filter(|line| cursor.is_new(line)) {
                self.listener.wrote(&TaskLogLine::of(line));
            }
        }
        Ok(())
    }

    /// Awaits a future; `None` when it does not complete within the silence limit after the end of the attempt.
    async fn until_silent<T>(
        &self,
        future: impl Future<Output = T>,
        logs: &mut Receiver<LogStream>,
    ) -> Option<T> {
        let silence = async {
            // An error means that the run is no longer watched, which ends the attempt too.
            let _ = logs.wait_for(|state| state.is_over(self.attempt)).await;
            tokio::time::sleep(self.policy.silence).await;
        };
        tokio::select! {
            biased;
            result = future => Some(result),
            () = silence => None,
        }
    }
}

impl TaskLogLine {
    fn of(line: LogLine) -> Self {
        Self {
            system: line.originator() == LogLineOriginator::System,
            text: line.message.trim_end_matches(['\n', '\r']).to_owned(),
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
