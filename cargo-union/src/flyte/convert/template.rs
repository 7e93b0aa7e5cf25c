//! The template of a task: container, metadata, retries, timeouts and caching.

use std::collections::BTreeMap;

use union_build::spec::TaskKind;
use union_build::spec::launcher;
use union_build::spec::task::{Backoff, CacheVersion, DataFormat, FileLayout, Mount, Task};

use super::literal::span;
use super::{TaskSource, resources, trigger, types};
use crate::flyte::idl::core::{self, LiteralType, SimpleType};

/// The type of container tasks.
pub const CONTAINER_TASK: &str = "raw-container";

/// The template with an identifier. `empty_output` is whether the backend reads the outputs of every container task, also of
/// one that declares none.
pub(super) fn template(
    subject: &TaskSource<'_>,
    id: core::Identifier,
    empty_output: bool,
) -> core::TaskTemplate {
    core::TaskTemplate {
        id: Some(id),
        r#type: match subject.task.kind.value {
            // The backend has no plugin of this name, so it runs the container unchanged.
            TaskKind::Rust => "rust-task",
            TaskKind::Container => CONTAINER_TASK,
        }
        .to_owned(),
        metadata: Some(metadata(subject)),
        interface: Some(interface(subject, empty_output)),
        target: Some(core::task_template::Target::Container(container(
            subject,
            empty_output,
        ))),
        security_context: security_context(subject.task),
        extended_resources: resources::extended(&subject.task.resources),
    }
}

