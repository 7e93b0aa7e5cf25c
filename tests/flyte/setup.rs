//! A registry, a backend, and projects that use both.

use serde_json::Value;
use union_tests::registry::Registry;
use union_tests::stub::Stub;
use union_tests::{Outcome, Project};

/// An open registry, and a backend.
pub(crate) struct Setup {
    pub(crate) registry: Registry,
    pub(crate) backend: Stub,
}

/// A container task with inputs and outputs.
pub(crate) const TYPED: &str = "[package.metadata.union.tasks.hello]\ndescription = \"Says hello\"\n\
    command = [\"hello\", \"--x={{.inputs.x}}\"]\ninputs = { x = \"integer\", name = \"string\" }\noutputs = { greeting = \"string\" }\n\
    resources = { cpu = 1, memory = \"1Gi\" }\n";

impl Setup {
    pub(crate) fn new() -> Self {
        Self::with(Stub::start())
    }

    pub(crate) fn with(backend: Stub) -> Self {
        Self {
            registry: Registry::open(),
            backend,
        }
    }

    /// Registry, project and domain, for a package or a workspace.
    pub(crate) fn settings(&self, level: &str) -> String {
        format!(
            "[{level}.metadata.union]\nregistry = \"{}/team\"\nproject = \"flytesnacks\"\ndomain = \"development\"\n\
             [{level}.metadata.union.images.default]\nbase-image = \"scratch\"\n",
            self.registry.host()
        )
    }

    /// A package `hello` that uses both, with more in its manifest.
    pub(crate) fn hello(&self, more: &str) -> Project {
        self.with_backend(
            Project::package("hello")
                .union(&self.settings("package"))
                .union(more)
                .locked(),
        )
    }

    /// A project whose environment has the endpoint of the backend.
    pub(crate) fn with_backend(&self, project: Project) -> Project {
        project
            .env("FLYTE_ADMIN_ENDPOINT", self.backend.endpoint())
            // No request for the generation, which would change the counts of calls.
            .env("UNION_BACKEND", "flyte2")
            .env("FLYTE_TASK_ORG", "acme")
    }
}

/// The tasks of a run with `--format json`.
#[track_caller]
pub(crate) fn tasks(outcome: &Outcome) -> Vec<Value> {
    outcome.json()["tasks"]
        .as_array()
        .expect("a list of tasks")
        .clone()
}

/// The only task of such a run.
#[track_caller]
pub(crate) fn task(outcome: &Outcome) -> Value {
    let tasks = tasks(outcome);
    assert_eq!(tasks.len(), 1, "{tasks:?}");
    tasks[0].clone()
}
