//! Converts declared tasks into the backend's messages, deterministically and without I/O.
//!
//! The messages equal those of the official SDK for the same task, except for the differences that the golden
//! test lists.

mod blob;
mod literal;
pub(super) mod msgpack;
mod resources;
mod template;
mod trigger;
mod types;
mod value;

#[cfg(test)]
mod tests;

pub use blob::{BlobPlace, json_with_blobs};
pub use literal::{LiteralForm, literal};
pub(super) use resources::is_nvidia;
pub(super) use template::worker;
pub use template::{CONTAINER_TASK, LOG_FILTER};
pub(super) use trigger::declares_trigger;
pub use trigger::validate_triggers;
pub use types::declared;
pub use value::json;

use std::collections::BTreeSet;

use union_build::spec;

pub use super::idl::core::Literal;
use super::idl::{common, core, task};
use super::interface::Interface;

/// The source of a task's registration.
#[derive(Clone, Debug)]
pub struct TaskSource<'a> {
    /// The declaration in the manifest.
    pub task: &'a spec::Task,
    /// Name of the task at the backend.
    pub name: String,
    /// Inputs and outputs with their types.
    pub interface: Interface,
    /// Pinned reference of the image, as a node pulls it.
    pub image: String,
    /// Full content key of the image; equal for equal code.
    pub image_key: String,
    /// `entrypoint` of the image's spec.
    pub entrypoint: Vec<String>,
    /// The environment variables that the image's spec sets.
    pub image_env: BTreeSet<String>,
    /// Path of the task's binary in the image.
    pub program: String,
    /// Whether the image holds the launcher.
    pub launcher: bool,
    /// Whether the base image may have an entrypoint, which the program then has to override.
    pub override_entrypoint: bool,
}

#[cfg(test)]
impl<'a> TaskSource<'a> {
    /// The source of a task for tests, with defaults for everything else.
    pub(super) fn plain(task: &'a spec::Task, interface: &Interface) -> Self {
        Self {
            task,
            name: "app".to_owned(),
            interface: interface.clone(),
            image: "i".to_owned(),
            image_key: "k".to_owned(),
            entrypoint: Vec::new(),
            image_env: BTreeSet::new(),
            program: "p".to_owned(),
            launcher: false,
            override_entrypoint: false,
        }
    }
}

/// The project and domain of a task, with the organization.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProjectDomain {
    /// Organization (tenant); empty for the open-source backend.
    pub org: String,
    /// Name of the project.
    pub project: String,
    /// Name of the domain, such as `development`.
    pub domain: String,
}

impl ProjectDomain {
    /// As the protocol's `ProjectIdentifier`.
    pub(super) fn id(&self) -> common::ProjectIdentifier {
        let Self {
            org,
            project,
            domain,
        } = self.clone();
        common::ProjectIdentifier {
            organization: org,
            name: project,
            domain,
        }
    }

    /// The name of a task as the protocol's `TaskName`.
    pub(super) fn task_name(&self, name: &str) -> task::TaskName {
        let Self {
            org,
            project,
            domain,
        } = self.clone();
        task::TaskName {
            org,
            project,
            domain,
            name: name.to_owned(),
        }
    }

    /// A version of a task as the protocol's `TaskIdentifier`.
    pub(super) fn task_id(&self, name: &str, version: &str) -> task::TaskIdentifier {
        let Self {
            org,
            project,
            domain,
        } = self.clone();
        task::TaskIdentifier {
            org,
            project,
            domain,
            name: name.to_owned(),
            version: version.to_owned(),
        }
    }
}

/// The request that registers a task as `version` with Flyte 2.
pub fn deploy_task(
    subject: &TaskSource<'_>,
    scope: &ProjectDomain,
    version: &str,
) -> task::DeployTaskRequest {
    render_task(subject, scope, version, true)
}

/// The request that registers a task as `version`. If the backend needs it, a task without outputs gets a hidden
/// output.
pub(super) fn render_task(
    subject: &TaskSource<'_>,
    scope: &ProjectDomain,
    version: &str,
    empty_output: bool,
) -> task::DeployTaskRequest {
    task::DeployTaskRequest {
        task_id: Some(scope.task_id(&subject.name, version)),
        spec: Some(task_spec(subject, scope, version.to_owned(), empty_output)),
        triggers: subject
            .task
            .triggers
            .values()
            .map(|trigger| trigger::trigger(trigger, subject))
            .collect(),
    }
}

fn task_spec(
    subject: &TaskSource<'_>,
    scope: &ProjectDomain,
    version: String,
    empty_output: bool,
) -> task::TaskSpec {
    let declared = subject.task;
    let text = |value: &Option<spec::Sourced<String>>| {
        value
            .as_ref()
            .map(|value| value.value.clone())
            .unwrap_or_default()
    };
    let id = core::Identifier {
        resource_type: core::ResourceType::Task.into(),
        org: scope.org.clone(),
        project: scope.project.clone(),
        domain: scope.domain.clone(),
        name: subject.name.to_owned(),
        version,
    };
    task::TaskSpec {
        task_template: Some(template::template(subject, id, empty_output)),
        // The protocol limits it to 63 characters; the identifier has the full name.
        short_name: subject.name.chars().take(63).collect(),
        environment: Some(task::Environment {
            name: declared.environment.value.clone(),
            description: String::new(),
        }),
        documentation: Some(task::DocumentationEntity {
            short_description: text(&declared.description),
            long_description: text(&declared.long_description),
            source_code: declared.source_code.as_ref().map(|link| task::SourceCode {
                link: link.value.clone(),
            }),
        }),
    }
}
