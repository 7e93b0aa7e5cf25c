//! Transport errors: why there is no usable response, independent of the server and the request.
//!
//! The callers convert a [`TransportError`] to their own errors, with the terms and the advice for their servers. Texts
//! from servers are sanitized and shortened here.

use std::error::Error as StdError;
use std::io;

use union_build::diag::Code;

use crate::sys::error::Error;

/// The maximum length of a server's text in a message, in characters.
const LONGEST: usize = 300;

/// Why there is no usable response.
#[derive(Clone, Debug)]
pub(crate) struct TransportError {
    pub(crate) kind: TransportErrorKind,
    /// The cause; it names the host.
    pub(crate) cause: String,
    /// Advice; `None` if there is none for this kind of error.
    pub(crate) help: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TransportErrorKind {
    /// No connection: the request was not received. May be transient.
    NoConnection,
    /// No response, or the connection was lost; the request may have been received. May be transient.
    Unreachable,
    /// A proxy refuses to connect: the server has not received the request. Not transient.
    Refused,
    /// A host, `host[:port]`, uses plain HTTP where TLS is required.
    Plain(String),
    /// The host's certificate is not trusted, or its TLS is not secure.
    Untrusted,
    /// The host returned an address that must not be used, or a response that is too long.
    Misleading,
    /// A problem of this machine, such as an invalid file of certificate authorities; with its error code.
    Machine(Code),
}

impl TransportError {
    pub(crate) fn new(kind: TransportErrorKind, cause: impl Into<String>) -> Self {
        Self {
            kind,
            cause: cause.into(),
            help: None,
        }
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
        Self {
            help: Some(error.advice().to_owned()),
            ..Self::new(
                TransportErrorKind::Machine(error.code()),
                error.chain().join(": "),
            )
        }
    }
}

/// Sanitizes a server's text: one line of limited length without control characters.
pub(crate) fn clean(text: &str) -> String {
    let words: Vec<&str> = text
        .split(|c: char| c.is_control() || c.is_whitespace())
        .filter(|word| !word.is_empty())
        .collect();
    let line = words.join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// The next error of the chain. [`StdError::source`] of an I/O error skips the error that it wraps.
pub(super) fn below<'a>(
    error: &'a (dyn StdError + 'static),
) -> Option<&'a (dyn StdError + 'static)> {
    let wrapped = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    wrapped
        .map(|wrapped| wrapped as _)
        .or_else(|| error.source())
}

/// The causes of an error without repetitions, and without those that the HTTP client adds.
pub(super) fn causes(error: &(dyn StdError + 'static)) -> String {
    let chain = std::iter::successors(below(error), |error| below(*error));
    let mut texts: Vec<String> = chain
        .map(ToString::to_string)
        .filter(|text| !text.starts_with("client error ("))
        .collect();
    texts.dedup();
    clean(&if texts.is_empty() {
        error.to_string()
    } else {
        texts.join(": ")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clean_gives_one_bounded_line_without_control_characters() {
        assert_eq!(clean("a\r\n\u{1b}[31m b\t\tc "), "a [31m b c");
        assert_eq!(clean(&"ä".repeat(1000)).chars().count(), LONGEST + 1);
    }

    #[test]
    fn causes_unwrap_nested_io_errors() {
        let wrapped = io::Error::other(io::Error::other("the very cause"));
        assert_eq!(causes(&io::Error::other(wrapped)), "the very cause");
    }
}
