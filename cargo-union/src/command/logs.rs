//! `cargo union logs`: the logs of a run, on stdout.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use serde::Serialize;
use union_build::spec::time;

use crate::command::reporter;
use crate::deploy::project::open_project;
use crate::exit::Exit;
use crate::flyte::console;
use crate::flyte::runs::{LogRequest, RunIdent};
use crate::run::logs::{LogSink, PrintedLogs, print_logs};
use crate::run::{Reporter as _, TaskLogLine};
use crate::settings::LogsOptions;
use crate::ui::Ui;

#[derive(Serialize)]
struct Head<'a> {
    project: &'a str,
    domain: &'a str,
    run: &'a str,
    action: &'a str,
    console: &'a str,
}

#[derive(Serialize)]
struct LineRow<'a> {
    attempt: u32,
    time: Option<String>,
    /// `program` or `system`.
    source: &'static str,
    text: &'a str,
}

pub(super) async fn run(options: &LogsOptions, ui: &Arc<Ui>) -> Result<Exit> {
    let (client, scope) = open_project(&options.scope, &reporter(ui)).await?;
    let run = RunIdent {
        scope,
        name: options.run.clone(),
    };
    let page = console::run(&client, &run.scope, &run.name);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
        });
    let request = LogRequest {
        action: match &options.action {
            Some(name) => run.action(name),
            None => run.root(),
        },
        attempt: options.attempt,
        follow: options.follow,
        now,
    };
    let printer = LogOutput {
        ui,
        head: Head {
            project: &run.scope.project,
            domain: &run.scope.domain,
            run: &run.name,
            action: &request.action.name,
            console: &page,
        },
        has_begun: AtomicBool::new(false),
    };
    match print_logs(&client, &request, &page, &printer).await? {
        PrintedLogs::Broken(failure) if failure.kind() == io::ErrorKind::BrokenPipe => {}
        PrintedLogs::Broken(failure) => return Err(failure.into()),
        PrintedLogs::All { has_lines, state } => {
            if ui.output_options().json {
                printer.begin_rows(None)?;
                ui.end_rows()?;
            } else if !has_lines {
                let (name, phase) = (&run.name, state.phase);
                ui.note(format!("there are no logs of {name}, which is {phase}"));
            }
        }
    }
    Ok(Exit::Success)
}

/// Prints lines, or rows of one document.
struct LogOutput<'a> {
    ui: &'a Ui,
    head: Head<'a>,
    has_begun: AtomicBool,
}

impl LogOutput<'_> {
    /// Writes the beginning of the document unless it is written, and a row.
    fn begin_rows(&self, row: Option<&LineRow<'_>>) -> io::Result<()> {
        match (self.has_begun.swap(true, Ordering::Relaxed), row) {
            (false, row) => self.ui.begin_rows("logs", &self.head, "lines", row),
            (true, Some(row)) => self.ui.next_row(row),
            (true, None) => Ok(()),
        }
    }
}

impl LogSink for LogOutput<'_> {
    fn line(&self, line: &TaskLogLine, is_first: bool) -> io::Result<()> {
        if !self.ui.output_options().json {
            if line.attempt > 1 && is_first {
                self.ui.status("Attempt", line.attempt);
            }
            return self.ui.log_line(line);
        }
        let format = |(seconds, nanos): (i64, i32)| time::datetime(seconds, nanos.unsigned_abs());
        self.begin_rows(Some(&LineRow {
            attempt: line.attempt,
            time: line.time.map(format),
            source: if line.system { "system" } else { "program" },
            text: &line.text,
        }))
    }

    fn reconnecting(&self, why: &str, after: Duration) {
        self.ui.reconnecting(self.head.run, why, after);
    }

    fn unavailable(&self, attempt: u32, why: &str) {
        self.ui
            .logs_unavailable(self.head.run, attempt, self.head.console, why);
    }
}
