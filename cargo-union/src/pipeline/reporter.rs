//! Progress reports of the pipeline.

use std::fmt::Display;
use std::sync::Arc;

use union_build::diag::Diagnostic;

use crate::{build, flyte, publish, workspace};

/// Receives status lines, diagnostics and logs from the pipeline and from the modules below it.
pub trait Reporter:
    workspace::Reporter + build::Reporter + publish::Reporter + flyte::Reporter
{
    /// Prints a status line: a verb such as `Published`, and its subject.
    fn status(&self, verb: &str, about: &dyn Display);

    /// Like [`status`](Self::status), but shown only with `-v`.
    fn detail(&self, verb: &str, about: &dyn Display);

    /// Shows problems of manifests and of the Flyte config.
    fn diagnostics(&self, problems: &[Diagnostic]);

    /// Shows progress of an operation that may take long, until the guard is dropped.
    fn busy<'a>(&'a self, verb: &'static str, about: &dyn Display) -> Box<dyn Guard + 'a>;

    /// Hides progress while another program writes to the terminal, until the guard is dropped.
    fn suspend_progress<'a>(&'a self) -> Box<dyn Guard + 'a>;

    /// Writes the output of another program unchanged.
    fn write_raw(&self, bytes: &[u8]);

    /// Whether the logs of remote builds are shown.
    fn shows_logs(&self) -> bool;
}

/// Reports the steps of a package's images as `PACKAGE/IMAGE`, since images of several packages have the same names.
pub(super) struct PackageSteps {
    package: String,
    reporter: Arc<dyn Reporter>,
}

impl PackageSteps {
    pub(super) fn new(package: &str, reporter: &Arc<dyn Reporter>) -> Arc<Self> {
        Arc::new(Self {
            package: package.to_owned(),
            reporter: reporter.clone(),
        })
    }

    fn subject(&self, image: &str) -> String {
        format!("{}/{image}", self.package)
    }
}

impl build::Reporter for PackageSteps {
    fn step(&self, image: &str, step: &str) {
        self.reporter.step(&self.subject(image), step);
    }

    fn ended(&self, image: &str) {
        self.reporter.ended(&self.subject(image));
    }

    fn runs(&self, image: &str, step: &str) {
        self.reporter.runs(&self.subject(image), step);
    }

    fn line(&self, image: &str, line: &str) {
        self.reporter.line(&self.subject(image), line);
    }
}

/// Ends an operation of a [`Reporter`] when it is dropped.
pub trait Guard {}

impl<T> Guard for T {}
