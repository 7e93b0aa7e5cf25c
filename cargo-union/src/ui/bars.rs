//! Progress bars of blob transfers, drawn on a terminal only.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::publish::{Transfer, TransferKind};
use crate::run::DirectoryProgress;
use crate::sys::digest::Digest;

/// The minimum size in bytes of blobs with a progress bar.
pub(super) const MIN_BAR_SIZE: u64 = 1_000_000;

/// The bars of all transfers.
pub(super) struct ProgressBars {
    multi: MultiProgress,
    pub(super) terminal: bool,
    transfers: Mutex<HashMap<(Digest, TransferKind), ProgressBar>>,
    /// By path.
    directories: Mutex<HashMap<String, ProgressBar>>,
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
            directories: Mutex::default(),
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

    /// Draws the state of a transfer; its bar disappears at its end.
    pub(super) fn advance(&self, transfer: &Transfer<'_>) {
        let mut transfers = self
            .transfers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let key = (transfer.digest, transfer.kind);
        if transfer.done >= transfer.total {
            if let Some(bar) = transfers.remove(&key) {
                bar.finish_and_clear();
            }
            return;
        }
        let bar = transfers.entry(key).or_insert_with(|| {
            let bar = self.multi.add(ProgressBar::new(transfer.total));
            let verb = if transfer.kind == TransferKind::Download {
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

    /// Draws the state of the transfer of a directory; its bar disappears at its end.
    pub(super) fn advance_directory(
        &self,
        verb: &'static str,
        path: &str,
        progress: DirectoryProgress,
    ) {
        let DirectoryProgress { done, total } = progress;
        let mut directories = self
            .directories
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if done.files >= total.files {
            if let Some(bar) = directories.remove(path) {
                bar.finish_and_clear();
            }
            return;
        }
        let bar = directories.entry(path.to_owned()).or_insert_with(|| {
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

impl fmt::Debug for ProgressBars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProgressBars")
            .field("terminal", &self.terminal)
            .finish_non_exhaustive()
    }
}
