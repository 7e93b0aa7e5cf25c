//! A log file of another program's output, with its last lines in memory for an error.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::error::Result;
use super::fs;

/// How many lines are stored for an error.
const LAST_LINES: usize = 20;

/// A log that is being written. Write errors are ignored: lines are still stored in memory, and a full disk is reported
/// elsewhere.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    state: Mutex<LogState>,
}

#[derive(Debug)]
struct LogState {
    file: File,
    last: VecDeque<String>,
}

impl Log {
    /// Creates the file, replacing an earlier log.
    ///
    /// # Errors
    /// `FileUnwritable`, `DiskFull`.
    pub fn begin(path: PathBuf) -> Result<Self> {
        if let Some(directory) = path.parent() {
            fs::create_directory(directory)?;
        }
        let file = File::create(&path).map_err(|cause| fs::unwritable(&path, cause))?;
        Ok(Self {
            path,
            state: Mutex::new(LogState {
                file,
                last: VecDeque::new(),
            }),
        })
    }

    /// The path of the log file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Starts a section, which clears the last lines.
    pub fn part(&self, title: &str) {
        let mut state = self.state();
        let _ = writeln!(state.file, "{title}");
        state.last.clear();
    }

    /// Adds a remark to the file only; it is not one of the last lines.
    pub fn remark(&self, text: &str) {
        let _ = writeln!(self.state().file, "{text}");
    }

    /// Adds a line of output.
    pub fn line(&self, text: &str) {
        let mut state = self.state();
        let _ = writeln!(state.file, "{text}");
        state.last.push_back(text.to_owned());
        if state.last.len() > LAST_LINES {
            state.last.pop_front();
        }
    }

    /// The last lines of the section.
    pub fn last(&self) -> Vec<String> {
        self.state().last.iter().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, LogState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
