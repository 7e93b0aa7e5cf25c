//! The door to signals: whoever runs the tool wants it to stop.
//!
//! Ctrl-C reaches the programs that were started as well, and these may have ended before this process has noticed.
//! So a failure after which a program has ended badly is looked at twice: [`explains_failure`].

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// How programs have ended so far, the most telling of all: none badly, with an exit code, as a signal or a shell
/// after a signal would have it, by SIGINT itself.
static ENDINGS: AtomicU8 = AtomicU8::new(FINE);
const FINE: u8 = 0;
const FAILED: u8 = 1;
const ASKED_TO_END: u8 = 2;
const INTERRUPTED: u8 = 3;

/// Waits for Ctrl-C, or for whoever asks the process to end.
pub async fn interrupted() {
    let Ok(mut end) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        Ok(()) = tokio::signal::ctrl_c() => {}
        Some(()) = end.recv() => {}
        else => std::future::pending().await,
    }
}

/// Notes how a program has failed: its exit code, or the signal that ended it.
pub(super) fn note_failure(code: Option<i32>, signal: Option<i32>) {
    ENDINGS.fetch_max(ending(code, signal), Ordering::Relaxed);
}

fn ending(code: Option<i32>, signal: Option<i32>) -> u8 {
    match (code, signal) {
        (_, Some(SIGINT)) => INTERRUPTED,
        (_, Some(SIGTERM)) => ASKED_TO_END,
        // Shells end so when what they ran was ended by one of the two.
        (Some(code), _) if code == 128 + SIGINT || code == 128 + SIGTERM => ASKED_TO_END,
        _ => FAILED,
    }
}

/// Whether an interrupt is why something has failed. It waits for [`interrupted`] when a program has failed, for as
/// long as the system may need to deliver a signal to this process that another one has had already.
pub async fn explains_failure(interrupted: impl Future<Output = ()>) -> bool {
    let moment = match ENDINGS.load(Ordering::Relaxed) {
        FINE => return false,
        INTERRUPTED => return true,
        ASKED_TO_END => Duration::from_secs(2),
        _ => Duration::from_millis(100),
    };
    tokio::time::timeout(moment, interrupted).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_by_the_signal_of_ctrl_c_was_interrupted() {
        assert_eq!(ending(None, Some(2)), INTERRUPTED);
        assert_eq!([ending(None, Some(15)), ending(Some(130), None), ending(Some(143), None)], [ASKED_TO_END; 3]);
        assert_eq!([ending(Some(1), None), ending(Some(101), None), ending(None, Some(9)), ending(None, None)], [FAILED; 4]);
    }
}
