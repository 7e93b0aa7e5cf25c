//! What a run's program writes, attempt after attempt, each line once.
//!
//! The stream of a hosted backend does not end with the program, so that silence after the end of an
//! attempt ends it. One that is cut starts over, and what was told already is left out.

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
    /// Without its end.
    pub text: String,
    /// Whether it comes from what runs the program.
    pub system: bool,
}

/// Tells the logs of all attempts. It ends with the run, or with whoever watches it.
pub(super) async fn tell(
    service: &dyn RunService,
    run: &RunIdent,
    patience: ReconnectPolicy,
    listener: &dyn RunListener,
    mut heard: Receiver<LogStream>,
) {
    for attempt in 1.. {
        let Ok(spoken) = heard.wait_for(|spoken| spoken.may_speak(attempt) || spoken.is_over(attempt)).await.map(|spoken| *spoken) else {
            return;
        };
        if spoken.attempt.max(spoken.logged) < attempt {
            return;
        }
        let log = AttemptLog { service, run, attempt, patience, listener };
        if let Err(failure) = log.tell(&mut heard.clone()).await {
            return listener.no_logs(&failure.cause);
        }
    }
}

/// The log of one attempt.
struct AttemptLog<'a> {
    service: &'a dyn RunService,
    run: &'a RunIdent,
    attempt: u32,
    patience: ReconnectPolicy,
    listener: &'a dyn RunListener,
}

impl AttemptLog<'_> {
    /// # Errors
    /// Why there is nothing more to be had, although there should be.
    async fn tell(&self, heard: &mut Receiver<LogStream>) -> Result<(), RpcFailure> {
        // Until the attempt is over any failure may pass; after that they are counted.
        let (mut told, mut early, mut late) = (LogCursor::default(), 0, 0);
        loop {
            let over = self.is_over(heard);
            let failure = self.read(&mut told, &mut early, heard).await.err();
            let missing = failure.as_ref().is_some_and(|failure| failure.is(RpcStatus::NotFound));
            let promised = heard.borrow().logged >= self.attempt;
            if over && (failure.is_none() || missing && !promised) {
                return Ok(());
            }
            let count = if over { &mut late } else { &mut early };
            *count += 1;
            let retry = self.patience.retry;
            let pause = retry.pause(if over { late } else { early.min(retry.attempts - 1) }, None);
            match (failure, pause) {
                (Some(failure), None) => return Err(failure),
                (Some(failure), _) if !missing && !passes(&failure) => return Err(failure),
                (_, pause) => self.rest(pause.unwrap_or_default(), heard).await,
            }
        }
    }

    /// Whether the attempt is, or nobody watches the run any more.
    fn is_over(&self, heard: &Receiver<LogStream>) -> bool {
        heard.has_changed().is_err() || heard.borrow().is_over(self.attempt)
    }

    /// Waits, but not beyond the end of the attempt.
    async fn rest(&self, pause: Duration, heard: &mut Receiver<LogStream>) {
        if self.is_over(heard) {
            return tokio::time::sleep(pause).await;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = heard.wait_for(|spoken| spoken.is_over(self.attempt)) => {}
        }
    }

    /// One stream, to its end or to the silence after that of its attempt.
    async fn read(&self, told: &mut LogCursor, early: &mut u32, heard: &mut Receiver<LogStream>) -> Result<(), RpcFailure> {
        let Some(opened) = self.in_time(self.service.tail(self.run, self.attempt), heard).await else { return Ok(()) };
        let mut messages: Messages<Vec<LogLine>> = opened?;
        told.start_over();
        while let Some(Some(message)) = self.in_time(messages.next(), heard).await {
            *early = 0;
            for line in message?.into_iter().filter(|line| told.is_new(line)) {
                self.listener.wrote(&TaskLogLine::of(line));
            }
        }
        Ok(())
    }

    /// Waits for something as long as the attempt lasts, and then until it has been silent for long enough.
    async fn in_time<T>(&self, something: impl Future<Output = T>, heard: &mut Receiver<LogStream>) -> Option<T> {
        let silence = async {
            // Nobody watches any more: that is an end as well.
            let _ = heard.wait_for(|spoken| spoken.is_over(self.attempt)).await;
            tokio::time::sleep(self.patience.silence).await;
        };
        tokio::select! {
            biased;
            done = something => Some(done),
            () = silence => None,
        }
    }
}

impl TaskLogLine {
    fn of(line: LogLine) -> Self {
        Self { system: line.originator() == LogLineOriginator::System, text: line.message.trim_end_matches(['\n', '\r']).to_owned() }
    }
}

/// Which lines were told, so that a stream that starts over tells none twice.
#[derive(Debug, Default)]
struct LogCursor {
    /// The time of the last line, and how many there were of it.
    last: Option<(Time, usize)>,
    /// How many lines of that time are skipped yet; `None` when the stream has come to what is new.
    skip: Option<usize>,
}

/// Seconds and nanoseconds.
type Time = (i64, i32);

impl LogCursor {
    fn start_over(&mut self) {
        self.skip = self.last.map(|(_, count)| count);
    }

    fn is_new(&mut self, line: &LogLine) -> bool {
        let time = line.timestamp.map(|time| (time.seconds, time.nanos)).unwrap_or_default();
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
