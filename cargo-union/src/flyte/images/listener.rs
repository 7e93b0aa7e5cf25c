//! Progress events of a build by the backend.

use crate::flyte::runs::{RunIdent, RunListener};

/// Receives progress events of a build.
pub trait RemoteBuildListener: RunListener {
    /// The builder task was started.
    fn build_started(&self, run: &RunIdent);

    /// The builder task is being aborted, because the build was cancelled.
    fn build_aborting(&self, run: &RunIdent);
}
