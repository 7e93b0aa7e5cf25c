//! Methods of the backend: path, message types and idempotency.

use std::fmt;
use std::marker::PhantomData;

/// A unary method.
pub struct Unary<Request, Response> {
    pub(super) place: MethodPath,
    pub(super) repeat: Idempotency,
    types: PhantomData<fn(Request) -> Response>,
}

/// A server-streaming method. All of them only read, so they can always be retried.
pub struct Streaming<Request, Response> {
    pub(super) place: MethodPath,
    pub(super) repeat: Idempotency,
    types: PhantomData<fn(Request) -> Response>,
}

/// The path of a method: `flyteidl2.task.TaskService` and `DeployTask`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MethodPath {
    pub(super) service: &'static str,
    pub(super) name: &'static str,
}

/// When a failed call may be retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idempotency {
    /// Always: the method only reads, or repeating it has no further effect.
    Always,
    /// Only when the call cannot have been executed: there was no connection, or the server refused it with 429.
    IfNotExecuted,
}

impl<Request, Response> Unary<Request, Response> {
    /// An idempotent method.
    pub const fn repeatable(service: &'static str, name: &'static str) -> Self {
        Self {
            place: MethodPath { service, name },
            repeat: Idempotency::Always,
            types: PhantomData,
        }
    }

    /// A method that must not be executed twice.
    pub const fn non_idempotent(service: &'static str, name: &'static str) -> Self {
        Self {
            place: MethodPath { service, name },
            repeat: Idempotency::IfNotExecuted,
            types: PhantomData,
        }
    }

    /// The same method for a request that makes it idempotent, such as a run with a name that the client chose.
    #[must_use]
    pub const fn idempotent(self) -> Self {
        Self {
            repeat: Idempotency::Always,
            ..self
        }
    }
}

impl<Request, Response> Streaming<Request, Response> {
    /// A streaming method.
    pub const fn new(service: &'static str, name: &'static str) -> Self {
        Self {
            place: MethodPath { service, name },
            repeat: Idempotency::Always,
            types: PhantomData,
        }
    }

    /// The same method for a caller that reopens streams itself when the backend fails.
    #[must_use]
    pub const fn retried_by_caller(self) -> Self {
        Self {
            repeat: Idempotency::IfNotExecuted,
            ..self
        }
    }
}

impl fmt::Display for MethodPath {
    /// `TaskService/DeployTask`, without the package.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}",
            self.service.rsplit('.').next().unwrap_or(self.service),
            self.name
        )
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
