//! The steps of a run, reported as they end.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};

use futures_util::StreamExt as _;
use tokio::sync::watch::Receiver;

use super::actions::{ActionSummary, MOST, pages};
use super::listener::{ReconnectPolicy, RunListener, passes};
use super::log_stream::LogStream;
use super::{RunIdent, RunService};
use crate::flyte::rpc::RpcFailure;

/// Reports the steps of a run that have ended, each once.
pub(super) struct StepWatch<'a> {
    pub(super) service: &'a dyn RunService,
    pub(super) run: &'a RunIdent,
    pub(super) policy: ReconnectPolicy,
    pub(super) listener: &'a dyn RunListener,
    /// The steps that were received, and whether they were reported.
    steps: Mutex<BTreeMap<String, bool>>,
}

impl<'a> StepWatch<'a> {
    pub(super) fn new(
        service: &'a dyn RunService,
        run: &'a RunIdent,
        policy: ReconnectPolicy,
        listener: &'a dyn RunListener,
    ) -> Self {
        Self {
            service,
            run,
            policy,
            listener,
            steps: Mutex::default(),
        }
    }

    /// Reports steps while they end, from when the run may have some until the future is dropped. A backend that does
    /// not report steps is no failure.
    pub(super) async fn run(&self, mut available: Receiver<LogStream>) -> Infallible {
        let may_have_steps = available
            .wait_for(|available| available.may_have_steps)
            .await
            .is_ok();
        if !may_have_steps || !self.listener.reports_actions() {
            std::future::pending::<()>().await;
        }
        loop {
            match self.subscribe().await {
                Err(failure) if !passes(&failure) => std::future::pending().await,
                _ => tokio::time::sleep(self.policy.retry.longest_pause).await,
            }
        }
    }

    async fn subscribe(&self) -> Result<(), RpcFailure> {
        let mut changes = self.service.watch_actions(self.run).await?;
        while let Some(actions) = changes.next().await {
            for action in actions? {
                self.see(&ActionSummary::of(action));
            }
        }
        Ok(())
    }

    /// Reports the steps that have ended since, after the end of the run.
    pub(super) async fn complete(&self) {
        let has_steps = !self
            .steps
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty();
        if has_steps {
            // Failures are ignored, because the run has ended.
            let actions = pages(self.service, self.run).await.unwrap_or_default();
            actions.iter().for_each(|action| self.see(action));
        }
    }

    fn see(&self, action: &ActionSummary) {
        if action.is_root() {
            return;
        }
        let is_over = action.state.phase.is_last();
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        if steps.len() >= MOST && !steps.contains_key(&action.name) {
            return;
        }
        let reported = steps.entry(action.name.clone()).or_default();
        if is_over && !std::mem::replace(reported, true) {
            drop(steps);
            self.listener.action_ended(action);
        }
    }
}
