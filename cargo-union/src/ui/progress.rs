//! Progress of blob transfers: bars on a terminal, plain lines otherwise.

use std::collections::HashMap;
use std::fmt::{self, Display};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use union_build::diag::Diagnostic;

use super::{Ui, bytes};
use crate::publish::{Transfer, TransferKind};
use crate::run::FolderProgress;
use crate::sys::digest::Digest;
use crate::{build, pipeline, publish, workspace};

/// The minimum size of blobs with a progress bar.
const MIN_BAR_SIZE: u64 = 1_000_000;

pub(super) struct ProgressBars {
    multi: MultiProgress,
    terminal: bool,
    transfers: Mutex<HashMap<(Digest, TransferKind), ProgressBar>>,
    /// By path.
    folders: Mutex<HashMap<String, ProgressBar>>,
}

impl ProgressBars {
    pub(super) fn new(terminal: bool) -> Self {
        let target = if terminal {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        Self {
            multi: MultiProgress::with_draw_target(target),
            terminal,
            transfers: Mutex::default(),
            folders: Mutex::default(),
        }
    }

    /// The set of bars, to which spinners are added.
    pub(super) fn multi_progress(&self) -> MultiProgress {
        self.multi.clone()
    }

    /// Hides the bars while `write` prints lines.
    pub(super) fn suspend(&self, write: impl FnOnce()) {
        if self.terminal {
            self.multi.suspend(write)
        } else {
            write()
        }
    }

    fn advance(&self, transfer: &Transfer<'_>) {
        let mut transfers = self
            .transfers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let key = (transfer.digest, transfer.way);
        if transfer.done >= transfer.total {
            if let Some(bar) = transfers.remove(&key) {
                bar.finish_and_clear();
            }
            return;
        }
        let bar = transfers.entry(key).or_insert_with(|| {
            let bar = self.multi.add(ProgressBar::new(transfer.total));
            let verb = if transfer.way == TransferKind::Download {
                "Fetching"
            } else {
                "Pushing"
            };
            let style = ProgressStyle::with_template(
                "{prefix:>12.cyan.bold} [{bar:25}] {decimal_bytes}/{decimal_total_bytes} {msg}",
            );
            bar.set_style(style.expect("the template is valid").progress_chars("=> "));
            bar.set_prefix(verb);
            bar.set_message(format!(
                "{} {}",
                &transfer.digest.hex()[..12],
                transfer.place
            ));
            bar
        });
        bar.set_position(transfer.done);
    }
}

impl ProgressBars {
    fn advance_folder(&self, verb: &'static str, path: &str, progress: FolderProgress) {
        let FolderProgress { done, total } = progress;
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        if done.files >= total.files {
            if let Some(bar) = folders.remove(path) {
                bar.finish_and_clear();
            }
            return;
        }
        let bar = folders.entry(path.to_owned()).or_insert_with(|| {
            let bar = self.multi.add(ProgressBar::new(total.bytes));
            let style = ProgressStyle::with_template(
                "{prefix:>12.cyan.bold} [{bar:25}] {decimal_bytes}/{decimal_total_bytes} {msg}",
            );
            bar.set_style(style.expect("the template is valid").progress_chars("=> "));
            bar.set_prefix(verb);
            bar
        });
        bar.set_position(done.bytes);
        bar.set_message(format!("{}/{} files of {path}", done.files, total.files));
    }
}

impl Ui {
    /// Advances the bar of a folder, on a terminal.
    pub(super) fn advance_folder(&self, verb: &'static str, path: &str, progress: FolderProgress) {
        if self.bars.terminal && !self.suspended.load(std::sync::atomic::Ordering::Relaxed) {
            self.bars.advance_folder(verb, path, progress);
        }
    }
}

impl fmt::Debug for ProgressBars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProgressBars")
            .field("terminal", &self.terminal)
            .finish_non_exhaustive()
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
        match transfer.way {
            TransferKind::Upload | TransferKind::Download => {
                if transfer.done == 0 {
                    let (verb, preposition) = if transfer.way == TransferKind::Upload {
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
