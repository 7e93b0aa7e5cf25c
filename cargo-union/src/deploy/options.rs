//! Options of task registration.

use std::path::PathBuf;

use crate::pipeline::options::BuildOptions;

/// Options of `register`, and of a remote `run`, which registers its task first.
#[derive(Clone, Debug)]
pub struct RegisterOptions {
    /// How the images of the tasks are built.
    pub options: BuildOptions,
    /// `--version`; `None` derives the version from the tasks and their images.
    pub version: Option<String>,
    /// `--replace`: an existing version with another definition is replaced.
    pub replace: bool,
    /// `--require-clean`: uncommitted changes in the git working tree are an error.
    pub require_clean: bool,
    /// `--require-public`: an image that cannot be pulled without a login is an error.
    pub require_public: bool,
    /// `--output`: the absolute path of the directory to which requests are written.
    pub requests: Option<PathBuf>,
}
