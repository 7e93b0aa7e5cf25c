//! A backend in memory that says what it was told to say, one stream after the other.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream;
use union_build::diag::Code;

use super::service::Messages;
use super::{Run, Service, TaskVersion};
use crate::flyte::convert::Scope;
use crate::flyte::idl::common::OffloadedInputData;
use crate::flyte::idl::logs::dataplane::LogLine;
use crate::flyte::idl::task::{Inputs, Outputs};
use crate::flyte::idl::workflow::{ActionDetails, CreateRunRequest, ListRunsResponse};
use crate::flyte::rpc::{Failure, Status};

/// What one stream says, and how it ends.
pub(super) enum Says<T> {
    /// Nothing: there is no stream.
    Refuses(Failure),
    /// These, and a good end.
    Ends(Vec<T>),
    /// These, and then the line is cut.
    IsCut(Vec<T>),
    /// These, and then nothing for ever.
    FallsSilent(Vec<T>),
}

#[derive(Default)]
pub(super) struct Fake {
    pub(super) watched: Mutex<VecDeque<Says<ActionDetails>>>,
    pub(super) tailed: Mutex<VecDeque<Says<Vec<LogLine>>>>,
    pub(super) created: Mutex<Vec<CreateRunRequest>>,
    /// Whether it takes inputs with the run only.
    pub(super) takes_no_uploads: bool,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn cut() -> Failure {
    Failure::passing(Code::BackendUnreachable, "the line was cut", None)
}

pub(super) fn refusal(status: Status) -> Failure {
    let mut failure = Failure::new(Code::BackendRefused, format!("it answered `{}`", status.word()));
    failure.status = Some(status);
    failure
}

/// The next stream; when there is none left, one that never says anything.
fn next<T: Send + 'static>(from: &Mutex<VecDeque<Says<T>>>) -> Result<Messages<T>, Failure> {
    let all = |messages: Vec<T>| stream::iter(messages.into_iter().map(Ok));
    Ok(match lock(from).pop_front() {
        Some(Says::Refuses(failure)) => return Err(failure),
        Some(Says::Ends(messages)) => all(messages).boxed(),
        Some(Says::IsCut(messages)) => all(messages).chain(stream::iter([Err(cut())])).boxed(),
        Some(Says::FallsSilent(messages)) => all(messages).chain(stream::pending()).boxed(),
        None => stream::pending().boxed(),
    })
}

#[async_trait]
impl Service for Fake {
    async fn upload(&self, _: &TaskVersion, _: &Run, _: &Inputs) -> Result<Option<OffloadedInputData>, Failure> {
        let data = OffloadedInputData { uri: "s3://inputs".to_owned(), inputs_hash: "hash".to_owned() };
        Ok((!self.takes_no_uploads).then_some(data))
    }

    async fn create(&self, request: &CreateRunRequest) -> Result<(), Failure> {
        lock(&self.created).push(request.clone());
        Ok(())
    }

    async fn details(&self, _: &Run) -> Result<ActionDetails, Failure> {
        Ok(ActionDetails::default())
    }

    async fn watch(&self, _: &Run) -> Result<Messages<ActionDetails>, Failure> {
        next(&self.watched)
    }

    async fn tail(&self, _: &Run, _: u32) -> Result<Messages<Vec<LogLine>>, Failure> {
        next(&self.tailed)
    }

    async fn outputs(&self, _: &Run) -> Result<Outputs, Failure> {
        Ok(Outputs::default())
    }

    async fn abort(&self, _: &Run, _: &str) -> Result<(), Failure> {
        Ok(())
    }

    async fn list(&self, _: &Scope, _: u32) -> Result<ListRunsResponse, Failure> {
        Ok(ListRunsResponse::default())
    }
}
