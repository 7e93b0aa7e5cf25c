//! Follows a run of Flyte 1 by polling: at first often, and less often while nothing changes.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::Flyte1;
use crate::flyte::idl::workflow::ActionDetails;
use crate::flyte::rpc::RpcFailure;
use crate::flyte::runs::{Messages, RunIdent};

/// The pause after a change.
const FIRST: Duration = Duration::from_millis(250);
/// The maximum pause.
const LONGEST: Duration = Duration::from_secs(5);

/// The states of a run as they change, from the current one. The stream ends after a failure; a new one continues with
/// the current state.
pub(super) fn watch(
    backend: Flyte1,
    run: RunIdent,
    first: ActionDetails,
) -> Messages<ActionDetails> {
    let watched = WatchedRun {
        backend,
        run,
        last: first.clone(),
        failed: false,
    };
    let changes = stream::unfold(watched, |mut watched| async move {
        if watched.failed {
            return None;
        }
        let message = watched.next().await;
        watched.failed = message.is_err();
        Some((message, watched))
    });
    stream::iter([Ok(first)]).chain(changes).boxed()
}

struct WatchedRun {
    backend: Flyte1,
    run: RunIdent,
    last: ActionDetails,
    failed: bool,
}

impl WatchedRun {
    /// Polls until the state has changed.
    async fn next(&mut self) -> Result<ActionDetails, RpcFailure> {
        let mut pause = FIRST;
        loop {
            tokio::time::sleep(pause).await;
            let details = self.backend.run_details(&self.run).await?;
            if details != self.last {
                self.last = details.clone();
                return Ok(details);
            }
            pause = longer(pause);
        }
    }
}

fn longer(pause: Duration) -> Duration {
    pause.mul_f64(1.5).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_maximum() {
        let pauses: Vec<Duration> =
            std::iter::successors(Some(FIRST), |pause| Some(longer(*pause)))
                .take(10)
                .collect();
        assert!(pauses[1] > pauses[0]);
        assert!(pauses.iter().take(4).sum::<Duration>() < Duration::from_secs(3));
        assert_eq!(pauses[9], LONGEST);
    }
}
