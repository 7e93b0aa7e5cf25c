//! Conversion between the task specs of both generations, without I/O.
//!
//! The rest of the tool uses the spec of Flyte 2. Flyte 1 stores less: [`stored`] is a request as Flyte 1 would return
//! it, so that it can be compared with the registered task. The messages equal those of flytekit for the same task,
//! except for the differences that the golden test lists.

use std::collections::BTreeMap;

use crate::flyte::idl::core as v2;
use crate::flyte::idl::task::{self, DeployTaskRequest, TaskIdentifier, TaskSpec};
use crate::flyte::idl::v1::admin::{Task, TaskCreateRequest, TaskSpec as StoredSpec};
use crate::flyte::idl::v1::core as v1;
use crate::flyte::idl::v1::core::data_loading_config::LiteralMapFormat;

/// The order of resources in flytekit's messages: the backend compares tasks with it.
const RESOURCES: [v2::resources::ResourceName; 4] = [
    v2::resources::ResourceName::EphemeralStorage,
    v2::resources::ResourceName::Cpu,
    v2::resources::ResourceName::Gpu,
    v2::resources::ResourceName::Memory,
];

/// The request that registers a task.
pub(super) fn create_task(request: &DeployTaskRequest) -> TaskCreateRequest {
    let template = request
        .spec
        .as_ref()
        .and_then(|spec| spec.task_template.clone())
        .unwrap_or_default();
    let id = request.task_id.as_ref().map(identifier);
    TaskCreateRequest {
        id: id.clone(),
        spec: Some(StoredSpec {
            template: Some(to_v1(template, id)),
        }),
    }
}

/// A request as Flyte 1 would return it, without the fields that it does not store.
pub(in crate::flyte) fn stored(request: &DeployTaskRequest) -> DeployTaskRequest {
    let template = create_task(request)
        .spec
        .and_then(|spec| spec.template)
        .unwrap_or_default();
    DeployTaskRequest {
        task_id: request.task_id.as_ref().map(without_org),
        spec: Some(spec_of(template)),
        triggers: request.triggers.clone(),
    }
}

/// A registered task in the message of Flyte 2; `None` without a template.
pub(super) fn details(task: Task) -> Option<task::TaskDetails> {
    let metadata = metadata_of(&task);
    let id = task.id.as_ref().map(task_identifier);
    let template = task.closure?.compiled_task?.template?;
    Some(task::TaskDetails {
        task_id: id,
        metadata: Some(metadata),
        spec: Some(spec_of(template)),
    })
}

/// A registered task in a list.
pub(super) fn summary(task: &Task) -> task::Task {
    task::Task {
        task_id: task.id.as_ref().map(task_identifier),
        metadata: Some(metadata_of(task)),
    }
}

fn metadata_of(task: &Task) -> task::TaskMetadata {
    task::TaskMetadata {
        deployed_at: task.closure.as_ref().and_then(|closure| closure.created_at),
        ..task::TaskMetadata::default()
    }
}

fn without_org(id: &TaskIdentifier) -> TaskIdentifier {
    TaskIdentifier {
        org: String::new(),
        ..id.clone()
    }
}

/// The identifier of a task. Flyte 1 has no organizations.
pub(super) fn identifier(id: &TaskIdentifier) -> v1::Identifier {
    let TaskIdentifier {
        org: _,
        project,
        domain,
        name,
        version,
    } = id.clone();
    v1::Identifier {
        resource_type: v1::ResourceType::Task.into(),
        project,
        domain,
        name,
        version,
        org: String::new(),
    }
}

pub(super) fn task_identifier(id: &v1::Identifier) -> TaskIdentifier {
    let v1::Identifier {
        resource_type: _,
        project,
        domain,
        name,
        version,
        org: _,
    } = id.clone();
    TaskIdentifier {
        org: String::new(),
        project,
        domain,
        name,
        version,
    }
}

fn spec_of(template: v1::TaskTemplate) -> TaskSpec {
    TaskSpec {
        task_template: Some(to_v2(template)),
        short_name: String::new(),
        environment: None,
        documentation: None,
    }
}

