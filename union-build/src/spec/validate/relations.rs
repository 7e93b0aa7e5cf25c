//! Validates relations between images, tasks and the package.

use std::collections::{BTreeMap, BTreeSet};

use super::{image_names, string_at, tables, unknown};
use crate::diag::{Code, Diagnostic, Origin};
use crate::handover::constant;
use crate::spec::tree::{Table, TomlNode, TomlValue};
use crate::spec::{Base, BuilderChoice, ImageSpec, PackageInfo, Task, TaskKind};

/// Checks a completed tree.
pub(super) fn check(
    tree: &TomlNode,
    table: &Table,
    facts: &PackageInfo,
    problems: &mut Vec<Diagnostic>,
) {
    check_bases(table, problems);
    check_extends_cycles(table, problems);
    check_constants(table, problems);
    check_duplicate_tasks(table, problems);
    check_default_task(tree, table, facts, problems);
}

/// Checks that the chosen builders support the keys of the images and of those that they extend.
pub(super) fn check_builders(images: &[ImageSpec], problems: &mut Vec<Diagnostic>) {
    check_scratch(images, problems);
    for image in images
        .iter()
        .filter(|image| image.builder.value == BuilderChoice::Native)
    {
        let chosen =
            |problem: Diagnostic| problem.also(&image.builder.origin, "the builder is chosen here");
        for (key, origin) in image.needs_to_run() {
            let message = format!(
                "the native builder cannot run programs, so it does not support `{key}` of image `{}`",
                image.key
            );
            let problem = Diagnostic::error(
                Code::UnsupportedByBuilder,
                message,
                &origin,
                "needs the docker or the remote builder",
            );
            problems.push(chosen(problem).help("use `builder = \"docker\"` or `\"remote\"`"));
        }
        let Base::Extends(first) = &image.base else {
            continue;
        };
        let ancestor = ancestors(image, images)
            .into_iter()
            .find(|ancestor| !ancestor.needs_to_run().is_empty());
        if let Some(ancestor) = ancestor {
            let message = format!(
                "the native builder cannot build the environment of `{}`, which image `{}` extends",
                ancestor.key, image.key
            );
            let problem = Diagnostic::error(
                Code::UnsupportedByBuilder,
                message,
                &first.origin,
                "needs the docker or the remote builder",
            );
            problems.push(chosen(problem).help("use `builder = \"docker\"` or `\"remote\"`"));
        }
    }
}

/// Checks that the programs of tasks exist: an image without packages and copies contains only the
/// package's binaries.
pub(super) fn check_programs(
    images: &[ImageSpec],
    tasks: &[Task],
    facts: &PackageInfo,
    problems: &mut Vec<Diagnostic>,
) {
    let binaries: BTreeSet<&str> = facts.binaries.iter().map(String::as_str).collect();
    for task in tasks
        .iter()
        .filter(|task| task.kind.value == TaskKind::Container && task.bin.is_none())
    {
        let Some(image) = images
            .iter()
            .find(|image| image.key == task.image.value && is_bare(image, images))
        else {
            continue;
        };
        let Some((command, word)) = task
            .command
            .as_ref()
            .and_then(|command| Some((command, command.value.first()?)))
        else {
            continue;
        };
        if !word.contains(['/', '{']) {
            let problem = unknown(
                Code::UnknownBinary,
                "binary",
                word,
                &command.origin,
                &binaries,
            );
            problems.push(problem.also(&image.origin, "no other program is in this image"));
        }
    }
}

/// Whether an image contains only the package's binaries: it starts from `scratch` or from the default
/// base, which has no programs, and adds none.
fn is_bare(image: &ImageSpec, images: &[ImageSpec]) -> bool {
    ancestors(image, images)
        .into_iter()
        .chain([image])
        .all(|image| {
            let is_empty = match &image.base {
                Base::Scratch(_) | Base::Extends(_) => true,
                // The default base of the remote builder has a shell and other programs.
                Base::Reference(base) => base.origin == Origin::Default && !image.is_remote(),
                Base::Dockerfile => false,
            };
            is_empty
                && image.entrypoint.is_none()
                && image.copy.is_empty()
                && image.needs_to_run().is_empty()
        })
}

