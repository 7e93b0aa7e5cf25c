//! Whoever does not wait for a build any longer has it stopped.

use std::time::Duration;

use super::RemoteBuildListener;
use crate::flyte::client::Client;
use crate::flyte::runs::{RunIdent, RunService as _};

/// How long the backend may take to hear of it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Stops a run when it is dropped before the run's end is known, such as by Ctrl-C.
pub(super) struct AbortGuard<'a> {
    pub(super) client: &'a Client,
    pub(super) run: &'a RunIdent,
    pub(super) listener: &'a dyn RemoteBuildListener,
    /// Whether there is nothing to stop any more.
    pub(super) over: bool,
}

impl Drop for AbortGuard<'_> {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        self.listener.stops(self.run);
        let (client, run) = (self.client.clone(), self.run.clone());
        // The runtime that we are in may be about to end: this brings its own, and is waited for.
        let stopping = std::thread::Builder::new().spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
            // Nobody is left to tell when it fails.
            let _ = runtime.block_on(async { tokio::time::timeout(PATIENCE, client.abort(&run, "interrupted")).await });
        });
        let _ = stopping.map(std::thread::JoinHandle::join);
    }
}
