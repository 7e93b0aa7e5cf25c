//! Aborts a build that is no longer awaited.

use std::time::Duration;

use super::listener::RemoteBuildListener;
use crate::flyte::client::Client;
use crate::flyte::runs::{RunIdent, RunService as _};
use crate::sys::cleanup;

/// The time limit of the abort call.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// Aborts a run when it is dropped before the run has ended, such as by Ctrl-C.
pub(super) struct AbortGuard<'a> {
    pub(super) client: &'a Client,
    pub(super) run: &'a RunIdent,
    pub(super) listener: &'a dyn RemoteBuildListener,
    /// Whether the run has ended, so that there is nothing to abort.
    pub(super) finished: bool,
}

impl Drop for AbortGuard<'_> {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        self.listener.build_aborting(self.run);
        let client = self.client.clone();
        let run = self.run.clone();
        cleanup::block_on(TIME_LIMIT, async move {
            client.abort(&run, "interrupted").await
        });
    }
}
