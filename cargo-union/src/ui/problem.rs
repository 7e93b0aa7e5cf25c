//! Problems in JSON documents.

use serde::Serialize;
use union_build::diag::{Diagnostic, Origin, Severity};

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
