//! From a declared task to the backend's messages: pure, and the same every time.
//!
//! The messages are those of the official SDK for the same task, with the differences that the golden
//! test lists.

mod literal;
pub(super) mod msgpack;
mod resources;
mod template;
mod trigger;
mod types;
mod value;

#[cfg(test)]
mod tests;

pub use literal::{LiteralForm, literal};
pub(super) use template::worker;
pub use trigger::validate_triggers;
pub use types::declared;
pub use value::json;

use union_build::spec;

pub use super::idl::core::Literal;
use super::idl::{common, core, task};
use super::interface::Interface;

/// Everything that one task is registered from.
#[derive(Clone, Debug)]
pub struct TaskSource<'a> {
    /// What its manifest declares.
    pub task: &'a spec::Task,
    /// Its name at the backend.
    pub name: String,
    /// Its inputs and outputs.
    pub interface: Interface,
    /// The image, as a node pulls it.
    pub image: String,
    /// The full key of the image: equal code has an equal one.
    pub image_key: String,
    /// The entrypoint of the image's spec.
    pub entrypoint: Vec<String>,
    /// Where its binary is in the image.
    pub program: String,
    /// Whether the image holds the launcher.
    pub launcher: bool,
    /// Whether the image may have an entrypoint of its base's: the program then has to stand in its place.
    pub over_entrypoint: bool,
}

#[cfg(test)]
impl<'a> TaskSource<'a> {
    /// A task of which a test says nothing more.
    pub(super) fn plain(task: &'a spec::Task, interface: &Interface) -> Self {
        Self {
            task,
            name: "app".to_owned(),
            interface: interface.clone(),
            image: "i".to_owned(),
            image_key: "k".to_owned(),
            entrypoint: Vec::new(),
            program: "p".to_owned(),
            launcher: false,
            over_entrypoint: false,
        }
    }
}

/// Whose task it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProjectDomain {
    /// The tenant of a hosted backend.
    pub org: String,
    /// The project.
    pub project: String,
    /// The domain.
    pub domain: String,
}

impl ProjectDomain {
    /// The project and its domain, as messages name them.
    pub(super) fn id(&self) -> common::ProjectIdentifier {
        let Self { org, project, domain } = self.clone();
        common::ProjectIdentifier { organization: org, name: project, domain }
    }
}

/// The request that registers a task.
pub fn deploy_task(subject: &TaskSource<'_>, scope: &ProjectDomain, version: &str) -> task::DeployTaskRequest {
    let ProjectDomain { org, project, domain } = scope.clone();
    let (name, version) = (subject.name.to_owned(), version.to_owned());
    task::DeployTaskRequest {
        task_id: Some(task::TaskIdentifier { org, project, domain, name, version: version.clone() }),
        spec: Some(task_spec(subject, scope, version)),
        triggers: subject.task.triggers.values().map(|trigger| trigger::trigger(trigger, subject)).collect(),
    }
}

fn task_spec(subject: &TaskSource<'_>, scope: &ProjectDomain, version: String) -> task::TaskSpec {
    let declared = subject.task;
    let text = |value: &Option<spec::Sourced<String>>| value.as_ref().map(|value| value.value.clone()).unwrap_or_default();
    let id = core::Identifier {
        resource_type: core::ResourceType::Task.into(),
        org: scope.org.clone(),
        project: scope.project.clone(),
        domain: scope.domain.clone(),
        name: subject.name.to_owned(),
        version,
    };
    task::TaskSpec {
        task_template: Some(template::template(subject, id)),
        // As long as the protocol allows; the whole name is in the identifier.
        short_name: subject.name.chars().take(63).collect(),
        environment: Some(task::Environment { name: declared.environment.value.clone(), description: String::new() }),
        documentation: Some(task::DocumentationEntity {
            short_description: text(&declared.description),
            long_description: text(&declared.long_description),
            source_code: declared.source_code.as_ref().map(|link| task::SourceCode { link: link.value.clone() }),
        }),
    }
}
