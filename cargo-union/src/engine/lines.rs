//! What an engine tells while it works, line by line.

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde::Deserialize;

use super::innermost;

/// Hands out the lines of an answer as they come.
///
/// # Errors
/// Why the line to the engine broke.
pub(super) async fn each_line(mut body: Incoming, mut line: impl FnMut(&str)) -> Result<(), String> {
    let mut lines = Lines::default();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|cause| format!("the line to it broke: {}", innermost(&cause)))?;
        if let Ok(bytes) = frame.into_data() {
            lines.push(&bytes, &mut line);
        }
    }
    lines.finish(line);
    Ok(())
}

/// A line of an answer that tells in JSON how the work goes on.
#[derive(Deserialize)]
pub(super) struct EngineMessage {
    pub(super) stream: Option<String>,
    error: Option<String>,
    /// What is wrong with the request itself.
    message: Option<String>,
}

impl EngineMessage {
    /// `None` for a line of another kind.
    pub(super) fn read(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }

    /// What went wrong.
    pub(super) fn wrong(self) -> Option<String> {
        self.error.or(self.message)
    }
}

/// Lines out of pieces that end anywhere. Progress bars overwrite themselves: only their last state
/// is a line.
#[derive(Debug, Default)]
pub(super) struct Lines(Vec<u8>);

/// A line is handed out in parts of this size when it does not end.
const LONGEST: usize = 1 << 20;

impl Lines {
    /// Takes a piece, and hands out the lines that it completes.
    pub(super) fn push(&mut self, bytes: &[u8], mut line: impl FnMut(&str)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.0.extend_from_slice(piece);
            if self.0.ends_with(b"\n") || self.0.len() > LONGEST {
                line(&shown(&std::mem::take(&mut self.0)));
            }
        }
    }

    /// Hands out what is left without an end.
    pub(super) fn finish(self, line: impl FnOnce(&str)) {
        if !self.0.is_empty() {
            line(&shown(&self.0));
        }
    }
}

fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end_matches(['\n', '\r']);
    text.rsplit('\r').next().unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_however_they_are_cut() {
        let (mut lines, mut seen) = (Lines::default(), Vec::new());
        for piece in ["one\nt", "wo\r\n10%\r20", "%\rdone\n", "rest"] {
            lines.push(piece.as_bytes(), |line| seen.push(line.to_owned()));
        }
        lines.finish(|line| seen.push(line.to_owned()));
        assert_eq!(seen, ["one", "two", "done", "rest"]);
    }

    #[test]
    fn a_line_without_an_end_is_not_kept_whole() {
        let (mut lines, mut seen) = (Lines::default(), 0);
        for _ in 0..5 {
            lines.push(&vec![b'x'; LONGEST], |line| seen += line.len());
        }
        assert_eq!((seen, lines.0.len()), (4 * LONGEST, LONGEST));
    }
}
