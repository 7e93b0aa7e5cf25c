//! One `tasks.NAME` table.

use std::collections::{BTreeMap, BTreeSet};

use super::reader::Reader;
use super::{Ground, grammar, named, or_any, unknown};
use crate::diag::{Code, Diagnostic, Origin};
use crate::spec::raw::{Node, Table, Value};
use crate::spec::{Kind, Placed, Task};

const KINDS: &[(&str, Kind)] = &[("rust", Kind::Rust), ("container", Kind::Container)];

/// Reads a task; `images` are the names of the declared ones, `package` is the whole table.
pub(super) fn read(key: &str, node: &Node, images: Option<&BTreeSet<&str>>, package: &Table, mut reader: Reader<'_>) -> Task {
    let reader = &mut reader;
    let problem = grammar::NAME.problem(key, &node.key);
    reader.problems.extend(problem);
    let image = image(key, node, images, reader);
    let kind = reader.word("kind", KINDS);
    let runs_rust = kind.as_ref().is_some_and(|kind| kind.value == Kind::Rust);
    let bin = bin(key, node, runs_rust, package, reader);
    if let (Some(kind), false, true) = (&kind, reader.ground.facts.depends_on_flyte, runs_rust) {
        let message = format!("task `{key}` has the kind `rust`, but the package does not depend on the `flyte` crate");
        reader.problems.push(Diagnostic::error(Code::KindUnfit, message, &kind.origin, "needs `flyte`").help(Code::KindUnfit.cure()));
    }
    Task {
        key: key.to_owned(),
        origin: node.key.clone(),
        kind: kind.unwrap_or(Placed { value: Kind::Container, origin: Origin::Default }),
        image: or_any(image),
        bin,
        resources: resources(reader),
        retries: or_any(retries(reader)),
    }
}

fn image(key: &str, node: &Node, images: Option<&BTreeSet<&str>>, reader: &mut Reader<'_>) -> Option<Placed<String>> {
    let images = images?;
    let Some((name, origin)) = named(reader.table, "image") else {
        if !reader.table.contains_key("image") {
            let list = images.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let message = format!("task `{key}` does not say which image it runs in, and none is called `default`");
            let problem = Diagnostic::error(Code::UnknownImage, message, &node.key, "no `image`");
            reader.problems.push(problem.help(format!("write `image = \"…\"`: there is {list}")));
        }
        return None;
    };
    if !images.contains(name) {
        reader.problems.push(unknown(Code::UnknownImage, "image", name, origin, images));
    }
    Some(Placed { value: name.to_owned(), origin: origin.clone() })
}

fn bin(key: &str, node: &Node, runs_rust: bool, package: &Table, reader: &mut Reader<'_>) -> Option<Placed<String>> {
    let Ground { facts, .. } = reader.ground;
    let binaries: BTreeSet<&str> = facts.binaries.iter().map(String::as_str).collect();
    if let Some((name, origin)) = named(reader.table, "bin") {
        if !binaries.contains(name) {
            reader.problems.push(unknown(Code::UnknownBinary, "binary", name, origin, &binaries));
        }
        return Some(Placed { value: name.to_owned(), origin: origin.clone() });
    }
    let image = named(reader.table, "image").map_or("default", |(name, _)| name);
    let brings_its_own = !runs_rust && (binaries.is_empty() || has_entrypoint(package, image));
    if !reader.table.contains_key("bin") && !brings_its_own {
        let problem = match binaries.is_empty() {
            true => {
                let message = format!("task `{key}` has the kind `rust`, but the package has no binary");
                Diagnostic::error(Code::KindUnfit, message, &node.key, "needs a binary").help("add a binary to the package")
            }
            false => {
                let list = binaries.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                let message = format!("task `{key}` does not say which binary it runs");
                let problem = Diagnostic::error(Code::TaskAmbiguous, message, &node.key, "no `bin`");
                problem.help(format!("write `bin = \"…\"`: there is {list}"))
            }
        };
        reader.problems.push(problem);
    }
    None
}

fn has_entrypoint(package: &Table, image: &str) -> bool {
    super::tables(package, "images").any(|(name, _, table)| name == image && table.contains_key("entrypoint"))
}

fn resources(reader: &mut Reader<'_>) -> BTreeMap<String, Placed<String>> {
    let Some(table) = reader.table("resources") else { return BTreeMap::new() };
    let reader = &mut reader.inner(table);
    let rule = |key: &str| match key {
        "gpu" => &grammar::GPU,
        "shm" => &grammar::SHARED_MEMORY,
        _ => &grammar::QUANTITY,
    };
    table.keys().filter_map(|key| Some((key.clone(), reader.text(key, rule(key))?))).collect()
}

fn retries(reader: &mut Reader<'_>) -> Option<Placed<u32>> {
    let Node { origin, value: Value::Integer(number), .. } = reader.table.get("retries")? else { return None };
    let place = |value| Placed { value, origin: Origin::clone(origin) };
    u32::try_from(*number).map(place).ok().or_else(|| {
        let message = format!("`retries` cannot be {number}");
        let problem = Diagnostic::error(Code::InvalidValue, message, origin, "not a number of attempts");
        reader.problems.push(problem.help("write 0 or a small number"));
        None
    })
}
