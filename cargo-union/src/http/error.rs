//! Why no usable answer came, before it is known who was asked for what.
//!
//! A fault becomes a failure of the room that asked, which knows the words for its servers and the
//! cure. Texts come from servers of others: they are cleaned and bounded here.

use std::error::Error as StdError;
use std::io;

use union_build::diag::Code;

use crate::sys::error::Error;

/// Longest text of others that a message repeats, in characters.
const LONGEST: usize = 300;

/// Why no usable answer came.
#[derive(Clone, Debug)]
pub(crate) struct TransportError {
    /// What kind of trouble it is.
    pub(crate) kind: TransportErrorKind,
    /// The cause, which names the host.
    pub(crate) cause: String,
    /// What to do next, when this room knows it.
    pub(crate) help: Option<String>,
}

/// What kind of trouble it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TransportErrorKind {
    /// No connection came about: nobody has heard the request. It may pass by itself.
    NoConnection,
    /// Nobody answers, or the line was cut; the request may have been heard. It may pass by itself.
    Unreachable,
    /// A proxy refuses to pass anything on: nobody else has heard the request, and it does not pass by itself.
    Refused,
    /// A host, `host[:port]`, speaks without encryption where it should not.
    Plain(String),
    /// The host cannot prove who it is, or speaks TLS in a way that is not safe.
    Untrusted,
    /// The host names an address that must not be used, or says more than anybody wants to hear.
    Misleading,
    /// Something of this machine, such as a file of authorities.
    Machine(Code),
}

impl TransportError {
    pub(crate) fn new(kind: TransportErrorKind, cause: impl Into<String>) -> Self {
        Self { kind, cause: cause.into(), help: None }
    }

    pub(crate) fn unreachable(cause: impl Into<String>) -> Self {
        Self::new(TransportErrorKind::Unreachable, cause)
    }

    pub(crate) fn misleading(cause: impl Into<String>) -> Self {
        Self::new(TransportErrorKind::Misleading, cause)
    }
}

impl From<Error> for TransportError {
    fn from(error: Error) -> Self {
        Self { help: Some(error.advice().to_owned()), ..Self::new(TransportErrorKind::Machine(error.code()), error.chain().join(": ")) }
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

/// What is below an error. An I/O error hides the one that it wraps from [`StdError::source`].
pub(super) fn below<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    wrapped.map(|wrapped| wrapped as _).or_else(|| error.source())
}

/// The causes below an error, each once, without the layers of the HTTP client.
pub(super) fn causes(error: &(dyn StdError + 'static)) -> String {
    let chain = std::iter::successors(below(error), |error| below(*error));
    let mut texts: Vec<String> = chain.map(ToString::to_string).filter(|text| !text.starts_with("client error (")).collect();
    texts.dedup();
    clean(&if texts.is_empty() { error.to_string() } else { texts.join(": ") })
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
    fn a_cause_that_an_io_error_wraps_is_found() {
        let wrapped = io::Error::other(io::Error::other("the very cause"));
        assert_eq!(causes(&io::Error::other(wrapped)), "the very cause");
    }
}