/// The declared interface, with the hidden output that the backend needs for a container task without outputs.
fn interface(subject: &TaskSource<'_>, empty_output: bool) -> core::TypedInterface {
    let mut interface = types::interface(&subject.interface);
    let has_none = interface
        .outputs
        .as_ref()
        .is_none_or(|outputs| outputs.variables.is_empty());
    if empty_output
        && subject.launcher
        && subject.task.kind.value == TaskKind::Container
        && has_none
    {
        let none = LiteralType {
            r#type: Some(core::literal_type::Type::Simple(SimpleType::None.into())),
            ..LiteralType::default()
        };
        let value = Some(core::Variable { r#type: Some(none) });
        interface.outputs = Some(core::VariableMap {
            variables: vec![core::VariableEntry {
                key: launcher::EMPTY_OUTPUT.to_owned(),
                value,
            }],
        });
    }
    interface
}

fn metadata(subject: &TaskSource<'_>) -> core::TaskMetadata {
    let task = subject.task;
    let cache = task.cache.as_ref();
    let version = match cache.map(|cache| &cache.version) {
        Some(CacheVersion::Named(version)) => version.clone(),
        // The SDK always sets a version, by which the backend detects changed code. Where it has nothing to hash, its
        // version is a constant, so results of old code would be used for new code.
        Some(CacheVersion::Auto) | None => subject.image_key.to_owned(),
    };
    core::TaskMetadata {
        discoverable: cache.is_some(),
        runtime: Some(core::RuntimeMetadata {
            r#type: core::runtime_metadata::RuntimeType::Other.into(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            flavor: "rust".to_owned(),
        }),
        timeout: task.timeout.runtime.map(span),
        retries: Some(core::RetryStrategy {
            retries: task.retries.count,
            backoff: task.retries.backoff.as_ref().map(backoff),
        }),
        discovery_version: version,
        interruptible_value: Some(core::task_metadata::InterruptibleValue::Interruptible(
            task.interruptible.value,
        )),
        cache_serializable: cache.is_some_and(|cache| cache.serialize),
        tags: trigger::tags(subject).collect(),
        pod_template_name: task
            .pod_template
            .as_ref()
            .map(|name| name.value.clone())
            .unwrap_or_default(),
        cache_ignore_input_vars: cache
            .map(|cache| cache.ignored_inputs.iter().cloned().collect())
            .unwrap_or_default(),
        generates_deck: Some(false),
        log_links: task
            .links
            .iter()
            .map(|(name, uri)| core::TaskLog {
                name: name.clone(),
                uri: uri.value.clone(),
            })
            .collect(),
        timeouts: timeouts(task),
        cache_max_age: cache.and_then(|cache| cache.max_age).map(span),
    }
}

fn timeouts(task: &Task) -> Option<core::TimeoutStrategy> {
    let queued_timeout = task.timeout.queued.map(span);
    let deadline = task.timeout.deadline.map(span);
    (queued_timeout.is_some() || deadline.is_some()).then_some(core::TimeoutStrategy {
        queued_timeout,
        deadline,
    })
}

fn backoff(backoff: &Backoff) -> core::Backoff {
    core::Backoff {
        base: Some(span(backoff.base)),
        factor: Some(backoff.factor),
        cap: backoff.cap.map(span),
    }
}

fn container(subject: &TaskSource<'_>, empty_output: bool) -> core::Container {
    let task = subject.task;
    let mut command = subject.entrypoint.clone();
    let mut args = arguments(subject);
    if subject.launcher {
        command.splice(..0, launcher::command(task, empty_output));
    } else if subject.override_entrypoint && command.is_empty() {
        command.extend(args.drain(..args.len().min(1)));
    }
    core::Container {
        image: subject.image.to_owned(),
        command,
        args,
        resources: resources::resources(&task.resources),
        env: environment(subject),
        data_config: (task.kind.value == TaskKind::Container).then(|| data(task)),
    }
}

/// The variables that the manifest sets, and for a worker those of [`QUIET`] that neither manifest nor image sets.
fn environment(subject: &TaskSource<'_>) -> Vec<core::KeyValuePair> {
    let mut variables: BTreeMap<&str, &str> = subject
        .task
        .env
        .iter()
        .map(|(key, value)| (key.as_str(), value.value.as_str()))
        .collect();
    if subject.task.kind.value == TaskKind::Rust {
        for (key, value) in QUIET {
            if !subject.image_env.contains(key) {
                variables.entry(key).or_insert(value);
            }
        }
    }
    let pair = |(key, value): (&str, &str)| core::KeyValuePair {
        key: key.to_owned(),
        value: value.to_owned(),
    };
    variables.into_iter().map(pair).collect()
}

fn arguments(subject: &TaskSource<'_>) -> Vec<String> {
    match subject.task.kind.value {
        TaskKind::Rust => worker(&subject.program),
        TaskKind::Container => subject.task.command_line(&subject.program),
    }
}

/// Hides the log of the `flyte` crate about its connection to the backend, but not the log of the user's code
/// (`tracing_subscriber::EnvFilter`).
pub const LOG_FILTER: (&str, &str) = ("RUST_LOG", "info,flyte_controller_base=error");

/// Variables that limit the output of a worker of the `flyte` crate to the user's own lines, without colour codes.
const QUIET: [(&str, &str); 2] = [LOG_FILTER, ("NO_COLOR", "1")];

/// The command line of a worker of the `flyte` crate. The backend does not replace the names of run and action,
/// which the worker reads from its environment.
pub(in crate::flyte) fn worker(program: &str) -> Vec<String> {
    const ARGUMENTS: [&str; 9] = [
        "a0",
        "--inputs",
        "{{.input}}",
        "--outputs-path",
        "{{.outputPrefix}}",
        "--run-name",
        "{{.runName}}",
        "--name",
        "{{.actionName}}",
    ];
    std::iter::once(program)
        .chain(ARGUMENTS)
        .map(str::to_owned)
        .collect()
}

fn data(task: &Task) -> core::DataLoadingConfig {
    use core::data_loading_config::{FileInputLayout, LiteralMapFormat};
    core::DataLoadingConfig {
        enabled: true,
        input_path: task.data.input_path.value.clone(),
        output_path: task.data.output_path.value.clone(),
        format: match task.data.format {
            DataFormat::Json => LiteralMapFormat::Json,
            DataFormat::Yaml => LiteralMapFormat::Yaml,
            DataFormat::Proto => LiteralMapFormat::Proto,
        }
        .into(),
        file_input_layout: match task.data.layout {
            FileLayout::Direct => FileInputLayout::Direct,
            FileLayout::NamedDir => FileInputLayout::NamedDir,
        }
        .into(),
    }
}

fn security_context(task: &Task) -> Option<core::SecurityContext> {
    use core::secret::MountType;
    let run_as = task.service_account.as_ref().map(|account| core::Identity {
        k8s_service_account: account.value.clone(),
    });
    let secrets = task.secrets.iter().map(|secret| {
        let (mount, env_var) = match &secret.mount {
            Mount::Env(variable) => (MountType::EnvVar, variable.clone()),
            Mount::File => (MountType::File, String::new()),
        };
        let group = secret
            .group
            .as_ref()
            .map(|group| group.value.clone())
            .unwrap_or_default();
        core::Secret {
            group,
            key: secret.key.value.clone(),
            mount_requirement: mount.into(),
            env_var,
        }
    });
    let context = core::SecurityContext {
        run_as,
        secrets: secrets.collect(),
    };
    (context != core::SecurityContext::default()).then_some(context)
}
