//! The error type: what was attempted on what, the cause, and advice, as the user reads them.

use std::error::Error as StdError;
use std::fmt;

use union_build::diag::Code;

/// The result type of all modules.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure with its code. `Display` is what was attempted on what; [`source`](StdError::source) is the cause.
#[derive(Debug)]
pub struct Error(Box<ErrorParts>);

#[derive(Debug)]
struct ErrorParts {
    code: Code,
    message: String,
    cause: Option<Box<dyn StdError + Send + Sync>>,
    help: Option<String>,
}

impl Error {
    /// An error with what was attempted on what: `could not push layer sha256:… to ghcr.io/acme/app`.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self(Box::new(ErrorParts {
            code,
            message: message.into(),
            cause: None,
            help: None,
        }))
    }

    /// Sets the cause.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// Sets advice that replaces the code's general advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// The error code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The advice of this error, or else of its code.
    pub fn advice(&self) -> &str {
        self.0.help.as_deref().unwrap_or_else(|| self.0.code.help())
    }

    /// The message and the messages of all causes, outermost first, without repetitions.
    pub fn chain(&self) -> Vec<String> {
        let mut chain = vec![self.0.message.clone()];
        let mut cause = self.source();
        while let Some(error) = cause {
            chain.push(error.to_string());
            cause = error.source();
        }
        chain.dedup();
        chain
    }

    /// The code with the message and those of all causes: `[U0401] message: cause`.
    pub fn line(&self) -> String {
        format!("[{}] {}", self.code(), self.chain().join(": "))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.cause.as_ref().map(|cause| &**cause as _)
    }
}
