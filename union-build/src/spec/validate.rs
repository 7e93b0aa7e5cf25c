//! Converts a completed tree into validated types, reporting all problems at once.

use std::collections::BTreeSet;

use super::tree::{Table, TomlNode, TomlValue};
use super::{BackendChoice, ImageSpec, PackageInfo, Sourced, Spec, Task};
use crate::diag::{Code, Diagnostic, Origin};
use reader::TableReader;

mod copy;
mod grammar;
mod image;
mod inherit;
mod paths;
mod python;
mod reader;
mod relations;
pub(super) mod remote;
mod task;

pub(super) struct ValidationContext<'a> {
    /// Facts from cargo.
    pub facts: &'a PackageInfo,
    /// The directory that relative paths in variables and flags start from.
    pub directory: &'a std::path::Path,
}

/// Converts a completed tree. When an error is reported the result must not be used: broken values are
/// replaced by defaults.
pub(super) fn validate(
    tree: &TomlNode,
    context: &ValidationContext<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Spec {
    let TomlValue::Table(table) = &tree.value else {
        unreachable!("completing a tree makes it a table")
    };
    relations::check(tree, table, context.facts, problems);
    let mut images: Vec<ImageSpec> = tables(table, "images")
        .map(|(name, node, image)| {
            image::read(name, node, TableReader::new(image, context, problems))
        })
        .collect();
    inherit::fill_in(&mut images, problems);
    relations::check_builders(&images, problems);
    let image_names = image_names(table);
    let tasks: Vec<Task> = tables(table, "tasks")
        .map(|(name, node, task)| {
            task::read(
                name,
                node,
                image_names.as_ref(),
                table,
                TableReader::new(task, context, problems),
            )
        })
        .collect();
    relations::check_backend_names(&tasks, problems);
    relations::check_programs(&images, &tasks, context.facts, problems);
    remote::check(&images, &tasks, problems);
    let mut reader = TableReader::new(table, context, problems);
    // Each image validates the inherited registry too, but without images it would not be validated at all.
    let _ = reader.text("registry", &grammar::REGISTRY);
    Spec {
        package: context.facts.package.clone(),
        project: reader.text("project", &grammar::PROJECT),
        domain: reader.text("domain", &grammar::DOMAIN),
        backend: or_default(reader.word("backend", &BackendChoice::WORDS)),
        insecure_registries: reader
            .texts("insecure-registries", &grammar::HOST)
            .into_iter()
            .map(|host| host.value)
            .collect(),
        mirrors: reader
            .text_map("mirrors", &grammar::HOST, &grammar::REGISTRY)
            .into_iter()
            .map(|(host, mirror)| (host, mirror.value))
            .collect(),
        registry_config: reader.path("registry-config"),
        attest: reader.bool("attest"),
        images: images
            .into_iter()
            .map(|image| (image.key.clone(), image))
            .collect(),
        tasks: tasks
            .into_iter()
            .map(|task| (task.key.clone(), task))
            .collect(),
    }
}

/// The value, or the type's default in place of a broken one that was reported.
fn or_default<T: Default>(value: Option<Sourced<T>>) -> Sourced<T> {
    value.unwrap_or_else(|| Sourced {
        value: T::default(),
        origin: Origin::Default,
    })
}

/// The tables of a table of tables, without broken ones.
fn tables<'a>(
    table: &'a Table,
    key: &str,
) -> impl Iterator<Item = (&'a str, &'a TomlNode, &'a Table)> {
    let nodes = match table.get(key) {
        Some(TomlNode {
            value: TomlValue::Table(nodes),
            ..
        }) => Some(nodes),
        _ => None,
    };
    nodes
        .into_iter()
        .flatten()
        .filter_map(|(name, node)| match &node.value {
            TomlValue::Table(inner) => Some((name.as_str(), node, inner)),
            _ => None,
        })
}

/// The names of all images, broken ones included; `None` when `images` itself is broken.
fn image_names(table: &Table) -> Option<BTreeSet<&str>> {
    match &table.get("images")?.value {
        TomlValue::Table(images) => Some(images.keys().map(String::as_str).collect()),
        _ => None,
    }
}

/// The string under a key, with its place.
fn string_at<'a>(table: &'a Table, key: &str) -> Option<(&'a str, &'a Origin)> {
    match table.get(key)? {
        TomlNode {
            value: TomlValue::Text(text),
            origin,
            ..
        } => Some((text, origin)),
        _ => None,
    }
}

/// An error for a name that is not declared.
fn unknown(
    code: Code,
    what: &str,
    name: &str,
    origin: &Origin,
    known: &BTreeSet<&str>,
) -> Diagnostic {
    let problem = Diagnostic::error(
        code,
        format!("there is no {what} `{name}`"),
        origin,
        format!("no such {what}"),
    );
    let list: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    let list = match list.len() {
        0 => format!("there is no {what} at all"),
        _ => format!("there is {}", list.join(", ")),
    };
    match crate::diag::nearest(name, known.iter().copied()) {
        Some(meant) => problem
            .help(format!("did you mean `{meant}`? {list}"))
            .suggest(origin, super::toml_text::string(meant)),
        None => problem.help(list),
    }
}

/// Whether a text is a valid task name at the backend. The name is also used as a file name.
pub fn is_task_name(text: &str) -> bool {
    grammar::TASK_NAME.fits(text)
}
