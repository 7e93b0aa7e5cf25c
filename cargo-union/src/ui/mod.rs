//! Everything that is shown. stderr carries the talk, stdout carries data only.
//!
//! The rooms report through their `Reporter` traits, which [`Ui`] implements; nobody else prints.

mod backend;
mod busy;
mod diagnostics;
mod problem;
mod progress;
mod run;

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap_cargo::style;
use serde::Serialize;
use union_build::diag::Diagnostic;

use crate::sys::error::Error;
pub use crate::sys::words::{bytes, list, table};
use busy::Spinners;
pub use problem::Problem;
use progress::ProgressBars;

/// How the tool talks, decided.
#[derive(Clone, Copy, Debug)]
pub struct OutputOptions {
    /// 0 as usual, 1 and 2 more.
    pub verbosity: u8,
    /// Only errors.
    pub quiet: bool,
    /// Whether stderr is coloured.
    pub color: bool,
    /// Whether stdout carries one JSON document instead of lines.
    pub json: bool,
}

/// The user interface.
pub struct Ui {
    talk: OutputOptions,
    bars: ProgressBars,
    /// Another program, cargo, has the terminal: bars would tear its lines.
    lent: Arc<AtomicBool>,
    busy: Spinners,
}

impl std::fmt::Debug for Ui {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ui").field("talk", &self.talk).finish_non_exhaustive()
    }
}

impl Ui {
    /// An interface to the standard streams.
    pub fn new(talk: OutputOptions) -> Self {
        let terminal = !talk.quiet && io::stderr().is_terminal();
        let (bars, lent) = (ProgressBars::new(terminal), Arc::<AtomicBool>::default());
        let busy = Spinners::new(bars.shown(), terminal, lent.clone());
        Self { talk, bars, lent, busy }
    }

    /// How it talks.
    pub fn output_options(&self) -> OutputOptions {
        self.talk
    }

    /// A line as cargo writes them: a green verb, right-aligned in twelve columns, and what it is about.
    pub fn status(&self, verb: &str, about: impl Display) {
        if !self.talk.quiet {
            self.line(&format!("{} {about}", self.paint(style::GOOD, &format!("{verb:>12}"))));
        }
    }

    /// A status line that only `-v` shows.
    pub fn detail(&self, verb: &str, about: impl Display) {
        if self.talk.verbosity > 0 {
            self.status(verb, about);
        }
    }

    /// Work begins that is told of when it takes long; it ends with the guard.
    pub fn busy(&self, verb: &'static str, about: impl Display) -> impl Drop + '_ {
        struct ProgressHandle<'a>(&'a Ui, String);
        impl Drop for ProgressHandle<'_> {
            fn drop(&mut self) {
                self.0.busy.end(&self.1);
            }
        }
        let about = about.to_string();
        self.begin(&about, verb, &about);
        ProgressHandle(self, about)
    }

    /// Work for something begins, and what was done for it before has ended.
    fn begin(&self, subject: &str, verb: &'static str, about: &str) {
        if !self.talk.quiet {
            let line = format!("{} {about}", self.paint(style::GOOD, &format!("{verb:>12}")));
            self.busy.begin(subject, verb, about, line);
        }
    }

    /// A warning, which should say what to do.
    pub fn warning(&self, message: impl Display) {
        if !self.talk.quiet {
            self.line(&format!("{}: {message}", self.paint(style::WARN, "warning")));
        }
    }

    /// A note.
    pub fn note(&self, message: impl Display) {
        if !self.talk.quiet {
            self.line(&format!("{}: {message}", self.paint(style::NOTE, "note")));
        }
    }

    /// Problems of manifests, in rustc's look, or as a JSON document.
    pub fn diagnostics(&self, problems: &[Diagnostic]) {
        for problem in problems {
            let warning = problem.severity == union_build::diag::Severity::Warning;
            if !(warning && self.talk.quiet) {
                self.line(&diagnostics::render(problem, self.talk.color));
            }
        }
    }

    /// A failure: what was tried, why it failed, what to do next.
    pub fn error(&self, error: &Error) {
        let mut chain = error.chain().into_iter();
        let tried = chain.next().unwrap_or_default();
        let label = self.paint(style::ERROR, &format!("error[{}]", error.code()));
        let mut text = format!("{label}: {tried}");
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

    /// What a user's own program has said, as it said it.
    pub fn write_raw(&self, bytes: &[u8]) {
        self.bars.suspended(|| {
            // Nobody is left to tell when stderr itself is gone.
            let _ = io::stderr().lock().write_all(bytes);
        });
    }

    /// Data for stdout. A reader that has gone away is not a failure.
    ///
    /// # Errors
    /// When stdout cannot be written for another reason.
    pub fn data(&self, text: &str) -> io::Result<()> {
        match io::stdout().lock().write_all(text.as_bytes()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result,
        }
    }

    /// A JSON document for stdout, with the version of its schema.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn document(&self, command: &str, content: &impl Serialize) -> io::Result<()> {
        #[derive(Serialize)]
        struct Document<'a, T> {
            schema: u32,
            command: &'a str,
            #[serde(flatten)]
            content: &'a T,
        }
        let document = Document { schema: 1, command, content };
        let mut text = serde_json::to_string_pretty(&document).expect("documents are plain values, which always serialize");
        text.push('\n');
        self.data(&text)
    }

    /// Problems as a JSON document for stdout, when that carries JSON.
    pub fn failure(&self, problems: Vec<Problem>) {
        #[derive(Serialize)]
        struct FailureDocument {
            problems: Vec<Problem>,
        }
        if self.talk.json {
            // The same was said on stderr, and there is no other place to say that stdout is gone.
            let _ = self.document("failed", &FailureDocument { problems });
        }
    }

    /// Lends the terminal to another program until the guard is dropped.
    pub fn suspend_progress(&self) -> impl Drop + '_ {
        struct SuspendedProgress<'a>(&'a Ui);
        impl Drop for SuspendedProgress<'_> {
            fn drop(&mut self) {
                self.0.lent.store(false, Ordering::Relaxed);
            }
        }
        self.lent.store(true, Ordering::Relaxed);
        SuspendedProgress(self)
    }

    fn line(&self, text: &str) {
        self.bars.suspended(|| {
            // Nobody is left to tell when stderr itself is gone.
            let _ = writeln!(io::stderr().lock(), "{text}");
        });
    }

    fn paint(&self, style: anstyle::Style, text: &str) -> String {
        if self.talk.color { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}
