//! Default values, and inheritance from the package to its images.
//!
//! Afterwards the tree has the values that are used, which `cargo union config` lists.

use super::PackageInfo;
use super::names::{component, is_cargo_lock};
use super::schema::{DefaultValue, SchemaKey, SchemaLevel, keys, overridable};
use super::tree::{Table, TomlNode, TomlValue};
use crate::diag::Origin;

mod task;

/// Default base of an environment in which nothing has to run.
pub const BASE: &str = "gcr.io/distroless/cc-debian13";

/// Default base of an environment in which something has to run, such as `apt-get`.
pub const BASE_TO_RUN_IN: &str = "debian:trixie-slim";

/// Fills in all defaults.
pub(super) fn complete(tree: &mut Table, facts: &PackageInfo) {
    fill_defaults(tree, &keys::UNION);
    fill_defaults(table_of(tree, "build"), &keys::BUILD);
    let package = tree.clone();

    let images = tree.entry("images".to_owned()).or_insert_with(empty_table);
    if let TomlValue::Table(images) = &mut images.value {
        if images.is_empty() {
            images.insert("default".to_owned(), empty_table());
        }
        for (name, image) in images.iter_mut() {
            if let TomlValue::Table(image) = &mut image.value {
                complete_image(image, name, &package, facts);
            }
        }
    }
    let image = sole_or_default(tree.get("images"));

    let tasks = tree.entry("tasks".to_owned()).or_insert_with(empty_table);
    if let TomlValue::Table(tasks) = &mut tasks.value {
        if let (true, Some(bin)) = (tasks.is_empty(), facts.sole_binary()) {
            tasks.insert(bin.to_owned(), empty_table());
        }
        for (name, task) in tasks.iter_mut() {
            if let TomlValue::Table(task) = &mut task.value {
                task::complete(task, name, image.as_deref(), facts);
            }
        }
    }
}

fn complete_image(image: &mut Table, name: &str, package: &Table, facts: &PackageInfo) {
    for key in ["registry", "builder"] {
        let value = inherit_value(image.remove(key), package.get(key).cloned());
        image.extend(value.map(|node| (key.to_owned(), node)));
    }
    inherit_build(table_of(image, "build"), package);
    fill_defaults(image, &keys::IMAGE);
    let suffix = if name == "default" {
        String::new()
    } else {
        format!("-{name}")
    };
    image
        .entry("name".to_owned())
        .or_insert_with(|| default_text(component(&format!("{}{suffix}", facts.package))));
    if !["base-image", "extends", "dockerfile"]
        .iter()
        .any(|key| image.contains_key(*key))
    {
        let base = if has_to_run(image) || is_remote(image) {
            BASE_TO_RUN_IN
        } else {
            BASE
        };
        image.insert("base-image".to_owned(), default_text(base));
    }
    if let Some(TomlNode {
        value: TomlValue::List(secrets),
        ..
    }) = image.get_mut("secrets")
    {
        for secret in secrets {
            if let TomlValue::Table(secret) = &mut secret.value {
                fill_defaults(secret, &keys::SECRET);
            }
        }
    }
}

fn inherit_build(build: &mut Table, package: &Table) {
    let Some(TomlNode {
        value: TomlValue::Table(inherited),
        ..
    }) = package.get("build")
    else {
        return;
    };
    for (key, far) in inherited {
        let near = build.remove(key);
        let node = match (&near, &far.value) {
            (
                Some(TomlNode {
                    value: TomlValue::Table(_),
                    ..
                }),
                TomlValue::Table(_),
            ) => super::merge::merge(Some(far.clone()), near),
            _ => inherit_value(near, Some(far.clone())),
        };
        build.extend(node.map(|node| (key.clone(), node)));
    }
}

