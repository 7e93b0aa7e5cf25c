//! Problems in JSON documents.

use std::fmt;

use serde::Serialize;
use union_build::diag::{Code, Diagnostic, Origin, Severity};

use crate::sys::error::Error;

/// An error or a warning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    severity: &'static str,
    code: &'static str,
    message: String,
    /// Causes, outermost first; empty for a problem of a manifest.
    causes: Vec<String>,
    help: Option<String>,
    /// The location in the manifest; `None` for other errors.
    place: Option<Location>,
}

/// A location in a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Location {
    file: String,
    /// From 1.
    line: usize,
    /// From 1, in characters.
    column: usize,
}

impl Problem {
    /// Converts a problem of a manifest.
    pub fn of(diagnostic: &Diagnostic) -> Self {
        let place = diagnostic
            .labels
            .first()
            .and_then(|label| match &label.origin {
                Origin::File(file, span) => {
                    let (line, column) = file.line_column(span.start);
                    Some(Location {
                        file: file.path.display().to_string(),
                        line,
                        column,
                    })
                }
                _ => None,
            });
        Self {
            severity: if diagnostic.severity == Severity::Error {
                "error"
            } else {
                "warning"
            },
            code: diagnostic.code.as_str(),
            message: diagnostic.message.clone(),
            causes: Vec::new(),
            help: diagnostic.help.clone(),
            place,
        }
    }

    /// A warning that does not belong to a manifest.
    pub fn warning(code: Code, message: String, help: &str) -> Self {
        Self {
            severity: "warning",
            code: code.as_str(),
            message,
            causes: Vec::new(),
            help: Some(help.to_owned()),
            place: None,
        }
    }

    /// The error code.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// Converts an error.
    pub fn of_error(error: &Error) -> Self {
        let mut chain = error.chain().into_iter();
        Self {
            severity: "error",
            code: error.code().as_str(),
            message: chain.next().unwrap_or_default(),
            causes: chain.collect(),
            help: Some(error.advice().to_owned()),
            place: None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, "\n  = help: {help}"),
            None => Ok(()),
        }
    }
}
