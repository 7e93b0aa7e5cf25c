//! Default values of a task.

use super::{default_text, fill_defaults, fill_keys};
use crate::spec::PackageInfo;
use crate::spec::schema::{SchemaLevel, keys};
use crate::spec::tree::{Table, TomlNode, TomlValue};

/// Fills in the defaults of a task; `image` is the default image.
pub(super) fn complete(task: &mut Table, name: &str, image: Option<&str>, facts: &PackageInfo) {
    let default_kind = if facts.depends_on_flyte {
        "rust"
    } else {
        "container"
    };
    let kind = text(task.get("kind")).unwrap_or(default_kind).to_owned();
    fill_keys(
        task,
        keys::TASK
            .keys
            .iter()
            .filter(|key| key.only.is_none_or(|only| only == kind)),
    );
    task.entry("kind".to_owned())
        .or_insert_with(|| default_text(kind));
    if let Some(image) = image {
        task.entry("image".to_owned())
            .or_insert_with(|| default_text(image));
    }
    if let Some(bin) = binary(task, name, facts) {
        task.entry("bin".to_owned())
            .or_insert_with(|| default_text(bin));
    }
    // The protocol allows 63 characters; the Python SDK truncates as well.
    let environment = format!(
        "{}_env",
        text(task.get("bin")).unwrap_or(name).replace('-', "_")
    )
    .chars()
    .take(63)
    .collect::<String>();
    task.entry("environment".to_owned())
        .or_insert_with(|| default_text(environment));
    for (key, level) in [("retries", &keys::RETRIES), ("cache", &keys::CACHE)] {
        task.get_mut(key)
            .into_iter()
            .for_each(|node| fill_node(node, level));
    }
    if let Some(TomlValue::List(secrets)) = task.get_mut("secrets").map(|node| &mut node.value) {
        secrets
            .iter_mut()
            .for_each(|node| fill_node(node, &keys::TASK_SECRET));
    }
    if let Some(TomlValue::Table(triggers)) = task.get_mut("triggers").map(|node| &mut node.value) {
        triggers
            .values_mut()
            .for_each(|node| fill_node(node, &keys::TRIGGER));
    }
}

fn fill_node(node: &mut TomlNode, level: &'static SchemaLevel) {
    if let TomlValue::Table(table) = &mut node.value {
        fill_defaults(table, level);
    }
}

/// The binary of a task that does not name one; `None` when its command line begins with another
/// program.
fn binary<'a>(task: &Table, name: &str, facts: &'a PackageInfo) -> Option<&'a str> {
    let find = |matches: &dyn Fn(&str) -> bool| {
        facts
            .binaries
            .iter()
            .map(String::as_str)
            .find(|bin| matches(bin))
    };
    match task.get("command").map(|node| &node.value) {
        Some(TomlValue::List(words)) => find(&|bin| text(words.first()) == Some(bin)),
        _ => find(&|bin| bin.replace('_', "-") == name.replace('_', "-")).or(facts.sole_binary()),
    }
}

fn text(node: Option<&TomlNode>) -> Option<&str> {
    match &node?.value {
        TomlValue::Text(text) => Some(text),
        _ => None,
    }
}
