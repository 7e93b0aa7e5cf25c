//! Events of a run.

use std::path::Path;
use std::time::Duration;

use super::{ActionSummary, ClusterEvent, DirectoryProgress, FileTotals, RunState, TaskLogLine};
use crate::pipeline;

/// Receives the events of a run, and those of the build and the registration before it.
pub trait Reporter: pipeline::Reporter {
    /// The program of a task starts on this machine.
    fn program_started(&self, task: &str, location: ProgramLocation<'_>);

    /// The program wrote to stdout or stderr.
    fn program_output(&self, bytes: &[u8]);

    /// An input file was uploaded to the backend's store.
    fn file_uploaded(&self, path: &str, address: &str);

    /// A part of a directory was transferred; `verb` is such as `Uploading`.
    fn directory_progress(&self, verb: &'static str, path: &str, progress: DirectoryProgress);

    /// An input directory was uploaded to the backend's store.
    fn directory_uploaded(&self, path: &str, sent: FileTotals, address: &str);

    /// The files of an output were fetched to a path on this machine.
    fn output_saved(&self, name: &str, path: &Path, fetched: FileTotals);

    /// A run was created at the backend; `page` is the URL of its page.
    fn run_created(&self, run: &str, page: &str);

    /// The backend has the run that is to be followed.
    fn run_found(&self, run: &str, page: &str);

    /// The phase or the attempt of a run changed.
    fn run_state(&self, run: &str, state: RunState);

    /// The cluster reports why a run has not started, or that its container is started again and again.
    fn run_waits(&self, run: &str, event: &ClusterEvent);

    /// A step of a run has ended.
    fn run_step(&self, step: &ActionSummary);

    /// The program of a run, or the platform around it, wrote a log line.
    fn run_log(&self, line: &TaskLogLine);

    /// The connection to a run was lost, and is opened again after a pause.
    fn reconnecting(&self, run: &str, why: &str, after: Duration);

    /// The logs of an attempt of a run cannot be read.
    fn logs_unavailable(&self, run: &str, attempt: u32, page: &str, why: &str);

    /// Ctrl-C was pressed; a second one within a few seconds aborts the run.
    fn abort_offered(&self, run: &str);

    /// A run is being aborted.
    fn aborting(&self, run: &str);
}

/// The program of a task on this machine.
#[derive(Clone, Copy, Debug)]
pub enum ProgramLocation<'a> {
    /// A container of an image.
    Image(&'a str),
    /// An executable file.
    Executable(&'a Path),
}
