//! Retries, timeouts and caching of a task.

use std::time::Duration;

use super::interface::DeclaredTaskInputs;
use crate::diag::{Code, Diagnostic, Origin};
use crate::spec::Sourced;
use crate::spec::task::{Backoff, CacheVersion, Retries, TaskCache, Timeout};
use crate::spec::time::parse_duration;
use crate::spec::tree::{TomlNode, TomlValue};
use crate::spec::validate::grammar;
use crate::spec::validate::reader::TableReader;

/// The limit of the backend.
const MOST_RETRIES: i64 = 10;

/// Reads `retries`.
pub(super) fn retries(reader: &mut TableReader<'_>) -> Retries {
    let Some(node) = reader.table.get("retries") else {
        return Retries::default();
    };
    match &node.value {
        TomlValue::Integer(number) => Retries {
            count: count(*number, &node.origin, reader),
            backoff: None,
        },
        TomlValue::Table(table) => {
            let reader = &mut reader.inner(table);
            let number = match table.get("count") {
                Some(TomlNode {
                    origin,
                    value: TomlValue::Integer(number),
                    ..
                }) => count(*number, origin, reader),
                Some(_) => 0,
                None => {
                    let problem = Diagnostic::error(
                        Code::InvalidValue,
                        "`retries` has no `count`",
                        &node.origin,
                        "how often?",
                    );
                    reader.problems.push(problem.help("write `count = 3`"));
                    0
                }
            };
            Retries {
                count: number,
                backoff: backoff(reader),
            }
        }
        _ => Retries::default(),
    }
}

fn count(number: i64, origin: &Origin, reader: &mut TableReader<'_>) -> u32 {
    u32::try_from(number)
        .ok()
        .filter(|_| number <= MOST_RETRIES)
        .unwrap_or_else(|| {
            let problem = Diagnostic::error(
                Code::InvalidValue,
                format!("`retries` cannot be {number}"),
                origin,
                "not a number of attempts",
            );
            reader
                .problems
                .push(problem.help(format!("write a number from 0 to {MOST_RETRIES}")));
            0
        })
}

fn backoff(reader: &mut TableReader<'_>) -> Option<Backoff> {
    let base = duration("backoff", reader);
    let cap = duration("max-backoff", reader);
    let mut refuse = |message: &str, origin: &Origin, label: &str, help: &str| {
        reader
            .problems
            .push(Diagnostic::error(Code::InvalidValue, message, origin, label).help(help));
    };
    let factor = reader.table.get("factor");
    let value = match factor.map(|node| &node.value) {
        Some(TomlValue::Integer(number)) => *number as f64,
        Some(TomlValue::Number(digits)) => digits.parse().unwrap_or(1.0),
        _ => 1.0,
    };
    if let Some(factor) = factor.filter(|_| value < 1.0) {
        refuse(
            "a backoff factor must not be below 1",
            &factor.origin,
            "below 1",
            "write a number from 1",
        );
    }
    if let (Some(factor), None, true) = (factor, &cap, value > 1.0) {
        refuse(
            "pauses would grow without a limit",
            &factor.origin,
            "above 1",
            "write `max-backoff = \"…\"`, the longest pause",
        );
    }
    if let (None, Some(cap)) = (&base, &cap) {
        refuse(
            "`max-backoff` without a `backoff` has no effect",
            &cap.origin,
            "unused",
            "write `backoff = \"…\"`, the first pause",
        );
    }
    base.map(|base| Backoff {
        base: base.value,
        factor: value,
        cap: cap.map(|cap| cap.value),
    })
}

/// Reads `timeout`.
pub(super) fn timeout(reader: &mut TableReader<'_>) -> Timeout {
    match reader.table("timeout") {
        Some(table) => {
            let reader = &mut reader.inner(table);
            let mut limit = |key| {
                duration(key, reader)
                    .map(|limit| limit.value)
                    .filter(|limit| !limit.is_zero())
            };
            Timeout {
                runtime: limit("runtime"),
                queued: limit("queued"),
                deadline: limit("deadline"),
            }
        }
        None => {
            let runtime = duration("timeout", reader)
                .map(|limit| limit.value)
                .filter(|limit| !limit.is_zero());
            Timeout {
                runtime,
                ..Timeout::default()
            }
        }
    }
}

/// Reads `cache`.
pub(super) fn cache(
    inputs: &DeclaredTaskInputs<'_>,
    reader: &mut TableReader<'_>,
) -> Option<TaskCache> {
    let with_version = |version| TaskCache {
        version,
        serialize: false,
        ignored_inputs: Default::default(),
        max_age: None,
    };
    let TomlNode { origin, value, .. } = reader.table.get("cache")?;
    match value {
        TomlValue::Bool(true) => {
            let problem = Diagnostic::error(
                Code::InvalidValue,
                "`true` does not select the results to reuse",
                origin,
                "which version?",
            );
            reader
                .problems
                .push(problem.help("write `\"auto\"`").suggest(origin, "\"auto\""));
            None
        }
        TomlValue::Text(_) => version("cache", reader).map(with_version),
        TomlValue::Table(table) => {
            let reader = &mut reader.inner(table);
            let ignored = reader.texts("ignored-inputs", &grammar::VARIABLE);
            reader.problems.extend(
                ignored
                    .iter()
                    .filter_map(|name| inputs.unknown(name, &name.origin)),
            );
            Some(TaskCache {
                version: version("version", reader)?,
                serialize: reader
                    .bool("serialize")
                    .is_some_and(|serialize| serialize.value),
                ignored_inputs: ignored.into_iter().map(|name| name.value).collect(),
                max_age: duration("max-age", reader).map(|age| age.value),
            })
        }
        _ => None,
    }
}

fn version(key: &str, reader: &mut TableReader<'_>) -> Option<CacheVersion> {
    let version = reader.text(key, &grammar::CACHE_VERSION)?;
    Some(if version.value == "auto" {
        CacheVersion::Auto
    } else {
        CacheVersion::Named(version.value)
    })
}

fn duration(key: &str, reader: &mut TableReader<'_>) -> Option<Sourced<Duration>> {
    let text = reader.text(key, &grammar::DURATION)?;
    Some(Sourced {
        value: parse_duration(&text.value)?,
        origin: text.origin,
    })
}
