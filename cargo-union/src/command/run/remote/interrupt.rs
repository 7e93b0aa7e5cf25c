//! Ctrl-C while a run goes on: it belongs to the backend, so that leaving it and aborting it are two things.
//!
//! On a terminal the first Ctrl-C leaves, and a second one aborts. Without a terminal, as in CI, nobody
//! could press it again: whoever created the run aborts it, and whoever merely follows it leaves.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use union_build::diag::Code;

use crate::exit::Exit;
use crate::flyte::runs::{RunIdent, RunService};
use crate::sys::error::Error;
use crate::sys::signal::interrupted;
use crate::ui::Ui;

/// How long a second Ctrl-C is waited for.
const AGAIN: Duration = Duration::from_secs(5);

/// Why the backend says that a run was aborted.
const REASON: &str = "aborted with Ctrl-C in `cargo union run`";

/// A run that may be left.
pub(super) struct InterruptHandler<'a> {
    pub(super) client: &'a dyn RunService,
    pub(super) run: &'a RunIdent,
    /// Its page.
    pub(super) page: &'a str,
    /// Whether somebody sees what is shown.
    pub(super) attended: bool,
    /// Whether it was created here.
    pub(super) ours: bool,
    pub(super) ui: &'a Arc<Ui>,
}

impl InterruptHandler<'_> {
    /// Does the work to its end, or to a Ctrl-C.
    ///
    /// # Errors
    /// Those of the work; `Interrupted`.
    pub(super) async fn or(&self, work: impl Future<Output = Result<Exit>>) -> Result<Exit> {
        tokio::select! {
            biased;
            done = work => done,
            () = interrupted() => Err(self.leave().await.into()),
        }
    }

    async fn leave(&self) -> Error {
        if self.attended {
            self.ui.note(format!("{} goes on; press Ctrl-C once more to abort it", self.run.name));
            let again = tokio::time::timeout(AGAIN, interrupted()).await.is_ok();
            if again { self.abort().await } else { self.left() }
        } else if self.ours {
            self.abort().await
        } else {
            self.left()
        }
    }

    async fn abort(&self) -> Error {
        self.ui.status("Aborting", &self.run.name);
        let name = &self.run.name;
        let aborted = tokio::select! {
            biased;
            aborted = self.client.abort(self.run, REASON) => aborted,
            () = interrupted() => return self.left(),
        };
        match aborted {
            Ok(()) => {
                Error::new(Code::Interrupted, format!("interrupted, and aborted the run `{name}`")).help(format!("See {}.", self.page))
            }
            Err(failure) => {
                let error = failure.into_error(format!("could not abort the run `{name}`"));
                error.help(format!("It may go on: abort it at {}.", self.page))
            }
        }
    }

    fn left(&self) -> Error {
        let (name, page) = (&self.run.name, self.page);
        let error = Error::new(Code::Interrupted, format!("interrupted, and left the run `{name}`"));
        error.help(format!("It goes on: see {page}, or run `cargo union run --follow {name}`."))
    }
}
