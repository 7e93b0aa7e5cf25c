//! The log of one build, and the steps for whoever watches.

use std::path::{Path, PathBuf};

use super::secrets::Secrets;
use crate::base::error::Result;
use crate::base::log;
use crate::build::Reporter;
use crate::engine::Listener;

/// A log that is being written, without secrets.
pub(super) struct Log<'a> {
    image: &'a str,
    secrets: &'a Secrets,
    reporter: &'a dyn Reporter,
    written: log::Log,
}

impl<'a> Log<'a> {
    /// Begins the file anew.
    pub(super) fn begin(path: PathBuf, image: &'a str, secrets: &'a Secrets, reporter: &'a dyn Reporter) -> Result<Self> {
        Ok(Self { image, secrets, reporter, written: log::Log::begin(path)? })
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        self.written.path()
    }

    /// A text without secrets.
    pub(super) fn scrub(&self, text: &str) -> String {
        self.secrets.scrub(text)
    }

    /// The last lines that the failing step has written.
    pub(super) fn last(&self) -> Vec<String> {
        self.written.last()
    }
}

impl Listener for Log<'_> {
    fn step(&self, name: &str) {
        let name = self.scrub(name);
        self.written.part(&format!("==> {name}"));
        if name.contains(" RUN ") {
            self.reporter.runs(self.image, &shown(&name));
        } else {
            self.reporter.step(self.image, &shown(&name));
        }
    }

    fn remembered(&self, name: &str) {
        let name = self.scrub(name);
        self.written.remark(&format!("==> {name} (remembered)"));
        self.reporter.step(self.image, &format!("{} (remembered)", shown(&name)));
    }

    fn line(&self, text: &str) {
        let text = self.scrub(text);
        self.written.line(&text);
        self.reporter.line(self.image, &text);
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
