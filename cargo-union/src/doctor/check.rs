//! One line of the report.

use serde::Serialize;
use union_build::diag::{Diagnostic, Severity};

use crate::sys::error::Error;

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The area, by which the report is grouped: `toolchain`, `registry`.
    pub area: &'static str,
    /// What was checked: a target triple, a base, a repository.
    pub name: String,
    /// The result.
    pub status: CheckStatus,
    /// What was found, or why it was not checked.
    pub detail: String,
    /// The error code; `None` for a problem without one.
    pub code: Option<&'static str>,
    /// What to do about a warning or an error.
    pub help: Option<String>,
}

/// The result of a check in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    /// It was checked, and nothing is wrong.
    Ok,
    /// It was not checked.
    Skipped,
    /// It works, but differs from what is recommended.
    Warning,
    /// A build, a push or a registration would fail because of it.
    Error,
}

impl CheckStatus {
    /// The word in the report.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl Check {
    fn new(
        area: &'static str,
        name: impl Into<String>,
        status: CheckStatus,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            area,
            name: name.into(),
            status,
            detail: detail.into(),
            code: None,
            help: None,
        }
    }

    /// Nothing is wrong.
    pub(super) fn ok(
        area: &'static str,
        name: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self::new(area, name, CheckStatus::Ok, detail)
    }

    /// It was not checked, for the reason in `detail`.
    pub(super) fn skipped(
        area: &'static str,
        name: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self::new(area, name, CheckStatus::Skipped, detail)
    }

    /// It works with a restriction.
    pub(super) fn warning(
        area: &'static str,
        name: impl Into<String>,
        detail: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            help: Some(help.into()),
            ..Self::new(area, name, CheckStatus::Warning, detail)
        }
    }

    /// It does not work.
    pub(super) fn error(
        area: &'static str,
        name: impl Into<String>,
        detail: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            help: Some(help.into()),
            ..Self::new(area, name, CheckStatus::Error, detail)
        }
    }

    /// It does not work, with the error that a build would end with.
    pub(super) fn of_error(area: &'static str, name: impl Into<String>, error: &Error) -> Self {
        Self {
            code: Some(error.code().as_str()),
            ..Self::error(area, name, error.chain().join(": "), error.advice())
        }
    }

    /// Turns an error into a warning.
    pub(super) fn softened(self) -> Self {
        Self {
            status: CheckStatus::Warning,
            ..self
        }
    }

    /// A problem of a manifest or of the Flyte config.
    pub(super) fn of_diagnostic(area: &'static str, problem: &Diagnostic) -> Self {
        let (name, place) = match problem.labels.first() {
            Some(label) => ("manifest", format!(" ({})", label.origin)),
            None => ("manifest", String::new()),
        };
        let detail = format!("{}{place}", problem.message);
        let help = problem.help.as_deref();
        let help = help.unwrap_or_else(|| problem.code.help());
        let check = Self {
            code: Some(problem.code.as_str()),
            ..Self::error(area, name, detail, help)
        };
        if problem.severity == Severity::Error {
            check
        } else {
            check.softened()
        }
    }
}
