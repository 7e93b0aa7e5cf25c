//! What the pipeline tells while it works.

use std::fmt::Display;

use union_build::diag::Diagnostic;

use crate::{build, flyte, publish, workspace};

/// Told what happens, by the pipeline and by everything below it.
pub trait Reporter: workspace::Reporter + build::Reporter + publish::Reporter + flyte::Reporter {
    /// Something was done, or is about to be: a verb, and what it is about.
    fn status(&self, verb: &str, about: &dyn Display);

    /// The same, for those who want to know more.
    fn detail(&self, verb: &str, about: &dyn Display);

    /// Problems of manifests and of the Flyte config.
    fn diagnostics(&self, problems: &[Diagnostic]);

    /// Work begins that may take long. It ends with the guard.
    fn busy<'a>(&'a self, verb: &'static str, about: &dyn Display) -> Box<dyn Guard + 'a>;

    /// Another program writes to the terminal until the guard is dropped.
    fn suspend_progress<'a>(&'a self) -> Box<dyn Guard + 'a>;

    /// What another program has said, as it said it.
    fn write_raw(&self, bytes: &[u8]);

    /// Whether the logs of remote builds are wanted.
    fn shows_logs(&self) -> bool;
}

/// Something ends when it is dropped.
pub trait Guard {}

impl<T> Guard for T {}
