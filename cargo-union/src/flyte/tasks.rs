//! Tasks that are registered at the backend.

use union_build::diag::Code;

use super::backend::Backend;
use super::convert::{LiteralForm, ProjectDomain};
use super::idl::core::task_template::Target;
use super::idl::task::{Task, TaskDetails};
use super::interface::Interface;
use super::runs::TaskVersion;
use crate::sys::error::{Error, Result};

/// The parts of a registered task that a run needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredTask {
    /// Inputs with their types; outputs are not read.
    pub interface: Interface,
    /// The encoding that it expects for structs.
    pub form: LiteralForm,
    /// Pinned reference of its image.
    pub image: String,
}

/// A task in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskSummary {
    /// Name of the task.
    pub name: String,
    /// Latest version.
    pub version: String,
    /// Name of the environment that it belongs to.
    pub environment: String,
    /// When the latest version was registered, in seconds since 1970.
    pub registered: Option<i64>,
}

/// Looks up a version of a task.
///
/// # Errors
/// U0714 (`VersionUnknown`), naming the latest version; U0706 (`InterfaceUnsupported`); failures of the call.
pub async fn get_task(backend: &dyn Backend, task: &TaskVersion) -> Result<RegisteredTask> {
    let tried = || {
        format!(
            "could not look up version `{}` of task `{}`",
            task.version, task.name
        )
    };
    let details = backend
        .details(task.id())
        .await
        .map_err(|failure| failure.into_error(tried()))?;
    match details {
        Some(details) => read(&task.name, details),
        None => {
            let latest = backend
                .latest(&task.scope, &task.name)
                .await
                .map_err(|failure| failure.into_error(tried()))?;
            Err(task_not_found(task, latest))
        }
    }
}

/// The tasks of a project and domain, most recently registered first.
///
/// # Errors
/// Failures of the call.
pub async fn list(
    backend: &dyn Backend,
    scope: &ProjectDomain,
    limit: u32,
) -> Result<Vec<TaskSummary>> {
    let tried = || {
        format!(
            "could not list the tasks of {}/{}",
            scope.project, scope.domain
        )
    };
    let tasks = backend
        .tasks(scope, limit)
        .await
        .map_err(|failure| failure.into_error(tried()))?;
    Ok(tasks.into_iter().map(task_summary).collect())
}

fn read(task: &str, details: TaskDetails) -> Result<RegisteredTask> {
    let template = details
        .spec
        .and_then(|spec| spec.task_template)
        .unwrap_or_default();
    let container = template
        .target
        .map(|Target::Container(container)| container)
        .unwrap_or_default();
    Ok(RegisteredTask {
        interface: Interface::of_backend(task, &template.interface.unwrap_or_default())?,
        // A container task has a data config; copilot handles its inputs and outputs.
        form: if container.data_config.is_some_and(|data| data.enabled) {
            LiteralForm::Json
        } else {
            LiteralForm::MessagePack
        },
        image: container.image,
    })
}

fn task_not_found(task: &TaskVersion, latest: Option<Task>) -> Error {
    let TaskVersion {
        scope,
        name,
        version,
    } = task;
    let error = Error::new(
        Code::VersionUnknown,
        format!("there is no version `{version}` of task `{name}`"),
    );
    match latest.and_then(|latest| latest.task_id) {
        Some(latest) => error.because(format!(
            "the latest in {}/{} is `{}`",
            scope.project, scope.domain, latest.version
        )),
        None => error.because(format!(
            "there is no task of this name in {}/{}",
            scope.project, scope.domain
        )),
    }
}

fn task_summary(task: Task) -> TaskSummary {
    let id = task.task_id.unwrap_or_default();
    let metadata = task.metadata.unwrap_or_default();
    TaskSummary {
        name: id.name,
        version: id.version,
        environment: metadata.environment_name,
        registered: metadata
            .deployed_at
            .map(|time| time.seconds)
            .filter(|seconds| *seconds > 0),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::flyte::backend::fake::FakeBackend;
    use crate::flyte::idl::core::{Container, DataLoadingConfig, TaskTemplate};
    use crate::flyte::idl::task::{DeployTaskRequest, TaskSpec};

    fn task(name: &str, version: &str) -> TaskVersion {
        let scope = ProjectDomain {
            org: "acme".to_owned(),
            project: "p".to_owned(),
            domain: "d".to_owned(),
        };
        TaskVersion {
            scope,
            name: name.to_owned(),
            version: version.to_owned(),
        }
    }

    async fn backend_with_task(has_data_config: bool) -> FakeBackend {
        let data_config = has_data_config.then(|| DataLoadingConfig {
            enabled: true,
            ..DataLoadingConfig::default()
        });
        let container = Container {
            image: "image".to_owned(),
            data_config,
            ..Container::default()
        };
        let template = TaskTemplate {
            target: Some(Target::Container(container)),
            ..TaskTemplate::default()
        };
        let spec = TaskSpec {
            task_template: Some(template),
            ..TaskSpec::default()
        };
        let fake = FakeBackend::default();
        let request = DeployTaskRequest {
            task_id: Some(task("train", "v1").id()),
            spec: Some(spec),
            triggers: Vec::new(),
        };
        fake.deploy(&request).await.unwrap();
        fake
    }

    #[tokio::test]
    async fn get_task_reads_structs_as_json_for_copilot() {
        for (has_data_config, form) in
            [(true, LiteralForm::Json), (false, LiteralForm::MessagePack)]
        {
            let expected = RegisteredTask {
                interface: Interface::default(),
                form,
                image: "image".to_owned(),
            };
            assert_eq!(
                get_task(
                    &backend_with_task(has_data_config).await,
                    &task("train", "v1")
                )
                .await
                .unwrap(),
                expected
            );
        }
    }

    #[tokio::test]
    async fn unknown_version_names_the_latest() {
        let fake = backend_with_task(true).await;
        for (name, why) in [
            ("train", "the latest in p/d is `v1`"),
            ("trian", "there is no task of this name in p/d"),
        ] {
            let error = get_task(&fake, &task(name, "v2")).await.unwrap_err();
            assert_eq!(
                (error.code(), error.chain()[1].as_str()),
                (Code::VersionUnknown, why)
            );
        }
    }
}
