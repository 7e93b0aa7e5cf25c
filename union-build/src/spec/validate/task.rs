//! Reads a `tasks.NAME` table.

use std::collections::BTreeSet;

use super::reader::TableReader;
use super::{ValidationContext, grammar, or_default, string_at, unknown};
use crate::diag::{Code, Diagnostic, Origin};
use crate::spec::schema::keys;
use crate::spec::task::{Data, DataFormat, FileLayout};
use crate::spec::tree::{Table, TomlNode};
use crate::spec::{Sourced, Task, TaskKind};

use interface::DeclaredTaskInputs;

mod interface;
mod node;
mod policy;
mod trigger;

const KINDS: &[(&str, TaskKind)] = &[("rust", TaskKind::Rust), ("container", TaskKind::Container)];
const FORMATS: &[(&str, DataFormat)] = &[
    ("json", DataFormat::Json),
    ("yaml", DataFormat::Yaml),
    ("proto", DataFormat::Proto),
];
const LAYOUTS: &[(&str, FileLayout)] = &[
    ("direct", FileLayout::Direct),
    ("named-dir", FileLayout::NamedDir),
];

/// A path has at most 4095 bytes on Linux, and the name of an input or output at most 255.
const LONGEST_DIRECTORY: usize = 4095 - 1 - 255;

/// Reads a task; `images` are the names of all declared images, `package` is the `union` table.
pub(super) fn read(
    key: &str,
    node: &TomlNode,
    images: Option<&BTreeSet<&str>>,
    package: &Table,
    mut reader: TableReader<'_>,
) -> Task {
    let reader = &mut reader;
    let problem = grammar::NAME.problem(key, &node.key);
    reader.problems.extend(problem);
    let image = image(key, node, images, reader);
    let kind = kind(key, reader);
    let inputs = DeclaredTaskInputs::read(kind.value, reader);
    let command = reader.list("command", &grammar::TEXT);
    let data = data(reader);
    interface::check_command(&inputs, &data, reader);
    let bin = bin(key, node, kind.value == TaskKind::Rust, package, reader);
    let environment = reader.text("environment", &grammar::ENVIRONMENT);
    Task {
        origin: node.key.clone(),
        image: or_default(image),
        name: reader.text("name", &grammar::TASK_NAME),
        environment: or_default(environment),
        description: reader.text("description", &grammar::SHORT),
        long_description: reader.text("long-description", &grammar::LONG),
        source_code: reader.text("source-code", &grammar::ADDRESS),
        links: reader.text_map("links", &grammar::SHORT, &grammar::ADDRESS),
        outputs: interface::outputs(reader),
        data,
        resources: node::resources(reader),
        env: reader.text_map("env", &grammar::IMAGE_ENV_NAME, &grammar::TEXT),
        secrets: node::secrets(reader),
        retries: policy::retries(reader),
        timeout: policy::timeout(reader),
        cache: policy::cache(&inputs, reader),
        interruptible: or_default(reader.bool("interruptible")),
        service_account: reader.text("service-account", &grammar::OBJECT),
        pod_template: reader.text("pod-template", &grammar::OBJECT),
        queue: reader.text("queue", &grammar::WORD),
        triggers: trigger::read(&inputs, reader),
        key: key.to_owned(),
        kind,
        bin,
        inputs: inputs.types,
        command,
    }
}

/// The kind; reports a kind that the package does not support and keys that only the other kind has.
fn kind(key: &str, reader: &mut TableReader<'_>) -> Sourced<TaskKind> {
    let kind = reader.word("kind", KINDS);
    if let (
        Some(Sourced {
            value: TaskKind::Rust,
            origin,
        }),
        false,
    ) = (&kind, reader.context.facts.depends_on_flyte)
    {
        let message = format!(
            "task `{key}` has the kind `rust`, but the package does not depend on the `flyte` crate"
        );
        reader.problems.push(
            Diagnostic::error(Code::KindUnfit, message, origin, "needs `flyte`")
                .help(Code::KindUnfit.help()),
        );
    }
    let Some((word, kind)) = kind.and_then(|kind| {
        Some((
            KINDS.iter().find(|(_, known)| *known == kind.value)?.0,
            kind,
        ))
    }) else {
        return Sourced {
            value: TaskKind::Container,
            origin: Origin::Default,
        };
    };
    for other in keys::TASK
        .keys
        .iter()
        .filter(|key| key.only.is_some_and(|only| only != word))
    {
        if let Some(node) = reader.table.get(other.name) {
            let message = format!(
                "`{}` is not for tasks of the kind `{word}`, such as `{key}`",
                other.name
            );
            let problem = Diagnostic::error(
                Code::KeyOfOtherKind,
                message,
                &node.key,
                "not for this kind",
            );
            let problem = if kind.origin == Origin::Default {
                problem
            } else {
                problem.also(&kind.origin, "the kind is chosen here")
            };
            reader.problems.push(
                problem.help(
                    "remove it: the binary itself declares its inputs, outputs and arguments",
                ),
            );
        }
    }
    kind
}

