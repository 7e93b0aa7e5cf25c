//! Prints the logs of a run while they arrive.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use union_build::diag::Code;

use crate::flyte::runs::{
    LogRequest, ReconnectPolicy, RunListener, RunService, RunState, TaskLogLine, show_logs,
};
use crate::pipeline::problems::{PipelineError, Result};
use crate::sys::error::Error;

/// Where the logs of a run go.
pub(crate) trait LogSink: Send + Sync {
    /// A line, and whether it is the first of its attempt.
    ///
    /// # Errors
    /// When no more can be written.
    fn line(&self, line: &TaskLogLine, is_first: bool) -> io::Result<()>;

    /// The connection was lost, and is opened again after a pause.
    fn reconnecting(&self, why: &str, after: Duration);

    /// The log of an attempt cannot be read.
    fn unavailable(&self, attempt: u32, why: &str);
}

/// Whether the logs were printed to their end.
#[derive(Debug)]
pub(crate) enum PrintedLogs {
    /// All lines were printed, or there were none.
    All {
        /// Whether a line was printed.
        has_lines: bool,
        /// The state in which the action was found.
        state: RunState,
    },
    /// The sink failed.
    Broken(io::Error),
}

/// Prints logs to a sink, line by line.
///
/// # Errors
/// Those of [`show_logs`]; `LogsUnavailable` when no log could be read.
pub(crate) async fn print_logs(
    service: &dyn RunService,
    request: &LogRequest,
    page: &str,
    sink: &dyn LogSink,
) -> Result<PrintedLogs> {
    let printer = LogPrinter {
        sink,
        progress: Mutex::default(),
        is_broken: Notify::new(),
    };
    let state = tokio::select! {
        biased;
        shown = show_logs(service, request, ReconnectPolicy::default(), &printer) => shown?,
        () = printer.is_broken.notified() => RunState::default(),
    };
    let PrintProgress {
        attempt,
        missing,
        failure,
    } = printer
        .progress
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    match (failure, attempt, missing) {
        (Some(failure), _, _) => Ok(PrintedLogs::Broken(failure)),
        (None, None, Some(why)) => Err(PipelineError::from(
            Error::new(
                Code::LogsUnavailable,
                format!(
                    "could not read the logs of run `{}`",
                    request.action.run.name
                ),
            )
            .because(why)
            .help(format!("Look at {page}.")),
        )),
        (None, attempt, _) => Ok(PrintedLogs::All {
            has_lines: attempt.is_some(),
            state,
        }),
    }
}

struct LogPrinter<'a> {
    sink: &'a dyn LogSink,
    progress: Mutex<PrintProgress>,
    is_broken: Notify,
}

#[derive(Default)]
struct PrintProgress {
    /// The attempt of the last line; `None` before the first one.
    attempt: Option<u32>,
    /// Why a log could not be read.
    missing: Option<String>,
    failure: Option<io::Error>,
}

impl LogPrinter<'_> {
    fn progress(&self) -> MutexGuard<'_, PrintProgress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RunListener for LogPrinter<'_> {
    fn log_line(&self, line: &TaskLogLine) {
        let mut progress = self.progress();
        if progress.failure.is_some() {
            return;
        }
        let is_first = progress.attempt != Some(line.attempt);
        progress.attempt = Some(line.attempt);
        if let Err(failure) = self.sink.line(line, is_first) {
            progress.failure = Some(failure);
            self.is_broken.notify_one();
        }
    }

    fn reconnecting(&self, why: &str, after: Duration) {
        self.sink.reconnecting(why, after);
    }

    fn logs_unavailable(&self, attempt: u32, why: &str) {
        self.progress().missing = Some(why.to_owned());
        self.sink.unavailable(attempt, why);
    }
}
