//! A registry, a control plane of Flyte 1, and projects that use both.

use serde_json::Value;
use union_tests::flyte1::ControlPlane;
use union_tests::registry::Registry;
use union_tests::{Outcome, Project};

/// An open registry, and a control plane.
pub(crate) struct Setup {
    pub(crate) registry: Registry,
    pub(crate) backend: ControlPlane,
}

/// A container task with inputs and outputs.
pub(crate) const TYPED: &str = "[package.metadata.union.tasks.hello]\n\
    command = [\"hello\", \"--x={{.inputs.x}}\"]\ninputs = { x = \"integer\", name = \"string\" }\noutputs = { greeting = \"string\" }\n\
    resources = { cpu = 1, memory = \"1Gi\" }\n";

impl Setup {
    pub(crate) fn new() -> Self {
        Self::behaving("")
    }

    pub(crate) fn behaving(behaviour: &str) -> Self {
        Self {
            registry: Registry::open(),
            backend: ControlPlane::behaving(behaviour),
        }
    }

    pub(crate) fn secure(behaviour: &str) -> Self {
        Self {
            registry: Registry::open(),
            backend: ControlPlane::secure(behaviour),
        }
    }

    /// A package `hello` that uses both, with more in its manifest.
    pub(crate) fn hello(&self, more: &str) -> Project {
        let settings = format!(
            "[package.metadata.union]\nregistry = \"{}/team\"\nproject = \"flytesnacks\"\ndomain = \"development\"\n\
             [package.metadata.union.images.default]\nbase-image = \"scratch\"\n",
            self.registry.host()
        );
        self.with_backend(
            Project::package("hello")
                .union(&settings)
                .union(more)
                .locked(),
        )
    }

    /// A project whose environment has the endpoint of the control plane.
    pub(crate) fn with_backend(&self, project: Project) -> Project {
        project.env("FLYTE_ADMIN_ENDPOINT", self.backend.endpoint())
    }
}

/// The only task of a run with `--format json`.
#[track_caller]
pub(crate) fn task(outcome: &Outcome) -> Value {
    let document = outcome.json();
    let tasks = document["tasks"].as_array().expect("a list of tasks");
    assert_eq!(tasks.len(), 1, "{tasks:?}");
    tasks[0].clone()
}
