//! The progress of a build: blob transfers as bars on a terminal, and plain lines.

use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use union_build::diag::Diagnostic;

use super::bars::MIN_BAR_SIZE;
use super::{Ui, bytes};
use crate::publish::{Transfer, TransferKind};
use crate::run::DirectoryProgress;
use crate::{build, pipeline, publish, workspace};

impl Ui {
    /// Advances the bar of a directory, on a terminal.
    pub(super) fn advance_directory(
        &self,
        verb: &'static str,
        path: &str,
        progress: DirectoryProgress,
    ) {
        if self.bars.terminal && !self.suspended.load(std::sync::atomic::Ordering::Relaxed) {
            self.bars.advance_directory(verb, path, progress);
        }
    }
}

impl pipeline::Reporter for Ui {
    fn status(&self, verb: &str, about: &dyn Display) {
        Self::status(self, verb, about);
    }

    fn detail(&self, verb: &str, about: &dyn Display) {
        Self::detail(self, verb, about);
    }

    fn diagnostics(&self, problems: &[Diagnostic]) {
        Self::diagnostics(self, problems);
    }

    fn busy<'a>(
        &'a self,
        verb: &'static str,
        about: &dyn Display,
    ) -> Box<dyn pipeline::Guard + 'a> {
        Box::new(Self::busy(self, verb, about))
    }

    fn suspend_progress<'a>(&'a self) -> Box<dyn pipeline::Guard + 'a> {
        Box::new(Self::suspend_progress(self))
    }

    fn write_raw(&self, bytes: &[u8]) {
        Self::write_raw(self, bytes);
    }

    fn shows_logs(&self) -> bool {
        self.output_options().verbosity > 1
    }
}

impl publish::Reporter for Ui {
    fn credentials(&self, host: &str, source: &str) {
        self.detail("Credentials", format!("for {host} from {source}"));
    }

    fn warning(&self, text: &str) {
        Ui::warning(self, text);
    }

    fn retrying(&self, what: &str, why: &str, after: Duration) {
        self.status(
            "Retrying",
            format!("{what} in {:.1} s: {why}", after.as_secs_f64()),
        );
    }

    fn transfer(&self, transfer: &Transfer<'_>) {
        let blob = &transfer.digest.hex()[..12];
        let size = bytes(transfer.total);
        match transfer.kind {
            TransferKind::Upload | TransferKind::Download => {
                if transfer.done == 0 {
                    let (verb, preposition) = if transfer.kind == TransferKind::Upload {
                        ("Pushing", "to")
                    } else {
                        ("Fetching", "from")
                    };
                    let about = format!("{blob} ({size}) {preposition} {}", transfer.place);
                    if transfer.total >= MIN_BAR_SIZE {
                        self.status(verb, about)
                    } else {
                        self.detail(verb, about)
                    }
                }
                let suspended = self.suspended.load(std::sync::atomic::Ordering::Relaxed);
                if self.bars.terminal && !suspended && transfer.total >= MIN_BAR_SIZE {
                    self.bars.advance(transfer);
                }
            }
            TransferKind::Mount if transfer.done == transfer.total => {
                self.detail("Mounted", format!("{blob} ({size}) at {}", transfer.place))
            }
            TransferKind::Present if transfer.done == transfer.total => {
                self.detail("Present", format!("{blob} ({size}) at {}", transfer.place))
            }
            TransferKind::Mount | TransferKind::Present => {}
        }
    }
}

impl build::Reporter for Ui {
    fn step(&self, image: &str, step: &str) {
        let about = format!("{image}: {step}");
        // With `-v` every step is printed at once.
        if self.output_options().verbosity > 0 {
            self.status("Building", about)
        } else {
            self.begin(image, "Building", &about)
        }
    }

    fn ended(&self, image: &str) {
        self.spinners.end(image);
    }

    fn runs(&self, image: &str, step: &str) {
        self.spinners.end(image);
        self.status("Building", format!("{image}: {step}"));
    }

    fn line(&self, image: &str, line: &str) {
        if self.output_options().verbosity > 1 {
            self.status("", format!("{image}: {line}"));
        }
    }
}

impl workspace::Reporter for Ui {
    fn note(&self, text: &str) {
        Ui::note(self, text);
    }

    fn waiting_for_lock(&self, path: &Path) {
        self.status(
            "Blocking",
            format!(
                "waiting for another `cargo union`, which holds the lock `{}`",
                path.display()
            ),
        );
    }

    fn compiling(&self, package: &str, target: &str) {
        self.detail("Compiling", format!("{package} for {target}"));
    }
}