/// The image's own value takes precedence over the package's. A variable or a flag takes precedence over both, because
/// they can only be set for the package. A variable of the Flyte config is a fallback and takes precedence over
/// nothing.
fn inherit_value(near: Option<TomlNode>, far: Option<TomlNode>) -> Option<TomlNode> {
    let overrides = match far.as_ref().map(|node| &node.origin) {
        Some(Origin::Flag(_)) => true,
        Some(Origin::Env(name)) => overridable().any(|(_, key)| key.env == Some(*name)),
        _ => false,
    };
    if overrides { far } else { near.or(far) }
}

/// The image of a task that does not name one: `default`, or the only image.
fn sole_or_default(images: Option<&TomlNode>) -> Option<String> {
    let Some(TomlNode {
        value: TomlValue::Table(images),
        ..
    }) = images
    else {
        return None;
    };
    match images.keys().next() {
        _ if images.contains_key("default") => Some("default".to_owned()),
        Some(only) if images.len() == 1 => Some(only.clone()),
        _ => None,
    }
}

/// Whether the image sets a key that requires a builder with containers.
fn has_to_run(image: &Table) -> bool {
    let used = |name: &str| image.get(name).is_some_and(|node| !is_empty(&node.value));
    let python =
        |file: &TomlNode| matches!(&file.value, TomlValue::Text(path) if !is_cargo_lock(path));
    let requirements = image.get("requirements").map(|node| &node.value);
    keys::IMAGE
        .keys
        .iter()
        .any(|key| key.runs && used(key.name))
        || matches!(requirements, Some(TomlValue::List(files)) if files.iter().any(python))
}

/// Whether the image is built by the backend, which runs a shell in every image.
fn is_remote(image: &Table) -> bool {
    matches!(image.get("builder").map(|node| &node.value), Some(TomlValue::Text(word)) if word == "remote")
}

fn is_empty(value: &TomlValue) -> bool {
    match value {
        TomlValue::List(entries) => entries.is_empty(),
        TomlValue::Table(entries) => entries.is_empty(),
        _ => false,
    }
}

/// Fills in the defaults of a table that are literal TOML.
fn fill_defaults(table: &mut Table, level: &'static SchemaLevel) {
    fill_keys(table, level.keys.iter());
}

fn fill_keys(table: &mut Table, keys: impl Iterator<Item = &'static SchemaKey>) {
    for key in keys {
        if let DefaultValue::Toml(text) = key.default {
            table
                .entry(key.name.to_owned())
                .or_insert_with(|| default_node(text));
        }
    }
}

fn default_node(text: &'static str) -> TomlNode {
    let value = toml::de::DeValue::parse(text).expect("the schema's defaults are valid TOML");
    node(convert(value.get_ref()))
}

fn convert(value: &toml::de::DeValue<'_>) -> TomlValue {
    use toml::de::DeValue;
    match value {
        DeValue::String(text) => TomlValue::Text(text.to_string()),
        DeValue::Boolean(value) => TomlValue::Bool(*value),
        DeValue::Integer(number) => TomlValue::Integer(
            number
                .as_str()
                .parse()
                .expect("the schema's defaults are small numbers"),
        ),
        DeValue::Array(entries) => TomlValue::List(
            entries
                .iter()
                .map(|entry| node(convert(entry.get_ref())))
                .collect(),
        ),
        DeValue::Table(_) => TomlValue::Table(Table::new()),
        other => unreachable!("the schema has no default that is a {}", other.type_str()),
    }
}

fn table_of<'a>(table: &'a mut Table, key: &str) -> &'a mut Table {
    table
        .entry(key.to_owned())
        .or_insert_with(empty_table)
        .make_table()
}

fn empty_table() -> TomlNode {
    node(TomlValue::Table(Table::new()))
}

fn default_text(text: impl Into<String>) -> TomlNode {
    node(TomlValue::Text(text.into()))
}

fn node(value: TomlValue) -> TomlNode {
    TomlNode {
        key: Origin::Default,
        origin: Origin::Default,
        value,
    }
}
