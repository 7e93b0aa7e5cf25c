//! The error that carries the diagnostics of invalid manifests.

use union_build::diag::Diagnostic;

/// At least one manifest is invalid. The diagnostics are not shown yet.
#[derive(Debug, thiserror::Error)]
#[error("the manifests have problems")]
pub(crate) struct ManifestProblems(pub(crate) Vec<Diagnostic>);
