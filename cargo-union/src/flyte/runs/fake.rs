//! A backend in memory with scripted streams.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream;
use union_build::diag::Code;

use super::service::Messages;
use super::{ActionIdent, RunIdent, RunService, TaskVersion};
use crate::flyte::convert::ProjectDomain;
use crate::flyte::idl::common::{Filter, OffloadedInputData};
use crate::flyte::idl::dataproxy::GetActionDataResponse;
use crate::flyte::idl::logs::dataplane::LogLine;
use crate::flyte::idl::task::Inputs;
use crate::flyte::idl::workflow::{
    Action, ActionDetails, CreateRunRequest, ListActionsResponse, ListRunsResponse,
};
use crate::flyte::rpc::{RpcFailure, RpcStatus};

/// A scripted stream: its messages, and how it ends.
pub(super) enum Script<T> {
    /// The call fails.
    Refuses(RpcFailure),
    /// The stream ends after these messages.
    Ends(Vec<T>),
    /// The connection is lost after these messages.
    IsCut(Vec<T>),
    /// The stream stays open after these messages.
    StaysOpen(Vec<T>),
    /// The stream ends after these messages, each of which comes after a pause.
    Paced(Vec<(Duration, T)>),
}

#[derive(Default)]
pub(super) struct FakeRuns {
    pub(super) watched: Mutex<VecDeque<Script<ActionDetails>>>,
    pub(super) tailed: Mutex<VecDeque<Script<Vec<LogLine>>>>,
    /// The attempts whose logs were requested.
    pub(super) asked: Mutex<Vec<u32>>,
    /// The response to a request for the current state.
    pub(super) details: Mutex<ActionDetails>,
    /// With `None`, the response is `not_found`.
    pub(super) data: Mutex<Option<GetActionDataResponse>>,
    /// Pages of actions; the tokens are their numbers.
    pub(super) actions: Mutex<Vec<ListActionsResponse>>,
    pub(super) changes: Mutex<VecDeque<Script<Vec<Action>>>>,
    pub(super) created: Mutex<Vec<CreateRunRequest>>,
    /// Whether inputs are accepted only with the run.
    pub(super) takes_no_uploads: bool,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn cut() -> RpcFailure {
    RpcFailure::transient(Code::BackendUnreachable, "the connection was lost", None)
}

pub(super) fn refusal(status: RpcStatus) -> RpcFailure {
    let mut failure = RpcFailure::new(
        Code::BackendRefused,
        format!("it answered `{}`", status.word()),
    );
    failure.domain.status = Some(status);
    failure
}

/// The next scripted stream; one that stays open when there are no more.
fn next<T: Send + 'static>(from: &Mutex<VecDeque<Script<T>>>) -> Result<Messages<T>, RpcFailure> {
    let all = |messages: Vec<T>| stream::iter(messages.into_iter().map(Ok));
    Ok(match lock(from).pop_front() {
        Some(Script::Refuses(failure)) => return Err(failure),
        Some(Script::Ends(messages)) => all(messages).boxed(),
        Some(Script::IsCut(messages)) => all(messages).chain(stream::iter([Err(cut())])).boxed(),
        Some(Script::StaysOpen(messages)) => all(messages).chain(stream::pending()).boxed(),
        Some(Script::Paced(messages)) => stream::iter(messages)
            .then(|(pause, message)| async move {
                tokio::time::sleep(pause).await;
                Ok(message)
            })
            .boxed(),
        None => stream::pending().boxed(),
    })
}

#[async_trait]
impl RunService for FakeRuns {
    async fn upload(
        &self,
        _: &TaskVersion,
        _: &RunIdent,
        _: &Inputs,
    ) -> Result<Option<OffloadedInputData>, RpcFailure> {
        let data = OffloadedInputData {
            uri: "s3://inputs".to_owned(),
            inputs_hash: "hash".to_owned(),
        };
        Ok((!self.takes_no_uploads).then_some(data))
    }

    async fn create(&self, request: &CreateRunRequest) -> Result<(), RpcFailure> {
        lock(&self.created).push(request.clone());
        Ok(())
    }

    async fn details(&self, _: &ActionIdent) -> Result<ActionDetails, RpcFailure> {
        Ok(lock(&self.details).clone())
    }

    async fn watch(&self, _: &ActionIdent) -> Result<Messages<ActionDetails>, RpcFailure> {
        next(&self.watched)
    }

    async fn tail(
        &self,
        _: &ActionIdent,
        attempt: u32,
    ) -> Result<Messages<Vec<LogLine>>, RpcFailure> {
        lock(&self.asked).push(attempt);
        next(&self.tailed)
    }

    async fn data(&self, _: &ActionIdent) -> Result<GetActionDataResponse, RpcFailure> {
        lock(&self.data)
            .clone()
            .ok_or_else(|| refusal(RpcStatus::NotFound))
    }

    async fn actions(&self, _: &RunIdent, token: &str) -> Result<ListActionsResponse, RpcFailure> {
        let page: usize = token.parse().unwrap_or_default();
        Ok(lock(&self.actions).get(page).cloned().unwrap_or_default())
    }

    async fn watch_actions(&self, _: &RunIdent) -> Result<Messages<Vec<Action>>, RpcFailure> {
        next(&self.changes)
    }

    async fn abort(&self, _: &RunIdent, _: &str) -> Result<(), RpcFailure> {
        Ok(())
    }

    async fn list(
        &self,
        _: &ProjectDomain,
        _: u32,
        _: &str,
        _: Vec<Filter>,
    ) -> Result<ListRunsResponse, RpcFailure> {
        Ok(ListRunsResponse::default())
    }
}
