//! The user interface: messages go to stderr, only data goes to stdout.
//!
//! Other modules report through their `Reporter` traits, which [`Ui`] implements; only this module prints.

mod backend;
mod bars;
mod diagnostics;
mod doctor;
mod plan;
mod problem;
mod progress;
mod run;
mod spinners;
mod terminal;
mod trace;

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use clap_cargo::style;
use serde::Serialize;
use union_build::diag::Diagnostic;

use crate::sys::error::Error;
pub use crate::sys::words::{bytes, list, table};
use bars::ProgressBars;
pub use plan::format_plan;
pub use problem::Problem;
use spinners::Spinners;
pub use trace::show_traces;

/// Resolved options of the output.
#[derive(Clone, Copy, Debug)]
pub struct OutputOptions {
    /// The count of `-v`.
    pub verbosity: u8,
    /// Whether only errors are printed.
    pub quiet: bool,
    /// Whether stderr has colours.
    pub color: bool,
    /// Whether stdout is one JSON document instead of lines.
    pub json: bool,
}

/// The user interface.
pub struct Ui {
    options: OutputOptions,
    bars: ProgressBars,
    /// Whether another program, cargo, writes to the terminal, so that no bars may be drawn.
    suspended: Arc<AtomicBool>,
    spinners: Spinners,
    /// Warnings with a code, for the document of a failure.
    warnings: Mutex<Vec<Problem>>,
}

impl std::fmt::Debug for Ui {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ui")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Ui {
    /// Creates the interface to the standard streams.
    pub fn new(options: OutputOptions) -> Self {
        let terminal = !options.quiet && io::stderr().is_terminal();
        let bars = ProgressBars::new(terminal);
        let suspended = Arc::<AtomicBool>::default();
        let spinners = Spinners::new(bars.multi_progress(), terminal, suspended.clone());
        Self {
            options,
            bars,
            suspended,
            spinners,
            warnings: Mutex::default(),
        }
    }

    /// The options that it was created with.
    pub fn output_options(&self) -> OutputOptions {
        self.options
    }

    /// Prints a status line in cargo's style: a green verb, right-aligned in twelve columns, and its object.
    pub fn status(&self, verb: &str, about: impl Display) {
        if !self.options.quiet {
            self.line(&format!("{}{about}", self.label(verb)));
        }
    }

    /// The beginning of a status line.
    fn label(&self, verb: &str) -> String {
        format!("{} ", self.paint(style::GOOD, &format!("{verb:>12}")))
    }

    /// Prints a status line with `-v` only.
    pub fn detail(&self, verb: &str, about: impl Display) {
        if self.options.verbosity > 0 {
            self.status(verb, about);
        }
    }

