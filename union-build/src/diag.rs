//! Diagnostics as data: what is wrong, where it was written, and what to do about it.
//!
//! Nothing here prints or renders; `cargo-union` renders diagnostics in rustc's style and as JSON.
//! Every code is declared once, in [`Code`], together with its title and help text on the reference page.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod code;
mod nearest;
pub use code::Code;
pub use nearest::nearest;

/// The text of a manifest, shared by all values that were read from it.
#[derive(Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Absolute path of the file.
    pub path: PathBuf,
    /// The whole text, as read.
    pub text: String,
}

impl SourceFile {
    /// Combines the text of a file with the path that it was read from.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self {
            path: path.into(),
            text: text.into(),
        })
    }

    /// The directory that relative paths in this manifest start from.
    pub fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// One-based line and column (in characters) of a byte offset.
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        // A syntax error may point into the middle of a character.
        let end = (0..=offset.min(self.text.len()))
            .rev()
            .find(|end| self.text.is_char_boundary(*end));
        let before = &self.text[..end.unwrap_or(0)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (
            before.matches('\n').count() + 1,
            before[line_start..].chars().count() + 1,
        )
    }
}

/// The source of a value, from the strongest to the weakest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A command-line flag, such as `--registry`.
    Flag(&'static str),
    /// An environment variable, such as `UNION_REGISTRY`.
    Env(&'static str),
    /// A byte range in a manifest.
    File(Arc<SourceFile>, Range<usize>),
    /// The tool's default: no other source sets the value.
    Default,
}

impl fmt::Display for Origin {
    /// `--registry`, `UNION_REGISTRY`, `/path/Cargo.toml:12:8` or `default`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) | Self::Env(name) => f.write_str(name),
            Self::File(file, span) => {
                let (line, column) = file.line_column(span.start);
                write!(f, "{}:{line}:{column}", file.path.display())
            }
            Self::Default => f.write_str("default"),
        }
    }
}

/// The severity of a diagnostic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Stops the build.
    Error,
    /// Does not stop the build.
    Warning,
}

/// A marked place with an explanation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The place that is marked.
    pub origin: Origin,
    /// Text beside the mark; may be empty.
    pub text: String,
}

/// An edit that fixes a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// The place that is replaced; always an [`Origin::File`].
    pub origin: Origin,
    /// The text that replaces it.
    pub replacement: String,
}

/// One problem in a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Unique code, such as `U0101`.
    pub code: Code,
    /// Whether the build stops.
    pub severity: Severity,
    /// One sentence without a full stop at its end.
    pub message: String,
    /// The first is the place of the problem, the others explain it.
    pub labels: Vec<Label>,
    /// Advice: what to do next.
    pub help: Option<String>,
    /// An edit that follows the advice.
    pub suggestion: Option<Suggestion>,
}

impl Diagnostic {
    /// An error at `origin`, marked with `label`.
    pub fn error(
        code: Code,
        message: impl Into<String>,
        origin: &Origin,
        label: impl Into<String>,
    ) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            labels: vec![Label {
                origin: origin.clone(),
                text: label.into(),
            }],
            help: None,
            suggestion: None,
        }
    }

    /// A warning at `origin`, marked with `label`.
    pub fn warning(
        code: Code,
        message: impl Into<String>,
        origin: &Origin,
        label: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, message, origin, label)
        }
    }

    /// Marks another place.
    #[must_use]
    pub fn also(mut self, origin: &Origin, text: impl Into<String>) -> Self {
        self.labels.push(Label {
            origin: origin.clone(),
            text: text.into(),
        });
        self
    }

    /// Sets the advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Sets an edit that replaces the text at `origin`, which must be an [`Origin::File`].
    #[must_use]
    pub fn suggest(mut self, origin: &Origin, replacement: impl Into<String>) -> Self {
        self.suggestion = Some(Suggestion {
            origin: origin.clone(),
            replacement: replacement.into(),
        });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::SourceFile;

    #[test]
    fn line_column_counts_characters_from_one() {
        let file = SourceFile::new("Cargo.toml", "ä = 1\nö\n");
        let places: Vec<_> = [0, 2, 3, 7, 9, 99]
            .into_iter()
            .map(|offset| file.line_column(offset))
            .collect();
        assert_eq!(places, [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (3, 1)]);
        // An offset in the middle of a character counts as its start.
        assert_eq!(file.line_column(1), (1, 1));
    }
}
