//! Collects what the called modules report: the sources of logins, and warnings.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use union_build::diag::Diagnostic;

use crate::pipeline::{Guard, Reporter};
use crate::{build, flyte, publish, workspace};

/// Stores the sources of logins and the warnings of the registry client for the report. Retries are shown at once,
/// since they take time.
pub(super) struct DoctorReporter {
    shown: Arc<dyn Reporter>,
    sources: Mutex<BTreeMap<String, String>>,
    warnings: Mutex<Vec<String>>,
}

impl DoctorReporter {
    pub(super) fn new(shown: &Arc<dyn Reporter>) -> Self {
        Self {
            shown: shown.clone(),
            sources: Mutex::default(),
            warnings: Mutex::default(),
        }
    }

    /// The name of the file or helper that has the login for a registry.
    pub(super) fn source(&self, registry: &str) -> Option<String> {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.get(registry).cloned()
    }

    /// The warnings about files and helpers that could not be used.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *warnings)
    }
}

impl publish::Reporter for DoctorReporter {
    fn credentials(&self, host: &str, source: &str) {
        self.sources
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(host.to_owned(), source.to_owned());
    }

    fn warning(&self, text: &str) {
        self.warnings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(text.to_owned());
    }

    fn retrying(&self, place: &str, cause: &str, after: Duration) {
        publish::Reporter::retrying(&*self.shown, place, cause, after);
    }
}

impl flyte::Reporter for DoctorReporter {
    fn retrying(&self, what: &str, why: &str, after: Duration) {
        flyte::Reporter::retrying(&*self.shown, what, why, after);
    }
}

impl workspace::Reporter for DoctorReporter {}

impl build::Reporter for DoctorReporter {}

impl Reporter for DoctorReporter {
    fn status(&self, _: &str, _: &dyn Display) {}

    fn detail(&self, _: &str, _: &dyn Display) {}

    fn diagnostics(&self, _: &[Diagnostic]) {}

    fn busy<'a>(&'a self, _: &'static str, _: &dyn Display) -> Box<dyn Guard + 'a> {
        Box::new(())
    }

    fn suspend_progress<'a>(&'a self) -> Box<dyn Guard + 'a> {
        Box::new(())
    }

    fn write_raw(&self, _: &[u8]) {}

    fn shows_logs(&self) -> bool {
        false
    }
}