fn image(
    key: &str,
    node: &TomlNode,
    images: Option<&BTreeSet<&str>>,
    reader: &mut TableReader<'_>,
) -> Option<Sourced<String>> {
    let images = images?;
    let Some((name, origin)) = string_at(reader.table, "image") else {
        if !reader.table.contains_key("image") {
            let list = images
                .iter()
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(", ");
            let message = format!(
                "task `{key}` does not say which image it runs in, and none is called `default`"
            );
            let problem = Diagnostic::error(Code::UnknownImage, message, &node.key, "no `image`");
            reader
                .problems
                .push(problem.help(format!("write `image = \"…\"`: there is {list}")));
        }
        return None;
    };
    if !images.contains(name) {
        reader
            .problems
            .push(unknown(Code::UnknownImage, "image", name, origin, images));
    }
    Some(Sourced {
        value: name.to_owned(),
        origin: origin.clone(),
    })
}

fn bin(
    key: &str,
    node: &TomlNode,
    runs_rust: bool,
    package: &Table,
    reader: &mut TableReader<'_>,
) -> Option<Sourced<String>> {
    let ValidationContext { facts, .. } = reader.context;
    let binaries: BTreeSet<&str> = facts.binaries.iter().map(String::as_str).collect();
    if let Some((name, origin)) = string_at(reader.table, "bin") {
        if !binaries.contains(name) {
            reader.problems.push(unknown(
                Code::UnknownBinary,
                "binary",
                name,
                origin,
                &binaries,
            ));
        }
        return Some(Sourced {
            value: name.to_owned(),
            origin: origin.clone(),
        });
    }
    let image = string_at(reader.table, "image").map_or("default", |(name, _)| name);
    let brings_its_own =
        !runs_rust && (reader.table.contains_key("command") || has_entrypoint(package, image));
    if !reader.table.contains_key("bin") && !brings_its_own {
        let problem = match (binaries.is_empty(), runs_rust) {
            (true, true) => {
                let message =
                    format!("task `{key}` has the kind `rust`, but the package has no binary");
                Diagnostic::error(Code::KindUnfit, message, &node.key, "needs a binary")
                    .help("add a binary to the package")
            }
            (true, false) => {
                let message =
                    format!("task `{key}` has no program to run, and the package has no binary");
                Diagnostic::error(Code::NothingRuns, message, &node.key, "runs nothing")
                    .help(Code::NothingRuns.help())
            }
            (false, _) => {
                let list = binaries
                    .iter()
                    .map(|name| format!("`{name}`"))
                    .collect::<Vec<_>>()
                    .join(", ");
                let message = format!("task `{key}` does not say which binary it runs");
                let problem =
                    Diagnostic::error(Code::TaskAmbiguous, message, &node.key, "no `bin`");
                problem.help(format!("write `bin = \"…\"`: there is {list}"))
            }
        };
        reader.problems.push(problem);
    }
    None
}

fn has_entrypoint(package: &Table, image: &str) -> bool {
    super::tables(package, "images")
        .any(|(name, _, table)| name == image && table.contains_key("entrypoint"))
}

fn data(reader: &mut TableReader<'_>) -> Data {
    let input_path = or_default(reader.text("input-path", &grammar::ABSOLUTE));
    let output_path = or_default(reader.text("output-path", &grammar::ABSOLUTE));
    let trimmed = |path: &Sourced<String>| path.value.trim_end_matches('/').to_owned();
    if !input_path.value.is_empty() && trimmed(&input_path) == trimmed(&output_path) {
        let origin = if output_path.origin == Origin::Default {
            &input_path.origin
        } else {
            &output_path.origin
        };
        let problem = Diagnostic::error(
            Code::InvalidValue,
            "inputs and outputs have the same directory",
            origin,
            "the same directory",
        );
        reader.problems.push(problem.help("choose two directories"));
    }
    for path in [&input_path, &output_path] {
        if path.value.len() > LONGEST_DIRECTORY {
            let message =
                format!("the path of a directory is longer than {LONGEST_DIRECTORY} bytes");
            let problem = Diagnostic::error(Code::InvalidValue, message, &path.origin, "too long");
            reader.problems.push(problem.help("choose a shorter one"));
        }
    }
    Data {
        format: reader
            .word("data-format", FORMATS)
            .map_or_else(DataFormat::default, |format| format.value),
        layout: reader
            .word("file-layout", LAYOUTS)
            .map_or_else(FileLayout::default, |layout| layout.value),
        input_path,
        output_path,
    }
}