fn to_v1(template: v2::TaskTemplate, id: Option<v1::Identifier>) -> v1::TaskTemplate {
    // Lists all fields, so that a new field does not compile until it is decided where it goes.
    let v2::TaskTemplate {
        id: _,
        r#type,
        metadata,
        interface,
        target,
        security_context,
        extended_resources,
    } = template;
    let container = target.map(|v2::task_template::Target::Container(container)| container);
    v1::TaskTemplate {
        id,
        r#type,
        metadata: Some(metadata_to_v1(metadata.unwrap_or_default())),
        interface: interface.map(|interface| v1::TypedInterface {
            inputs: interface.inputs.map(variables_to_v1),
            outputs: interface.outputs.map(variables_to_v1),
        }),
        target: container
            .map(|container| v1::task_template::Target::Container(container_to_v1(container))),
        security_context,
        extended_resources,
    }
}

fn metadata_to_v1(metadata: v2::TaskMetadata) -> v1::TaskMetadata {
    let v2::TaskMetadata {
        discoverable,
        runtime,
        timeout,
        retries,
        discovery_version,
        interruptible_value,
        cache_serializable,
        tags,
        pod_template_name,
        cache_ignore_input_vars,
        generates_deck,
        // Flyte 1 does not have these fields. The table of capabilities defines how their keys are treated.
        log_links: _,
        timeouts: _,
        cache_max_age: _,
    } = metadata;
    let interruptible = matches!(
        interruptible_value,
        Some(v2::task_metadata::InterruptibleValue::Interruptible(true))
    );
    v1::TaskMetadata {
        discoverable,
        runtime,
        timeout,
        retries: Some(v1::RetryStrategy {
            retries: retries.unwrap_or_default().retries,
        }),
        // Without a cache it is not read.
        discovery_version: Some(discovery_version)
            .filter(|_| discoverable)
            .unwrap_or_default(),
        // `false` would override the default of the platform.
        interruptible_value: interruptible
            .then_some(v1::task_metadata::InterruptibleValue::Interruptible(true)),
        cache_serializable,
        tags,
        pod_template_name,
        cache_ignore_input_vars,
        generates_deck,
        metadata: Some(v1::K8sObjectMetadata {}),
    }
}

fn container_to_v1(container: v2::Container) -> v1::Container {
    let v2::Container {
        image,
        mut command,
        args,
        resources,
        env,
        data_config,
    } = container;
    // As flytekit: the whole command line is the command, whatever entrypoint the image has.
    command.extend(args);
    v1::Container {
        image,
        command,
        args: Vec::new(),
        resources: Some(resources_to_v1(resources.unwrap_or_default())),
        env,
        data_config: data_config.map(data_to_v1),
    }
}

fn data_to_v1(data: v2::DataLoadingConfig) -> v1::DataLoadingConfig {
    use v2::data_loading_config::LiteralMapFormat as Format;
    let format = match data.format() {
        Format::Json => LiteralMapFormat::Json,
        Format::Yaml => LiteralMapFormat::Yaml,
        Format::Proto => LiteralMapFormat::Proto,
    };
    let v2::DataLoadingConfig {
        enabled,
        input_path,
        output_path,
        format: _,
        // Flyte 1 does not have this field. The table of capabilities defines how its key is treated.
        file_input_layout: _,
    } = data;
    v1::DataLoadingConfig {
        enabled,
        input_path,
        output_path,
        format: format.into(),
    }
}

/// Resources in flytekit's order. Kubernetes requires a limit of accelerators, which equals the request.
fn resources_to_v1(resources: v2::Resources) -> v2::Resources {
    let v2::Resources {
        mut requests,
        mut limits,
    } = resources;
    let gpu = i32::from(v2::resources::ResourceName::Gpu);
    if !limits.iter().any(|entry| entry.name == gpu) {
        limits.extend(requests.iter().filter(|entry| entry.name == gpu).cloned());
    }
    for entries in [&mut requests, &mut limits] {
        entries.sort_by_key(|entry| {
            RESOURCES
                .iter()
                .position(|name| i32::from(*name) == entry.name)
        });
    }
    v2::Resources { requests, limits }
}

