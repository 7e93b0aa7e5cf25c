//! Progress reports of the pipeline.

use std::fmt::Display;

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

/// Ends an operation of a [`Reporter`] when it is dropped.
pub trait Guard {}

impl<T> Guard for T {}
