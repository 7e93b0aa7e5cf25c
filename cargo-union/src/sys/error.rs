//! The error that a user reads: what was tried on what, why it failed, and what to do next.

use std::error::Error as StdError;
use std::fmt;

use union_build::diag::Code;

/// What every room returns when something fails.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure with its code. `Display` is what was tried, on what; [`source`](StdError::source) is why.
#[derive(Debug)]
pub struct Error(Box<ErrorParts>);

#[derive(Debug)]
struct ErrorParts {
    code: Code,
    tried: String,
    cause: Option<Box<dyn StdError + Send + Sync>>,
    help: Option<String>,
}

impl Error {
    /// What was tried, on what: `could not push layer sha256:… to ghcr.io/acme/app`.
    pub fn new(code: Code, tried: impl Into<String>) -> Self {
        Self(Box::new(ErrorParts { code, tried: tried.into(), cause: None, help: None }))
    }

    /// Why it failed.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// What to do next, when there is more to say than the code's own cure.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// The unique code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// What to do next.
    pub fn advice(&self) -> &str {
        self.0.help.as_deref().unwrap_or_else(|| self.0.code.cure())
    }

    /// What was tried and every cause, outermost first.
    pub fn chain(&self) -> Vec<String> {
        let mut chain = vec![self.0.tried.clone()];
        let mut cause = self.source();
        while let Some(error) = cause {
            chain.push(error.to_string());
            cause = error.source();
        }
        chain.dedup();
        chain
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.tried)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.cause.as_ref().map(|cause| &**cause as _)
    }
}
