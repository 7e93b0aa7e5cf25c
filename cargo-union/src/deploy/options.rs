//! What a caller of the registration decides.

use std::path::PathBuf;

use crate::pipeline::options::BuildOptions;

/// What `register` works with.
#[derive(Debug)]
pub struct RegisterOptions {
    /// What is built.
    pub work: BuildOptions,
    /// `--version`
    pub version: Option<String>,
    /// `--replace`
    pub replace: bool,
    /// `--require-clean`
    pub require_clean: bool,
    /// `--require-public`
    pub require_public: bool,
    /// `--output`: where requests are written, absolute.
    pub requests: Option<PathBuf>,
}
