//! A log of what somebody else does: a file for later, and its last lines for an error.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::error::Result;
use super::fs;

/// How many lines an error shows.
const LAST: usize = 20;

/// A log that is being written. What cannot be written to its file is still among its last lines: a full disk
/// ends the work elsewhere, with an error that says so.
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
    /// Begins the file anew.
    ///
    /// # Errors
    /// `FileUnwritable`, `DiskFull`.
    pub fn begin(path: PathBuf) -> Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_folder(folder)?;
        }
        let file = File::create(&path).map_err(|cause| fs::unwritable(&path, cause))?;
        Ok(Self { path, state: Mutex::new(LogState { file, last: VecDeque::new() }) })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Begins a part: only its own lines are the last ones from here on.
    pub fn part(&self, title: &str) {
        let mut state = self.state();
        let _ = writeln!(state.file, "{title}");
        state.last.clear();
    }

    /// Adds a remark, which is no line of anybody's.
    pub fn remark(&self, text: &str) {
        let _ = writeln!(self.state().file, "{text}");
    }

    /// Adds a line.
    pub fn line(&self, text: &str) {
        let mut state = self.state();
        let _ = writeln!(state.file, "{text}");
        state.last.push_back(text.to_owned());
        if state.last.len() > LAST {
            state.last.pop_front();
        }
    }

    /// The last lines of the part.
    pub fn last(&self) -> Vec<String> {
        self.state().last.iter().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, LogState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
