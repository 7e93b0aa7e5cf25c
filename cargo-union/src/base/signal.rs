//! The door to signals: whoever runs the tool wants it to stop.

use tokio::signal::unix::{SignalKind, signal};

/// Waits for Ctrl-C, or for whoever asks the process to end.
pub async fn interrupted() {
    let Ok(mut end) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        Ok(()) = tokio::signal::ctrl_c() => {}
        Some(()) = end.recv() => {}
        else => std::future::pending().await,
    }
}
