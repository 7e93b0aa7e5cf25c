//! Methods of the backend: where they are, what goes in and out, and whether they may be called again.

use std::fmt;
use std::marker::PhantomData;

/// A method with one answer.
pub struct Unary<Request, Response> {
    pub(super) place: MethodPath,
    pub(super) repeat: Idempotency,
    types: PhantomData<fn(Request) -> Response>,
}

/// A method that answers with a stream. It reads only, so it may always be called again.
pub struct Streaming<Request, Response> {
    pub(super) place: MethodPath,
    types: PhantomData<fn(Request) -> Response>,
}

/// Where a method is: `flyteidl2.task.TaskService` and `DeployTask`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MethodPath {
    pub(super) service: &'static str,
    pub(super) name: &'static str,
}

/// When a call that failed may be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idempotency {
    /// Always: it reads, or writes the same once more.
    Always,
    /// Only when nobody can have acted on it: no connection came about, or it was turned away at the door.
    Unheard,
}

impl<Request, Response> Unary<Request, Response> {
    /// A method that reads, or that leaves things as they are when it is called a second time.
    pub const fn repeatable(service: &'static str, name: &'static str) -> Self {
        Self { place: MethodPath { service, name }, repeat: Idempotency::Always, types: PhantomData }
    }

    /// A method that must not be carried out twice.
    pub const fn non_idempotent(service: &'static str, name: &'static str) -> Self {
        Self { place: MethodPath { service, name }, repeat: Idempotency::Unheard, types: PhantomData }
    }

    /// The same method with a request that makes it repeatable, such as a run with a name of its own.
    #[must_use]
    pub const fn idempotent(self) -> Self {
        Self { repeat: Idempotency::Always, ..self }
    }
}

impl<Request, Response> Streaming<Request, Response> {
    /// A method that streams.
    pub const fn new(service: &'static str, name: &'static str) -> Self {
        Self { place: MethodPath { service, name }, types: PhantomData }
    }
}

impl fmt::Display for MethodPath {
    /// `TaskService/DeployTask`: without the package, which says nothing to a user.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service.rsplit('.').next().unwrap_or(self.service), self.name)
    }
}

impl<Request, Response> Clone for Unary<Request, Response> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Request, Response> Copy for Unary<Request, Response> {}

impl<Request, Response> Clone for Streaming<Request, Response> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Request, Response> Copy for Streaming<Request, Response> {}
