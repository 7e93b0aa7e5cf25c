//! The requirements of a task on its node: resources and secrets.

use std::collections::BTreeMap;

use crate::diag::{Code, Diagnostic, Origin};
use crate::spec::Sourced;
use crate::spec::task::{Amount, Gpu, Mount, Resources, SharedMemory, TaskSecret};
use crate::spec::tree::{TomlNode, TomlValue};
use crate::spec::validate::grammar;
use crate::spec::validate::reader::TableReader;

/// Reads `resources`.
pub(super) fn resources(reader: &mut TableReader<'_>) -> Resources {
    let Some(table) = reader.table("resources") else {
        return Resources::default();
    };
    let reader = &mut reader.inner(table);
    let shm = reader.text("shm", &grammar::SHARED_MEMORY);
    Resources {
        cpu: amount("cpu", reader),
        memory: amount("memory", reader),
        gpu: gpu(reader),
        disk: reader.text("disk", &grammar::QUANTITY),
        shm: shm.map(|shm| {
            if shm.value == "auto" {
                SharedMemory::Auto
            } else {
                SharedMemory::Size(shm.value)
            }
        }),
    }
}

/// One quantity, or a request and a limit.
fn amount(key: &str, reader: &mut TableReader<'_>) -> Option<Amount> {
    if let Some(request) = reader.text(key, &grammar::QUANTITY) {
        return Some(Amount {
            request,
            limit: None,
        });
    }
    let mut pair = reader.texts(key, &grammar::QUANTITY).into_iter();
    let request = pair.next()?;
    let limit = pair.next()?;
    if let (Some(requested), Some(allowed)) = (grammar::amount(&request), grammar::amount(&limit))
        && requested > allowed
    {
        let message = format!("the request of `{key}` is above its limit");
        let problem =
            Diagnostic::error(Code::InvalidValue, message, &request.origin, "the request")
                .also(&limit.origin, "the limit");
        reader
            .problems
            .push(problem.help("write the request first, and a limit that is not below it"));
    }
    Some(Amount {
        request,
        limit: Some(limit),
    })
}

fn gpu(reader: &mut TableReader<'_>) -> Option<Gpu> {
    let partition = reader.text("gpu-partition", &grammar::WORD);
    let gpu = reader.text("gpu", &grammar::GPU);
    let device = gpu
        .as_ref()
        .and_then(|gpu| gpu.rsplit_once(':'))
        .map(|(device, _)| device.to_owned());
    if let (Some(partition), None) = (&partition, &device) {
        let problem = Diagnostic::error(
            Code::InvalidValue,
            "`gpu-partition` is a part of an unknown type",
            &partition.origin,
            "of which?",
        );
        reader
            .problems
            .push(problem.help("write `gpu = \"TYPE:COUNT\"`, such as `\"A100:1\"`"));
    }
    let count = gpu?.rsplit(':').next()?.parse().ok()?;
    Some(Gpu {
        count,
        device,
        partition,
    })
}

/// Reads `secrets`, and checks that no two of them share a variable with each other or with `env`.
pub(super) fn secrets(reader: &mut TableReader<'_>) -> Vec<TaskSecret> {
    let mut secrets = Vec::new();
    let mut variables: BTreeMap<String, Origin> = BTreeMap::new();
    for (name, node) in reader.table("env").into_iter().flatten() {
        variables.insert(name.clone(), node.key.clone());
    }
    for node in reader.entries("secrets") {
        let Some(secret) = secret(node, reader) else {
            continue;
        };
        if let Mount::Env(variable) = &secret.mount {
            reader
                .problems
                .extend(grammar::SECRET_ENV.problem(variable, &node.origin));
            if let Some(first) = variables.insert(variable.clone(), node.origin.clone()) {
                let message = format!("the variable `{variable}` would have two values");
                let problem = Diagnostic::error(Code::InvalidValue, message, &node.origin, "again")
                    .also(&first, "first declared here");
                reader
                    .problems
                    .push(problem.help("give the secret another variable with `env = \"…\"`"));
            }
        }
        secrets.push(secret);
    }
    secrets
}

fn secret(node: &TomlNode, reader: &mut TableReader<'_>) -> Option<TaskSecret> {
    let (key, group, env, is_file) = match &node.value {
        TomlValue::Text(key) => {
            let problem = grammar::WORD.problem(key, &node.origin);
            reader.problems.extend(problem);
            (
                Sourced {
                    value: key.clone(),
                    origin: node.origin.clone(),
                },
                None,
                None,
                None,
            )
        }
        TomlValue::Table(table) => {
            let reader = &mut reader.inner(table);
            let key = reader.text("key", &grammar::WORD);
            let group = reader.text("group", &grammar::WORD);
            let is_file = reader.bool("file").filter(|file| file.value);
            let env = reader.text("env", &grammar::TEXT);
            if !table.contains_key("key") {
                let problem = Diagnostic::error(
                    Code::InvalidValue,
                    "a secret has no `key`",
                    &node.origin,
                    "which one?",
                );
                reader
                    .problems
                    .push(problem.help("write `key = \"…\"`, its name at the backend"));
            }
            if let (Some(env), Some(file)) = (&env, &is_file) {
                let problem = Diagnostic::error(
                    Code::InvalidValue,
                    "a secret is either a variable or a file",
                    &env.origin,
                    "a variable",
                );
                reader.problems.push(
                    problem
                        .also(&file.origin, "a file")
                        .help("remove one of them"),
                );
            }
            (key?, group, env, is_file)
        }
        _ => return None,
    };
    let mount = match (env, is_file) {
        (_, Some(_)) => Mount::File,
        (Some(env), None) => Mount::Env(env.value),
        (None, None) => Mount::Env(TaskSecret::usual_variable(
            group.as_ref().map(|group| group.as_str()),
            &key,
        )),
    };
    Some(TaskSecret { key, group, mount })
}
