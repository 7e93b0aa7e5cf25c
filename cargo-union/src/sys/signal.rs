//! SIGINT and SIGTERM handling.
//!
//! Ctrl-C is delivered to child processes as well, which may exit before this process has received the signal. So when a
//! child process has failed, [`explains_failure`] finds out whether a signal is the reason.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

#[cfg(unix)]
use tokio::signal::unix::{SignalKind, signal};

const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// The most significant way in which a child process has ended so far: successfully, with another exit code, terminated
/// by SIGTERM or with the exit code of a shell after a signal, or by SIGINT.
static WORST_EXIT: AtomicU8 = AtomicU8::new(SUCCEEDED);
const SUCCEEDED: u8 = 0;
const FAILED: u8 = 1;
const TERMINATED: u8 = 2;
const INTERRUPTED: u8 = 3;

/// Waits for SIGINT or SIGTERM.
#[cfg(unix)]
pub async fn interrupted() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        Ok(()) = tokio::signal::ctrl_c() => {}
        Some(()) = terminate.recv() => {}
        else => std::future::pending().await,
    }
}

/// Waits for Ctrl-C.
#[cfg(windows)]
pub async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}

/// Records the exit code of a failed child process, or the signal that terminated it.
pub(super) fn note_failure(code: Option<i32>, signal: Option<i32>) {
    WORST_EXIT.fetch_max(classify_exit(code, signal), Ordering::Relaxed);
}

fn classify_exit(code: Option<i32>, signal: Option<i32>) -> u8 {
    match (code, signal) {
        (_, Some(SIGINT)) => INTERRUPTED,
        (_, Some(SIGTERM)) => TERMINATED,
        // A shell's exit code when its command was terminated by one of the two signals.
        (Some(code), _) if code == 128 + SIGINT || code == 128 + SIGTERM => TERMINATED,
        _ => FAILED,
    }
}

/// Whether a signal is the cause of a failure. When a child process has failed, it waits for [`interrupted`] for as long as
/// the system may take to deliver the signal to this process too.
pub async fn explains_failure(interrupted: impl Future<Output = ()>) -> bool {
    let timeout = match WORST_EXIT.load(Ordering::Relaxed) {
        SUCCEEDED => return false,
        INTERRUPTED => return true,
        TERMINATED => Duration::from_secs(2),
        _ => Duration::from_millis(100),
    };
    tokio::time::timeout(timeout, interrupted).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exits_are_classified_by_code_and_signal() {
        assert_eq!(classify_exit(None, Some(2)), INTERRUPTED);
        assert_eq!(
            [
                classify_exit(None, Some(15)),
                classify_exit(Some(130), None),
                classify_exit(Some(143), None)
            ],
            [TERMINATED; 3]
        );
        assert_eq!(
            [
                classify_exit(Some(1), None),
                classify_exit(Some(101), None),
                classify_exit(None, Some(9)),
                classify_exit(None, None)
            ],
            [FAILED; 4]
        );
    }
}
