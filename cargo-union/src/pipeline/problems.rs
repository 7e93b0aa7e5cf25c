//! Problems of manifests, which end a command.

use union_build::diag::Diagnostic;

/// The manifests have problems, which are shown already.
#[derive(Debug, thiserror::Error)]
#[error("the manifests have problems")]
pub(crate) struct ManifestProblems(pub(crate) Vec<Diagnostic>);
