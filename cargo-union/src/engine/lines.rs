//! Reads progress messages of an engine line by line.

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde::Deserialize;

use super::innermost;

/// Calls `line` for each line of a response body as it arrives.
///
/// # Errors
/// Why the connection to the engine was lost.
pub(super) async fn for_each_line(
    mut body: Incoming,
    mut line: impl FnMut(&str),
) -> Result<(), String> {
    let mut lines = Lines::default();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|cause| format!("connection lost: {}", innermost(&cause)))?;
        if let Ok(bytes) = frame.into_data() {
            lines.push(&bytes, &mut line);
        }
    }
    lines.finish(line);
    Ok(())
}

/// A progress message in JSON.
#[derive(Deserialize)]
pub(super) struct EngineMessage {
    pub(super) stream: Option<String>,
    error: Option<String>,
    /// An error in the request itself.
    message: Option<String>,
}

impl EngineMessage {
    /// `None` when the line is not such a message.
    pub(super) fn parse(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }

    /// The error in the message, if any.
    pub(super) fn error_text(self) -> Option<String> {
        self.error.or(self.message)
    }
}

/// Splits chunks of bytes into lines. Of a line that overwrites itself with `\r`, as progress bars do, only the last state
/// is returned.
#[derive(Debug, Default)]
pub(super) struct Lines(Vec<u8>);

/// The maximum length of a line; a longer one is split.
const MAX_LENGTH: usize = 1 << 20;

impl Lines {
    /// Adds a chunk and calls `line` for each line that it completes.
    pub(super) fn push(&mut self, bytes: &[u8], mut line: impl FnMut(&str)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.0.extend_from_slice(piece);
            if self.0.ends_with(b"\n") || self.0.len() > MAX_LENGTH {
                line(&decode_line(&std::mem::take(&mut self.0)));
            }
        }
    }

    /// Calls `line` for the last line, if it has no line end.
    pub(super) fn finish(self, line: impl FnOnce(&str)) {
        if !self.0.is_empty() {
            line(&decode_line(&self.0));
        }
    }
}

fn decode_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end_matches(['\n', '\r']);
    text.rsplit('\r').next().unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_assembled_from_chunks() {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        for piece in ["one\nt", "wo\r\n10%\r20", "%\rdone\n", "rest"] {
            lines.push(piece.as_bytes(), |line| seen.push(line.to_owned()));
        }
        lines.finish(|line| seen.push(line.to_owned()));
        assert_eq!(seen, ["one", "two", "done", "rest"]);
    }

    #[test]
    fn line_without_end_is_split() {
        let mut lines = Lines::default();
        let mut seen = 0;
        for _ in 0..5 {
            lines.push(&vec![b'x'; MAX_LENGTH], |line| seen += line.len());
        }
        assert_eq!((seen, lines.0.len()), (4 * MAX_LENGTH, MAX_LENGTH));
    }
}