    /// Shows a spinner for an operation that takes more than a second, until the guard is dropped.
    pub fn busy(&self, verb: &'static str, about: impl Display) -> impl Drop + '_ {
        struct ProgressHandle<'a>(&'a Ui, String);
        impl Drop for ProgressHandle<'_> {
            fn drop(&mut self) {
                self.0.spinners.end(&self.1);
            }
        }
        let about = about.to_string();
        self.begin(&about, verb, &about);
        ProgressHandle(self, about)
    }

    /// Starts an operation for a subject, which ends the subject's previous operation.
    fn begin(&self, subject: &str, verb: &'static str, about: &str) {
        if !self.options.quiet {
            let line = format!(
                "{} {about}",
                self.paint(style::GOOD, &format!("{verb:>12}"))
            );
            self.spinners.begin(subject, verb, about, line);
        }
    }

    /// Prints a warning, which should say what to do.
    pub fn warning(&self, message: impl Display) {
        if !self.options.quiet {
            self.line(&format!(
                "{}: {message}",
                self.paint(style::WARN, "warning")
            ));
        }
    }

    /// Prints a warning with a code, which the document of a failure has as well.
    fn coded_warning(&self, warning: Problem) {
        if !self.options.quiet {
            let label = self.paint(style::WARN, &format!("warning[{}]", warning.code()));
            self.line(&format!("{label}: {warning}"));
        }
        self.warnings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(warning);
    }

    /// Prints a note.
    pub fn note(&self, message: impl Display) {
        if !self.options.quiet {
            self.line(&format!("{}: {message}", self.paint(style::NOTE, "note")));
        }
    }

    /// Prints problems of manifests in rustc's style.
    pub fn diagnostics(&self, problems: &[Diagnostic]) {
        for problem in problems {
            let warning = problem.severity == union_build::diag::Severity::Warning;
            if !(warning && self.options.quiet) {
                self.line(&diagnostics::render(problem, self.options.color));
            }
        }
    }

    /// Prints an error with its code, its causes and its advice.
    pub fn error(&self, error: &Error) {
        let mut chain = error.chain().into_iter();
        let message = chain.next().unwrap_or_default();
        let label = self.paint(style::ERROR, &format!("error[{}]", error.code()));
        let mut text = format!("{label}: {message}");
        let causes: Vec<String> = chain.collect();
        if !causes.is_empty() {
            text.push_str("\n\nCaused by:");
            for cause in causes {
                text.push_str(&format!("\n  {}", cause.trim_end().replace('\n', "\n  ")));
            }
            text.push('\n');
        }
        let advice = error.advice().replace('\n', "\n      ");
        text.push_str(&format!("\n{}: {advice}", self.paint(style::NOTE, "help")));
        self.line(&text);
    }

    /// Prints errors. Of errors that differ only in their message, the first is printed in full, followed by the
    /// messages of the others, or of the first few if there are many.
    pub fn errors(&self, errors: &[&Error]) {
        const SHOWN: usize = 5;
        for (first, others) in group_by_cause(errors) {
            self.error(first);
            if others.is_empty() {
                continue;
            }
            let noun = if others.len() == 1 {
                "error has"
            } else {
                "errors have"
            };
            let mut text = format!("{} more {noun} this cause:", others.len());
            for other in others.iter().take(SHOWN) {
                text.push_str(&format!("\n  {other}"));
            }
            if others.len() > SHOWN {
                text.push_str(&format!("\n  and {} more", others.len() - SHOWN));
            }
            // Printed even if notes are hidden, because it is part of the error.
            self.line(&format!("{}: {text}", self.paint(style::NOTE, "note")));
        }
    }

    /// Writes the output of a user's program to stderr unchanged.
    pub fn write_raw(&self, bytes: &[u8]) {
        self.bars.suspend(|| {
            // A failure to write to stderr cannot be reported.
            let _ = io::stderr().lock().write_all(bytes);
        });
    }

    /// Writes data to stdout. A closed pipe is not a failure.
    ///
    /// # Errors
    /// When stdout cannot be written for another reason.
    pub fn data(&self, text: &str) -> io::Result<()> {
        match io::stdout().lock().write_all(text.as_bytes()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result,
        }
    }

    /// Writes a JSON document with its schema version to stdout.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn document(&self, command: &str, content: &impl Serialize) -> io::Result<()> {
        self.data(&document_text(command, content))
    }

    /// Writes a result to stdout: the document with `--format json`, else the text.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn result(&self, command: &str, content: &impl Serialize, text: &str) -> io::Result<()> {
        match self.options.json {
            true => self.document(command, content),
            false => self.data(text),
        }
    }

    /// Writes problems to stdout as a JSON document, with `--format json` only.
    pub fn failure(&self, mut problems: Vec<Problem>) {
        #[derive(Serialize)]
        struct FailureDocument {
            problems: Vec<Problem>,
        }
        problems.append(&mut self.warnings.lock().unwrap_or_else(PoisonError::into_inner));
        if self.options.json {
            // The problems are on stderr as well, so a write error does not have to be reported.
            let _ = self.document("failed", &FailureDocument { problems });
        }
    }

    /// Draws no progress until the guard is dropped, while another program writes to the terminal.
    pub fn suspend_progress(&self) -> impl Drop + '_ {
        struct SuspendedProgress<'a>(&'a Ui);
        impl Drop for SuspendedProgress<'_> {
            fn drop(&mut self) {
                self.0.suspended.store(false, Ordering::Relaxed);
            }
        }
        self.suspended.store(true, Ordering::Relaxed);
        SuspendedProgress(self)
    }

    fn line(&self, text: &str) {
        self.bars.suspend(|| {
            // A failure to write to stderr cannot be reported.
            let _ = writeln!(io::stderr().lock(), "{text}");
        });
    }

    fn paint(&self, style: anstyle::Style, text: &str) -> String {
        if self.options.color {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }
}

/// A JSON document with its schema version.
fn document_text(command: &str, content: &impl Serialize) -> String {
    #[derive(Serialize)]
    struct Document<'a, T> {
        schema: u32,
        command: &'a str,
        #[serde(flatten)]
        content: &'a T,
    }
    let document = Document {
        schema: 1,
        command,
        content,
    };
    let mut text = serde_json::to_string_pretty(&document)
        .expect("documents are plain values, which always serialize");
    text.push('\n');
    text
}

/// Groups errors by what is equal besides their message, in the order of the first of each group.
fn group_by_cause<'a>(errors: &[&'a Error]) -> Vec<(&'a Error, Vec<&'a Error>)> {
    let mut groups: Vec<(&Error, Vec<&Error>)> = Vec::new();
    let cause = |error: &Error| (error.code(), error.chain().split_off(1));
    for error in errors {
        let group = groups
            .iter_mut()
            .find(|(first, _)| cause(first) == cause(error) && first.advice() == error.advice());
        match group {
            Some((_, others)) if error.chain().len() > 1 => others.push(error),
            _ => groups.push((error, Vec::new())),
        }
    }
    groups
}

#[cfg(test)]
mod tests;
