//! What ends a stage of the pipeline: an error, or problems of manifests.

use union_build::diag::{Code, Diagnostic};

use crate::sys::error::Error;

/// The result of a stage.
pub(crate) type Result<T, E = PipelineError> = std::result::Result<T, E>;

/// Why a stage ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PipelineError {
    /// Something failed.
    #[error(transparent)]
    Failed(#[from] Error),
    /// The manifests are not valid.
    #[error(transparent)]
    Invalid(#[from] ManifestProblems),
}

/// At least one manifest, or the Flyte config, is invalid. The diagnostics are not shown yet.
#[derive(Debug, thiserror::Error)]
#[error("the manifests have problems")]
pub struct ManifestProblems(pub Vec<Diagnostic>);

impl PipelineError {
    /// Whether there is no package to work on.
    pub(crate) fn has_no_package(&self) -> bool {
        matches!(self.code(), Some(Code::NoManifest | Code::NothingDeclared))
    }

    /// The code of an error; `None` for problems of manifests, each of which has its own.
    pub(crate) fn code(&self) -> Option<Code> {
        match self {
            Self::Failed(error) => Some(error.code()),
            Self::Invalid(_) => None,
        }
    }
}
