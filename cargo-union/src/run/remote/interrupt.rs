//! Ctrl-C during a run on the backend: leaves or aborts the run.
//!
//! On a terminal the first Ctrl-C leaves the run, and a second one aborts it. Without a terminal, as in CI, there is no
//! second one: a run that was created here is aborted, and a run that is only followed is left.

use std::pin::pin;
use std::time::Duration;

use union_build::diag::Code;

use crate::flyte::runs::{RunIdent, RunService};
use crate::pipeline::problems::Result;
use crate::run::Reporter;
use crate::sys::error::Error;
use crate::sys::signal::interrupted;

/// How long the process waits for a second Ctrl-C.
const ABORT_WINDOW: Duration = Duration::from_secs(5);

/// The reason of an aborted run at the backend.
const REASON: &str = "aborted with Ctrl-C in `cargo union run`";

/// Handles Ctrl-C during a run.
pub(super) struct InterruptHandler<'a> {
    pub(super) client: &'a dyn RunService,
    pub(super) run: &'a RunIdent,
    /// The URL of the run's page.
    pub(super) page: &'a str,
    /// Whether stderr is a terminal.
    pub(super) is_interactive: bool,
    /// Whether the run was created by this process.
    pub(super) is_created_here: bool,
    pub(super) reporter: &'a dyn Reporter,
}

impl InterruptHandler<'_> {
    /// Waits for `work` or for Ctrl-C.
    ///
    /// # Errors
    /// Those of `work`; `Interrupted`.
    pub(super) async fn wait<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            result = work => result,
            () = interrupted() => Err(self.leave_or_abort().await.into()),
        }
    }

    async fn leave_or_abort(&self) -> Error {
        let is_aborted = match self.is_interactive {
            true => {
                let mut again = pin!(interrupted());
                // Polled before the offer, so that no Ctrl-C after the offer is missed.
                let early = tokio::time::timeout(Duration::ZERO, &mut again).await;
                self.reporter.abort_offered(&self.run.name);
                early.is_ok() || tokio::time::timeout(ABORT_WINDOW, again).await.is_ok()
            }
            false => self.is_created_here,
        };
        if is_aborted {
            self.abort().await
        } else {
            self.left()
        }
    }

    async fn abort(&self) -> Error {
        let name = &self.run.name;
        self.reporter.aborting(name);
        let aborted = tokio::select! {
            biased;
            aborted = self.client.abort(self.run, REASON) => aborted,
            () = interrupted() => return self.left(),
        };
        match aborted {
            Ok(()) => Error::new(
                Code::Interrupted,
                format!("interrupted, and aborted the run `{name}`"),
            )
            .help(format!("See {}.", self.page)),
            Err(failure) => {
                let error = failure.into_error(format!("could not abort the run `{name}`"));
                error.help(format!("It may go on: abort it at {}.", self.page))
            }
        }
    }

    fn left(&self) -> Error {
        let (name, page) = (&self.run.name, self.page);
        let error = Error::new(
            Code::Interrupted,
            format!("interrupted, and left the run `{name}`"),
        );
        error.help(format!(
            "It goes on: see {page}, or run `cargo union run --follow {name}`."
        ))
    }
}

/// Waits for work that has no run yet, so that Ctrl-C cancels it.
///
/// # Errors
/// Those of `work`; `Interrupted`.
pub(super) async fn cancel_on_interrupt<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        biased;
        () = interrupted() => Err(Error::new(Code::Interrupted, "interrupted").into()),
        result = work => result,
    }
}
