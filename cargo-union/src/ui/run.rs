//! Events of runs.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::terminal::write_harmless;
use super::{Problem, Ui, bytes, document_text};
use crate::run::{
    ActionSummary, ClusterEvent, DirectoryProgress, FileTotals, ProgramLocation, Reporter,
    RunPhase, RunState, TaskLogLine, ended_well,
};

impl Ui {
    /// Writes a line of a log to stdout; lines of the system go to stderr, with `-v` only.
    ///
    /// # Errors
    /// When stdout cannot be written, also because its reader has gone.
    pub fn log_line(&self, line: &TaskLogLine) -> io::Result<()> {
        if line.system {
            self.run_log(line);
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        let colors = self.options.color && stdout.is_terminal();
        let mut result = Ok(());
        write_harmless(&line.text, colors, |part| {
            if result.is_ok() {
                result = stdout.write_all(part.as_bytes());
            }
        });
        result
    }

    /// Begins a document on stdout whose last field is a list of rows. The rows are written one by one and not stored.
    ///
    /// # Errors
    /// When stdout cannot be written, also because its reader has gone.
    pub fn begin_rows(
        &self,
        command: &str,
        head: &impl Serialize,
        field: &str,
        first: Option<&impl Serialize>,
    ) -> io::Result<()> {
        let head = document_text(command, head);
        let head = head.trim_end().trim_end_matches('}').trim_end();
        write!(io::stdout().lock(), "{head},\n  \"{field}\": [")?;
        first.map_or(Ok(()), |row| write_row(row, "\n    "))
    }

    /// Writes a further row.
    ///
    /// # Errors
    /// As [`Ui::begin_rows`].
    pub fn next_row(&self, row: &impl Serialize) -> io::Result<()> {
        write_row(row, ",\n    ")
    }

    /// Ends the list and the document.
    ///
    /// # Errors
    /// When stdout cannot be written. A closed pipe is not a failure.
    pub fn end_rows(&self) -> io::Result<()> {
        self.data("\n  ]\n}\n")
    }
}

fn write_row(row: &impl Serialize, before: &str) -> io::Result<()> {
    let row = serde_json::to_string(row).map_err(io::Error::other)?;
    write!(io::stdout().lock(), "{before}{row}")
}

impl Reporter for Ui {
    fn program_started(&self, task: &str, location: ProgramLocation<'_>) {
        match location {
            ProgramLocation::Image(image) => self.status("Running", format!("{task} in {image}")),
            ProgramLocation::Executable(path) => {
                self.status("Running", format!("{task} as {}", path.display()))
            }
        }
    }

    fn program_output(&self, bytes: &[u8]) {
        self.write_raw(bytes);
    }

    fn file_uploaded(&self, path: &str, address: &str) {
        self.status("Uploaded", format!("{path} to {address}"));
    }

    fn directory_progress(&self, verb: &'static str, path: &str, progress: DirectoryProgress) {
        self.advance_directory(verb, path, progress);
    }

    fn directory_uploaded(&self, path: &str, sent: FileTotals, address: &str) {
        self.status(
            "Uploaded",
            format!("{path} ({}) to {address}", totals(sent)),
        );
    }

    fn output_saved(&self, name: &str, path: &Path, fetched: FileTotals) {
        self.status(
            "Saved",
            format!("{name} ({}) to {}", totals(fetched), path.display()),
        );
    }

    fn run_created(&self, run: &str, page: &str) {
        self.status("Created", format!("{run} {page}"));
    }

    fn run_found(&self, run: &str, page: &str) {
        self.status("Following", format!("{run} {page}"));
    }

    fn run_state(&self, run: &str, state: RunState) {
        let (verb, detail) = match state.phase {
            RunPhase::Unknown => return,
            RunPhase::Queued => ("Queued", ""),
            RunPhase::Waiting => ("Waiting", " for resources"),
            RunPhase::Starting => ("Starting", ""),
            RunPhase::Running => ("Running", ""),
            RunPhase::Paused => ("Paused", " until somebody lets it go on"),
            RunPhase::Succeeded if state.cached => ("Succeeded", " with a cached result"),
            RunPhase::Succeeded => ("Succeeded", ""),
            RunPhase::Recovered => ("Succeeded", " with the result of an earlier run"),
            RunPhase::Failed => ("Failed", ""),
            RunPhase::Aborted => ("Aborted", ""),
            RunPhase::TimedOut => ("Timed out", ""),
        };
        let attempt = if state.attempt > 1 {
            format!(", attempt {}", state.attempt)
        } else {
            String::new()
        };
        self.status(verb, format!("{run}{detail}{attempt}"));
    }

    fn run_waits(&self, run: &str, event: &ClusterEvent) {
        let known = event
            .cause()
            .and_then(|cause| Some((cause.code()?, cause.advice())));
        match known {
            Some((code, help)) => self.coded_warning(Problem::warning(
                code,
                format!("{run} waits: {}", event.text()),
                help,
            )),
            None => self.status("Event", format!("{run} {}", event.text())),
        }
    }

    fn run_step(&self, step: &ActionSummary) {
        let verb = match step.state.phase {
            _ if ended_well(step) && step.kind == "trace" => "Traced",
            _ if ended_well(step) => "Finished",
            RunPhase::Aborted => "Aborted",
            RunPhase::TimedOut => "Timed out",
            _ => "Failed",
        };
        let name = if step.title.is_empty() {
            &step.name
        } else {
            &step.title
        };
        let took = step
            .seconds()
            .map(|seconds| format!(" in {seconds:.2} s"))
            .unwrap_or_default();
        self.status(verb, format!("{name}{took}"));
    }

    fn run_log(&self, line: &TaskLogLine) {
        if line.system && self.options.verbosity == 0 {
            return;
        }
        if line.system {
            self.write_raw(self.label("System").as_bytes());
        }
        write_harmless(&line.text, self.options.color, |part| {
            self.write_raw(part.as_bytes());
        });
    }

    fn reconnecting(&self, run: &str, why: &str, after: Duration) {
        self.status(
            "Retrying",
            format!("to follow {run} in {:.1} s: {why}", after.as_secs_f64()),
        );
    }

    fn logs_unavailable(&self, run: &str, attempt: u32, page: &str, why: &str) {
        self.warning(format!(
            "the logs of {run}, attempt {attempt}, cannot be shown: {why}\n  = help: look at {page}"
        ));
    }

    fn abort_offered(&self, run: &str) {
        self.note(format!("{run} goes on; press Ctrl-C once more to abort it"));
    }

    fn aborting(&self, run: &str) {
        self.status("Aborting", run);
    }
}

/// The number and the size of files: `3 files, 12 kB`.
fn totals(totals: FileTotals) -> String {
    let noun = if totals.files == 1 { "file" } else { "files" };
    format!("{} {noun}, {}", totals.files, bytes(totals.bytes))
}