fn check_scratch(images: &[ImageSpec], problems: &mut Vec<Diagnostic>) {
    for image in images.iter().filter(|image| image.dockerfile.is_none()) {
        let chain = || ancestors(image, images).into_iter().chain([image]);
        let scratch = chain().find_map(|image| match &image.base {
            Base::Scratch(origin) => Some(origin),
            _ => None,
        });
        let (Some(scratch), Some((key, origin))) =
            (scratch, image.needs_to_run().into_iter().next())
        else {
            continue;
        };
        let message = format!(
            "nothing can run on `scratch`, so `{key}` of image `{}` is not supported",
            image.key
        );
        let problem = Diagnostic::error(Code::InvalidValue, message, &origin, "has to run");
        problems.push(
            problem
                .also(scratch, "an empty file system")
                .help("use a base with a shell, such as `debian:trixie-slim`"),
        );
    }
}

/// The images that `image` extends, directly or not, nearest first.
pub(super) fn ancestors<'a>(image: &'a ImageSpec, images: &'a [ImageSpec]) -> Vec<&'a ImageSpec> {
    let mut ancestors: Vec<&ImageSpec> = Vec::new();
    let mut current = image;
    while let Base::Extends(name) = &current.base {
        let Some(next) = images
            .iter()
            .find(|image| image.key == name.value && !ancestors.contains(image))
        else {
            break;
        };
        ancestors.push(next);
        current = next;
    }
    ancestors
}

fn check_bases(table: &Table, problems: &mut Vec<Diagnostic>) {
    let Some(images) = image_names(table) else {
        return;
    };
    for (name, _, image) in tables(table, "images") {
        let base = image.get("base-image");
        let extends = image.get("extends");
        let dockerfile = image.get("dockerfile");
        if let (Some(base), Some(extends)) = (base, extends) {
            let message = format!("image `{name}` has both `base-image` and `extends`");
            let problem = Diagnostic::error(
                Code::BaseAndExtends,
                message,
                &extends.key,
                "starts from another image spec",
            );
            problems.push(
                problem
                    .also(&base.key, "starts from an image")
                    .help(Code::BaseAndExtends.help()),
            );
        }
        let start = base
            .filter(|base| base.origin != Origin::Default)
            .or(extends);
        if let (Some(start), Some(dockerfile)) = (start, dockerfile) {
            let message = format!("the Dockerfile of image `{name}` already declares its base");
            let problem =
                Diagnostic::error(Code::InvalidValue, message, &start.key, "would be ignored");
            problems.push(
                problem
                    .also(&dockerfile.key, "the Dockerfile")
                    .help("remove one of them"),
            );
        }
        if let Some((name, origin)) =
            string_at(image, "extends").filter(|(name, _)| !images.contains(name))
        {
            problems.push(unknown(Code::UnknownImage, "image", name, origin, &images));
        }
    }
}

/// Reports each cycle of `extends` once, at the edge of its first image by name.
fn check_extends_cycles(table: &Table, problems: &mut Vec<Diagnostic>) {
    let edge = |name: &str| {
        let image = tables(table, "images")
            .find(|(other, _, _)| *other == name)?
            .2;
        string_at(image, "extends")
    };
    let mut reported = BTreeSet::new();
    for (name, _, _) in tables(table, "images") {
        let mut path = vec![name];
        while let Some((next, _)) = path.last().and_then(|last| edge(last)) {
            if let Some(start) = path.iter().position(|seen| *seen == next) {
                report_cycle(&path[start..], edge, &mut reported, problems);
                break;
            }
            path.push(next);
        }
    }
}

fn report_cycle<'a>(
    circle: &[&'a str],
    edge: impl Fn(&str) -> Option<(&'a str, &'a Origin)>,
    reported: &mut BTreeSet<&'a str>,
    problems: &mut Vec<Diagnostic>,
) {
    if circle.iter().any(|name| !reported.insert(name)) {
        return;
    }
    let path: Vec<String> = circle
        .iter()
        .chain(circle.first())
        .map(|name| format!("`{name}`"))
        .collect();
    let message = format!("images extend one another in a cycle: {}", path.join(" → "));
    let mut places = circle.iter().filter_map(|name| Some((name, edge(name)?.1)));
    let (_, first) = places.next().expect("a circle is made of edges");
    let problem = Diagnostic::error(
        Code::ExtendsCircle,
        message,
        first,
        "the cycle is closed here",
    );
    let problem = places.fold(problem, |problem, (name, origin)| {
        problem.also(origin, format!("`{name}` continues it here"))
    });
    problems.push(problem.help(Code::ExtendsCircle.help()));
}

