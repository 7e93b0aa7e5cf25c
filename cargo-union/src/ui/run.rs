//! Events of runs.

use std::path::Path;
use std::time::Duration;

use super::{Ui, bytes};
use crate::run::{
    FileTotals, FolderProgress, ProgramLocation, Reporter, RunPhase, RunState, TaskLogLine,
};

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

    fn folder_progress(&self, verb: &'static str, path: &str, progress: FolderProgress) {
        self.advance_folder(verb, path, progress);
    }

    fn folder_uploaded(&self, path: &str, sent: FileTotals, address: &str) {
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

    fn run_log(&self, line: &TaskLogLine) {
        if line.system {
            self.detail("System", &line.text);
        } else {
            self.write_raw(format!("{}\n", line.text).as_bytes());
        }
    }

    fn reconnecting(&self, run: &str, why: &str, after: Duration) {
        self.status(
            "Retrying",
            format!("to follow {run} in {:.1} s: {why}", after.as_secs_f64()),
        );
    }

    fn logs_unavailable(&self, run: &str, page: &str, why: &str) {
        self.warning(format!(
            "the logs of {run} cannot be shown: {why}\n  = help: look at {page}"
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
