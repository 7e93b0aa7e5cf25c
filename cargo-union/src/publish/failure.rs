//! Why a registry did not do what it was asked, before it is known what that was for.
//!
//! A failure becomes an [`Error`] at the edge of this room, where the image and the purpose are
//! known. Its texts come from servers and files of others: they are cleaned and bounded here, and
//! secrets never get into them.

use std::error::Error as StdError;
use std::time::Duration;

use union_build::diag::Code;

use crate::base::error::Error;

/// Longest text of others that a message repeats, in characters.
const LONGEST: usize = 300;

/// Why something failed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// The code, in the words of publishing; [`into_base_error`](Self::into_base_error) translates.
    pub(crate) code: Code,
    /// The cause, without what was tried.
    pub(crate) cause: String,
    /// What to do next, when there is more to say than the code's own cure.
    pub(crate) help: Option<String>,
    /// Whether it may pass by itself.
    pub(crate) again: bool,
    /// The pause that the server asked for.
    pub(crate) pause: Option<Duration>,
}

impl Failure {
    pub(crate) fn new(code: Code, cause: impl Into<String>) -> Self {
        Self { code, cause: cause.into(), help: None, again: false, pause: None }
    }

    /// A failure that may pass by itself.
    pub(crate) fn passing(code: Code, cause: impl Into<String>) -> Self {
        Self { again: true, ..Self::new(code, cause) }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The error of something that was to be published.
    pub(crate) fn into_error(self, tried: impl Into<String>) -> Error {
        let error = Error::new(self.code, tried).because(self.cause);
        match self.help {
            Some(help) => error.help(help),
            None => error,
        }
    }

    /// The error of a base that was to be read.
    pub(crate) fn into_base_error(mut self, tried: impl Into<String>) -> Error {
        self.code = match self.code {
            Code::RegistryDenied => Code::BaseDenied,
            Code::RegistryUnreachable | Code::RegistryFailed => Code::BaseUnreachable,
            Code::DigestMismatch => Code::BaseCorrupt,
            other => other,
        };
        self.into_error(tried)
    }
}

/// An error of the machine at hand (a file, the disk) keeps its code.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(error.code(), error.chain().join(": ")).help(error.advice())
    }
}

/// Text of others in one bounded line without control characters.
pub(crate) fn clean(text: &str) -> String {
    let words: Vec<&str> = text.split(|c: char| c.is_control() || c.is_whitespace()).filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// The causes below an error, each once.
pub(crate) fn causes(error: &dyn StdError) -> String {
    let mut texts = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        texts.push(error.to_string());
        cause = error.source();
    }
    // Wrappers repeat what they wrap: a text that the next one contains says nothing.
    let told: Vec<&str> = texts
        .iter()
        .enumerate()
        .filter(|(at, text)| !texts[at + 1..].iter().any(|next| text.contains(next.as_str())))
        .map(|(_, text)| text.as_str())
        .collect();
    clean(&if told.is_empty() { error.to_string() } else { told.join(": ") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_is_one_bounded_line_without_control_characters() {
        assert_eq!(clean("a\r\n\u{1b}[31m b\t\tc "), "a [31m b c");
        assert_eq!(clean(&"ä".repeat(1000)).chars().count(), LONGEST + 1);
    }

    #[test]
    fn a_base_has_codes_of_its_own() {
        for (code, base) in [
            (Code::RegistryDenied, Code::BaseDenied),
            (Code::RegistryFailed, Code::BaseUnreachable),
            (Code::DigestMismatch, Code::BaseCorrupt),
            (Code::DiskFull, Code::DiskFull),
        ] {
            assert_eq!(Failure::new(code, "x").into_base_error("y").code(), base);
        }
    }
}