fn check_constants(table: &Table, problems: &mut Vec<Diagnostic>) {
    for [(first, first_origin), (name, origin)] in collisions(table, "images", constant) {
        let message = format!(
            "the images `{first}` and `{name}` would have the same constant, `{}`",
            constant(name)
        );
        let problem = Diagnostic::error(
            Code::ConstantCollision,
            message,
            origin,
            "the same constant",
        );
        problems.push(
            problem
                .also(first_origin, "as this one")
                .help(Code::ConstantCollision.help()),
        );
    }
    for (name, node, _) in tables(table, "images").filter(|(name, ..)| constant(name) == "ALL") {
        let message = format!(
            "the constant of image `{name}` would be `ALL`, which is the list of all images"
        );
        problems.push(
            Diagnostic::error(Code::ConstantCollision, message, &node.key, "taken")
                .help("rename the image"),
        );
    }
}

fn check_duplicate_tasks(table: &Table, problems: &mut Vec<Diagnostic>) {
    let with_hyphens = |name: &str| name.replace('_', "-");
    for [(first, first_origin), (name, origin)] in collisions(table, "tasks", with_hyphens) {
        let message = format!(
            "the tasks `{first}` and `{name}` have one name: `-` and `_` count as the same"
        );
        let problem = Diagnostic::error(Code::DuplicateTask, message, origin, "the same name");
        problems.push(
            problem
                .also(first_origin, "as this one")
                .help(Code::DuplicateTask.help()),
        );
    }
}

/// The tables below `key` whose names are equal after `normalize`: each later name with the first one, and the place of
/// both.
fn collisions<'a>(
    table: &'a Table,
    key: &'a str,
    normalize: impl Fn(&str) -> String,
) -> Vec<[(&'a str, &'a Origin); 2]> {
    let mut groups: BTreeMap<String, Vec<(&str, &Origin)>> = BTreeMap::new();
    for (name, node, _) in tables(table, key) {
        groups
            .entry(normalize(name))
            .or_default()
            .push((name, &node.key));
    }
    let mut pairs = Vec::new();
    for group in groups.values() {
        if let Some((first, others)) = group.split_first() {
            pairs.extend(others.iter().map(|other| [*first, *other]));
        }
    }
    pairs
}

/// Two tasks with the same name would overwrite one another at the backend. The name of a `rust` task
/// without a `name` is known only from its binary.
pub(super) fn check_backend_names(tasks: &[Task], problems: &mut Vec<Diagnostic>) {
    let mut first_by_name: BTreeMap<&str, &Origin> = BTreeMap::new();
    for task in tasks {
        let (name, origin) = match (&task.name, task.kind.value) {
            (Some(name), _) => (name.value.as_str(), &name.origin),
            (None, TaskKind::Container) => (task.key.as_str(), &task.origin),
            (None, TaskKind::Rust) => continue,
        };
        if let Some(first) = first_by_name.insert(name, origin) {
            let message = format!("two tasks have the name `{name}` at the backend");
            let problem = Diagnostic::error(Code::DuplicateTask, message, origin, "the same name")
                .also(first, "as this one");
            problems.push(problem.help(Code::DuplicateTask.help()));
        }
    }
}

/// A package without a task is valid when it declares images; several binaries are ambiguous.
fn check_default_task(
    tree: &TomlNode,
    table: &Table,
    facts: &PackageInfo,
    problems: &mut Vec<Diagnostic>,
) {
    let no_task = matches!(table.get("tasks"), Some(TomlNode { value: TomlValue::Table(tasks), .. }) if tasks.is_empty());
    if !no_task {
        return;
    }
    let images = table.get("images").map(|node| &node.value);
    let declares_images = !matches!(images, Some(TomlValue::Table(images)) if images.values().all(|image| image.key == Origin::Default));
    if !facts.binaries.is_empty() {
        let list = facts
            .binaries
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", ");
        let message = format!(
            "no task is declared, and package `{}` has several binaries: {list}",
            facts.package
        );
        let problem = Diagnostic::error(
            Code::TaskAmbiguous,
            message,
            &tree.key,
            "the task is ambiguous",
        );
        let help = format!(
            "add `[package.metadata.union.tasks.{0}]` with `bin = \"{0}\"`, or set `default-run`",
            facts.binaries[0]
        );
        problems.push(problem.help(help));
    } else if !declares_images {
        let message = format!(
            "package `{}` has neither a binary nor an image",
            facts.package
        );
        let problem =
            Diagnostic::error(Code::NothingToBuild, message, &tree.key, "nothing to build");
        problems.push(problem.help(Code::NothingToBuild.help()));
    }
}
