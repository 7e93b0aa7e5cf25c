//! Aborts a build that is no longer awaited.

use std::time::Duration;

use super::RemoteBuildListener;
use crate::flyte::client::Client;
use crate::flyte::runs::{RunIdent, RunService as _};

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
        self.listener.stops(self.run);
        let client = self.client.clone();
        let run = self.run.clone();
        // The current runtime may be shutting down, so the call has a thread with its own runtime, which is joined.
        let aborting = std::thread::Builder::new().spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
            else {
                return;
            };
            // The process is being interrupted: a failure of the abort is not reported.
            let _ = runtime.block_on(async {
                tokio::time::timeout(TIME_LIMIT, client.abort(&run, "interrupted")).await
            });
        });
        let _ = aborting.map(std::thread::JoinHandle::join);
    }
}
