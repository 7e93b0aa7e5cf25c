//! The log of one build, and the steps for whoever watches.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::secrets::BuildSecrets;
use super::steps::{DockerfileSteps, ShownStep};
use crate::build::Reporter;
use crate::engine::SolveListener;
use crate::sys::error::Result;
use crate::sys::log;

/// A log that is being written, without secrets.
pub(super) struct BuildLog<'a> {
    image: &'a str,
    secrets: &'a BuildSecrets,
    reporter: &'a dyn Reporter,
    written: log::Log,
    /// The steps of the Dockerfile that is built.
    steps: Mutex<DockerfileSteps>,
}

impl<'a> BuildLog<'a> {
    /// Begins the file anew.
    pub(super) fn begin(path: PathBuf, image: &'a str, secrets: &'a BuildSecrets, reporter: &'a dyn Reporter) -> Result<Self> {
        Ok(Self { image, secrets, reporter, written: log::Log::begin(path)?, steps: Mutex::default() })
    }

    /// Says which steps will be told of from here on.
    pub(super) fn expect(&self, steps: DockerfileSteps) {
        *self.steps() = steps;
    }

    /// A step as people know it, without secrets; the engine calls it `name`.
    pub(super) fn shown(&self, name: &str) -> ShownStep {
        let shown = self.steps().shown(name);
        ShownStep { head: shown.head, what: self.scrub(&shown.what) }
    }

    fn steps(&self) -> MutexGuard<'_, DockerfileSteps> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        self.written.path()
    }

    /// A text without secrets.
    pub(super) fn scrub(&self, text: &str) -> String {
        self.secrets.scrub(text)
    }

    /// The last lines that the failing step has written.
    pub(super) fn last(&self) -> Vec<String> {
        self.written.last()
    }
}

impl SolveListener for BuildLog<'_> {
    fn step(&self, name: &str) {
        let step = self.shown(name);
        self.written.part(&format!("==> {step}"));
        if step.runs() {
            self.reporter.runs(self.image, &step.first_line());
        } else {
            self.reporter.step(self.image, &step.first_line());
        }
    }

    fn remembered(&self, name: &str) {
        let step = self.shown(name);
        self.written.remark(&format!("==> {step} (remembered)"));
        self.reporter.step(self.image, &format!("{} (remembered)", step.first_line()));
    }

    fn line(&self, text: &str) {
        let text = self.scrub(text);
        self.written.line(&text);
        self.reporter.line(self.image, &text);
    }
}
