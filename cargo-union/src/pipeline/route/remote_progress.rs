//! Progress, log and failures of a remote build.

use std::time::Duration;

use union_build::diag::Code;

use crate::flyte::client::Client;
use crate::flyte::console;
use crate::flyte::images::RemoteBuildListener;
use crate::flyte::runs::{RunIdent, RunListener, RunOutcome, RunPhase, RunState, TaskLogLine};
use crate::pipeline::Reporter;
use crate::sys::error::Error;
use crate::sys::log::Log;

/// Reports the progress of a remote build, and writes its log file.
pub(super) struct RemoteBuildProgress<'a> {
    pub(super) image: &'a str,
    pub(super) client: &'a Client,
    pub(super) reporter: &'a dyn Reporter,
    pub(super) log: Log,
}

impl RemoteBuildProgress<'_> {
    fn console_url(&self, run: &RunIdent) -> String {
        console::run(self.client, &run.scope, &run.name)
    }

    /// `RemoteBuildFailed` for a run that ended without an image.
    pub(super) fn failure(&self, run: &RunIdent, outcome: RunOutcome) -> Error {
        let ending = match outcome {
            RunOutcome::Succeeded => "ended well".to_owned(),
            RunOutcome::Failed(trouble) => trouble.map_or_else(
                || "failed".to_owned(),
                |trouble| format!("failed: {}", trouble.message),
            ),
            RunOutcome::TimedOut(_) => "timed out".to_owned(),
            RunOutcome::Aborted(reason) if reason.is_empty() => "was aborted".to_owned(),
            RunOutcome::Aborted(reason) => format!("was aborted: {reason}"),
        };
        let last_lines = self.log.last();
        let lines = if last_lines.is_empty() {
            String::new()
        } else {
            format!("; its last lines:\n{}", last_lines.join("\n"))
        };
        Error::new(
            Code::RemoteBuildFailed,
            format!("the backend did not build image `{}`", self.image),
        )
        .because(format!("the run `{}` {ending}{lines}", run.name))
        .help(format!(
            "Correct the step. The run is {}, and its whole log `{}`.",
            self.console_url(run),
            self.log.path().display()
        ))
    }
}

impl RunListener for RemoteBuildProgress<'_> {
    fn state_changed(&self, state: RunState) {
        let phase = match state.phase {
            RunPhase::Unknown => return,
            RunPhase::Succeeded if state.cached => "taken from an earlier run".to_owned(),
            phase => phase.to_string(),
        };
        self.reporter
            .detail("Building", &format!("{}: {phase}", self.image));
    }

    fn log_line(&self, line: &TaskLogLine) {
        self.log.line(&line.text);
        if self.reporter.shows_logs() {
            self.reporter
                .status("", &format!("{}: {}", self.image, line.text));
        }
    }

    fn reconnecting(&self, why: &str, after: Duration) {
        self.reporter.status(
            "Retrying",
            &format!(
                "to watch the build of {} in {:.1} s: {why}",
                self.image,
                after.as_secs_f64()
            ),
        );
    }

    fn logs_unavailable(&self, _: u32, why: &str) {
        self.reporter.detail(
            "Skipping",
            &format!("the log of the build of {}: {why}", self.image),
        );
    }
}

impl RemoteBuildListener for RemoteBuildProgress<'_> {
    fn build_started(&self, run: &RunIdent) {
        self.reporter.status(
            "Building",
            &format!("{}: {}", self.image, self.console_url(run)),
        );
    }

    fn build_aborting(&self, run: &RunIdent) {
        self.reporter.status(
            "Aborting",
            &format!("{}, which builds {}", run.name, self.image),
        );
    }
}
