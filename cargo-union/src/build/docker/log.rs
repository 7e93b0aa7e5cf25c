//! The log of one build, and its steps for the progress display.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::secrets::BuildSecrets;
use super::steps::{DockerfileSteps, ShownStep};
use crate::build::Reporter;
use crate::engine::SolveListener;
use crate::sys::error::Result;
use crate::sys::log;

/// A log that is being written, with secrets redacted.
pub(super) struct BuildLog<'a> {
    image: &'a str,
    secrets: &'a BuildSecrets,
    reporter: &'a dyn Reporter,
    file: log::Log,
    /// The steps of the Dockerfile that is being built.
    steps: Mutex<DockerfileSteps>,
}

impl<'a> BuildLog<'a> {
    /// Creates or truncates the file.
    pub(super) fn begin(
        path: PathBuf,
        image: &'a str,
        secrets: &'a BuildSecrets,
        reporter: &'a dyn Reporter,
    ) -> Result<Self> {
        Ok(Self {
            image,
            secrets,
            reporter,
            file: log::Log::begin(path)?,
            steps: Mutex::default(),
        })
    }

    /// Sets the steps that the engine is about to report.
    pub(super) fn expect(&self, steps: DockerfileSteps) {
        *self.steps() = steps;
    }

    /// A step for display, with secrets redacted; `name` is the engine's name of it.
    pub(super) fn shown(&self, name: &str) -> ShownStep {
        let shown = self.steps().shown(name);
        ShownStep {
            head: shown.head,
            command: self.scrub(&shown.command),
        }
    }

    fn steps(&self) -> MutexGuard<'_, DockerfileSteps> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Redacts secrets.
    pub(super) fn scrub(&self, text: &str) -> String {
        self.secrets.scrub(text)
    }

    /// The last lines of output of the failing step.
    pub(super) fn last(&self) -> Vec<String> {
        self.file.last()
    }
}

impl SolveListener for BuildLog<'_> {
    fn step(&self, name: &str) {
        let step = self.shown(name);
        self.file.part(&format!("==> {step}"));
        if step.runs() {
            self.reporter.runs(self.image, &step.first_line());
        } else {
            self.reporter.step(self.image, &step.first_line());
        }
    }

    fn step_cached(&self, name: &str) {
        let step = self.shown(name);
        self.file.remark(&format!("==> {step} (cached)"));
        self.reporter
            .step(self.image, &format!("{} (cached)", step.first_line()));
    }

    fn line(&self, text: &str) {
        let text = self.scrub(text);
        self.file.line(&text);
        self.reporter.line(self.image, &text);
    }
}
