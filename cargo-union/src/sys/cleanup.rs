//! Asynchronous work of destructors.

use std::future::Future;
use std::time::Duration;

/// Runs a future to its end, or to the time limit, and returns then. Its failure cannot be reported.
///
/// The current runtime may be shutting down, such as after Ctrl-C, so the future gets a thread with its own runtime.
pub(crate) fn block_on(limit: Duration, future: impl Future + Send + 'static) {
    let thread = std::thread::Builder::new().spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
        else {
            return;
        };
        let _ = runtime.block_on(async { tokio::time::timeout(limit, future).await });
    });
    let _ = thread.map(std::thread::JoinHandle::join);
}
