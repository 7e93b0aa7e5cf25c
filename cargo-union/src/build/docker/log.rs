//! The log of one build: a file for later, the last lines for the error, steps for whoever watches.

use std::collections::VecDeque;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::secrets::Secrets;
use crate::base::error::Result;
use crate::base::fs;
use crate::build::Reporter;
use crate::engine::Listener;

/// How many lines an error shows.
const LAST: usize = 20;

/// A log that is being written. What cannot be written to its file is still told.
pub(super) struct Log<'a> {
    image: &'a str,
    secrets: &'a Secrets,
    reporter: &'a dyn Reporter,
    path: PathBuf,
    state: Mutex<State>,
}

struct State {
    file: std::fs::File,
    last: VecDeque<String>,
}

impl<'a> Log<'a> {
    /// Begins the file anew.
    pub(super) fn begin(path: &Path, image: &'a str, secrets: &'a Secrets, reporter: &'a dyn Reporter) -> Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_folder(folder)?;
        }
        let file = std::fs::File::create(path).map_err(|cause| fs::unwritable(path, cause))?;
        Ok(Self { image, secrets, reporter, path: path.to_owned(), state: Mutex::new(State { file, last: VecDeque::new() }) })
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A text without secrets.
    pub(super) fn scrub(&self, text: &str) -> String {
        self.secrets.scrub(text)
    }

    /// The last lines that the failing step has written.
    pub(super) fn last(&self) -> Vec<String> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).last.iter().cloned().collect()
    }

    fn write(&self, line: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // A full disk ends the build elsewhere, with an error that says so.
        let _ = writeln!(state.file, "{line}");
    }
}

impl Listener for Log<'_> {
    fn step(&self, name: &str) {
        let name = self.scrub(name);
        self.write(&format!("==> {name}"));
        self.state.lock().unwrap_or_else(PoisonError::into_inner).last.clear();
        if name.contains(" RUN ") {
            self.reporter.runs(self.image, &shown(&name));
        } else {
            self.reporter.step(self.image, &shown(&name));
        }
    }

    fn remembered(&self, name: &str) {
        let name = self.scrub(name);
        self.write(&format!("==> {name} (remembered)"));
        self.reporter.step(self.image, &format!("{} (remembered)", shown(&name)));
    }

    fn line(&self, text: &str) {
        let text = self.scrub(text);
        self.write(&text);
        self.reporter.line(self.image, &text);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.last.push_back(text);
        if state.last.len() > LAST {
            state.last.pop_front();
        }
    }
}

/// A step as people read it: of a list of arguments only the command, and of a long one its beginning.
pub(super) fn shown(step: &str) -> String {
    const LONGEST: usize = 100;
    let (head, list) = step.split_once(" RUN ").unwrap_or((step, ""));
    let words: Option<Vec<String>> = list.find("[\"").and_then(|start| serde_json::from_str(&list[start..]).ok());
    let text = match words.as_ref().and_then(|words| words.last()) {
        Some(command) => format!("{head} RUN {}", command.trim()),
        None => step.to_owned(),
    };
    let line = text.lines().next().unwrap_or_default();
    let cut: String = line.chars().take(LONGEST).collect();
    if cut.len() < text.len() { format!("{cut}…") } else { cut }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn a_step_is_shown_by_what_it_runs() {
        let step = r#"[2/4] RUN --mount=type=cache,target=/a ["/usr/bin/env","A=b","/bin/sh","-c","echo \"[1]\""]"#;
        assert_eq!(shown(step), r#"[2/4] RUN echo "[1]""#);
        assert_eq!(shown("[3/4] COPY [a,/b]"), "[3/4] COPY [a,/b]");
        assert_eq!(shown(r#"[2/4] RUN ["/bin/sh","-c","one\ntwo"]"#), "[2/4] RUN one…");
        assert_eq!(shown(&format!("1/2: {}", "x".repeat(200))).chars().count(), 101);
    }
}