/// Variables with their names as descriptions, as flytekit writes them.
pub(super) fn variables_to_v1(variables: v2::VariableMap) -> v1::VariableMap {
    let entries = variables.variables.into_iter().map(|entry| {
        let variable = v1::Variable {
            r#type: entry.value.and_then(|variable| variable.r#type),
            description: entry.key.clone(),
        };
        (entry.key, variable)
    });
    v1::VariableMap {
        variables: entries.collect(),
    }
}

fn variables_to_v2(variables: v1::VariableMap) -> v2::VariableMap {
    let entries = sorted(variables.variables).map(|(key, variable)| v2::VariableEntry {
        key,
        value: Some(v2::Variable {
            r#type: variable.r#type,
        }),
    });
    v2::VariableMap {
        variables: entries.collect(),
    }
}

fn sorted<T>(map: BTreeMap<String, T>) -> impl Iterator<Item = (String, T)> {
    map.into_iter()
}

fn to_v2(template: v1::TaskTemplate) -> v2::TaskTemplate {
    let v1::TaskTemplate {
        id,
        r#type,
        metadata,
        interface,
        target,
        security_context,
        extended_resources,
    } = template;
    let container = target.map(|v1::task_template::Target::Container(container)| container);
    v2::TaskTemplate {
        id: id.map(|id| v2::Identifier {
            resource_type: v2::ResourceType::Task.into(),
            project: id.project,
            domain: id.domain,
            name: id.name,
            version: id.version,
            org: String::new(),
        }),
        r#type,
        metadata: metadata.map(metadata_to_v2),
        interface: interface.map(|interface| v2::TypedInterface {
            inputs: Some(variables_to_v2(interface.inputs.unwrap_or_default())),
            outputs: Some(variables_to_v2(interface.outputs.unwrap_or_default())),
        }),
        target: container
            .map(|container| v2::task_template::Target::Container(container_to_v2(container))),
        security_context,
        extended_resources,
    }
}

fn metadata_to_v2(metadata: v1::TaskMetadata) -> v2::TaskMetadata {
    let v1::TaskMetadata {
        discoverable,
        runtime,
        timeout,
        retries,
        discovery_version,
        interruptible_value,
        cache_serializable,
        tags,
        pod_template_name,
        cache_ignore_input_vars,
        generates_deck,
        metadata: _,
    } = metadata;
    v2::TaskMetadata {
        discoverable,
        runtime,
        timeout,
        retries: retries.map(|retries| v2::RetryStrategy {
            retries: retries.retries,
            backoff: None,
        }),
        discovery_version,
        interruptible_value: interruptible_value.map(
            |v1::task_metadata::InterruptibleValue::Interruptible(value)| {
                v2::task_metadata::InterruptibleValue::Interruptible(value)
            },
        ),
        cache_serializable,
        tags,
        pod_template_name,
        cache_ignore_input_vars,
        generates_deck,
        log_links: Vec::new(),
        timeouts: None,
        cache_max_age: None,
    }
}

fn container_to_v2(container: v1::Container) -> v2::Container {
    let v1::Container {
        image,
        command,
        args,
        resources,
        env,
        data_config,
    } = container;
    v2::Container {
        image,
        command,
        args,
        resources,
        env,
        data_config: data_config.map(|data| {
            use v2::data_loading_config::LiteralMapFormat as Format;
            let format = match data.format() {
                LiteralMapFormat::Json => Format::Json,
                LiteralMapFormat::Yaml => Format::Yaml,
                LiteralMapFormat::Proto => Format::Proto,
            };
            v2::DataLoadingConfig {
                enabled: data.enabled,
                input_path: data.input_path,
                output_path: data.output_path,
                format: format.into(),
                file_input_layout: 0,
            }
        }),
    }
}
