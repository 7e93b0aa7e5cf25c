//! The starter manifest is accepted as it is, and with each of its keys switched on.

use super::*;
use crate::spec::schema::{KeyKind, SchemaKey, SchemaLevel, levels};
use crate::spec::starter::{Starter, StarterTask, starter};

fn starters() -> Vec<(Starter, Vec<&'static str>)> {
    let task = |kind| {
        Some(StarterTask {
            name: "twice".to_owned(),
            binary: "app".to_owned(),
            kind,
        })
    };
    let with = |task| Starter {
        binaries: vec!["app".to_owned()],
        registry: None,
        task,
    };
    let several = Starter {
        binaries: vec!["train".to_owned(), "serve-it".to_owned()],
        registry: Some("ghcr.io/acme".to_owned()),
        task: None,
    };
    vec![
        (with(None), vec!["app"]),
        (with(task(TaskKind::Container)), vec!["app"]),
        (with(task(TaskKind::Rust)), vec!["app"]),
        (several, vec!["train", "serve-it"]),
    ]
}

fn project(text: &str, starter: &Starter, bins: &[&str]) -> Project {
    let project = Project::new(text).bins(bins);
    let project = ["app/conf/x", "app/models/weights.bin", "app/ca.pem"]
        .iter()
        .chain(&[
            "app/Dockerfile",
            "app/requirements.txt",
            "app/docker/x",
            "app/token.txt",
        ])
        .fold(project, |project, file| project.file(file));
    match &starter.task {
        Some(task) if task.kind == TaskKind::Rust => project.flyte(),
        _ => project,
    }
}

/// Whether the line is a key or a header that is off.
fn is_off(line: &str) -> bool {
    line.starts_with('#') && !line.starts_with("# ")
}

fn is_header(line: &str) -> bool {
    line.trim_start_matches('#').starts_with('[')
}

fn key(line: &str) -> &str {
    line.trim_start_matches('#').split(" = ").next().unwrap()
}

/// The number of the header above a line.
fn header_of(lines: &[&str], number: usize) -> usize {
    (0..number)
        .rev()
        .find(|above| is_header(lines[*above]))
        .unwrap()
}

/// The text with the lines of these numbers switched on.
fn switched_on(lines: &[&str], on: &[usize]) -> String {
    let line = |(number, line): (usize, &&str)| match on.contains(&number) {
        true => line.trim_start_matches('#').to_owned() + "\n",
        false => format!("{line}\n"),
    };
    lines.iter().enumerate().map(line).collect()
}

/// The table of the schema that a header stands for.
fn level_of(header: &str) -> &'static SchemaLevel {
    let path: Vec<&str> = header
        .trim_matches(['#', '[', ']'])
        .split('.')
        .skip(3)
        .collect();
    let path = match &path[..] {
        [table @ ("images" | "tasks"), _] => format!("{table}.NAME"),
        [table @ ("images" | "tasks"), _, inner] => format!("{table}.NAME.{inner}"),
        [table, _, inner, _] => format!("{table}.NAME.{inner}.NAME"),
        path => path.join("."),
    };
    levels()
        .into_iter()
        .find(|level| level.path == path)
        .unwrap()
}

#[test]
fn starter_manifest_is_valid() {
    for (given, bins) in starters() {
        let text = starter(&given);
        let spec = project(&text, &given, &bins).spec();
        assert_eq!(spec.tasks.len(), bins.len());
        assert_eq!(spec.images.len(), 1);
    }
}

/// Keys of other tables that a line needs.
fn other_keys(level: &SchemaLevel, key: &str) -> &'static [&'static str] {
    match (level.path, key) {
        ("images.NAME.secrets", _) => &["commands"],
        ("images.NAME.builder-options", "context" | "target") => &["dockerfile"],
        _ => &[],
    }
}

/// The manifest with the base that a key needs: none beside another start, and one with a shell for what has to run.
fn with_base(text: &str, level: &SchemaLevel, key: &SchemaKey) -> String {
    let has_start = matches!(key.name, "extends" | "dockerfile" | "context" | "target");
    let has_to_run = key.runs
        || key.name == "requirements"
        || level.path.starts_with("images.NAME.builder")
        || level.path == "images.NAME.secrets";
    let line = |line: &str| match line.starts_with("base-image = ") {
        true if has_start => String::new(),
        true if has_to_run => "base-image = \"debian:trixie-slim\"\n".to_owned(),
        _ => format!("{line}\n"),
    };
    let text: String = text.lines().map(line).collect();
    match key.name {
        "extends" => text + "[package.metadata.union.images.base]\n",
        "pip-secret-mounts" => {
            text + "[[package.metadata.union.images.default.secrets]]\nid = \"netrc\"\nenv = \"NETRC\"\n"
        }
        "time-input" => with_time_input(&text),
        _ => text,
    }
}

/// The task has the input that a trigger sets.
fn with_time_input(text: &str) -> String {
    let line = |line: &str| match line.trim_start_matches('#') {
        "inputs = { x = \"integer\" }" => {
            "inputs = { x = \"integer\", scheduled = \"datetime\" }\n".to_owned()
        }
        header if is_header(line) && level_of(line).path == "tasks.NAME" => format!("{header}\n"),
        _ => format!("{line}\n"),
    };
    // Each trigger gives every other input.
    let text: String = text.lines().map(line).collect();
    text.replace("\ninputs = {}\n", "\ninputs = { x = 21 }\n")
}

#[test]
fn each_line_of_the_starter_manifest_is_accepted_alone() {
    let mut wrong = Vec::new();
    for (given, bins) in starters() {
        let text = starter(&given);
        let lines: Vec<&str> = text.lines().collect();
        let keys = lines
            .iter()
            .enumerate()
            .filter(|(_, line)| is_off(line) && !is_header(line));
        for (number, line) in keys {
            let header = header_of(&lines, number);
            let level = level_of(lines[header]);
            let declared = level.key(key(line)).unwrap();
            let section_end = (number..lines.len())
                .find(|below| is_header(lines[*below]))
                .unwrap_or(lines.len());
            let needed =
                (header..section_end).filter(|other| declared.needs.contains(&key(lines[*other])));
            let others = (0..lines.len())
                .filter(|other| other_keys(level, declared.name).contains(&key(lines[*other])));
            let on: Vec<usize> = [header, number]
                .into_iter()
                .chain(needed)
                .chain(others)
                .collect();
            let manifest = with_base(&switched_on(&lines, &on), level, declared);
            let (_, problems, _) = project(&manifest, &given, &bins).load();
            let errors = problems
                .iter()
                .filter(|problem| problem.severity == Severity::Error)
                .map(|problem| format!("{} {}", problem.code, problem.message))
                .collect::<Vec<_>>();
            if !errors.is_empty() {
                wrong.push(format!("{} {line}: {errors:?}", lines[header]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn starter_manifest_has_every_key_with_its_documentation() {
    let (given, _) = starters().remove(0);
    let text = starter(&given);
    let lines: Vec<&str> = text.lines().collect();
    for level in levels() {
        let header = lines
            .iter()
            .position(|line| is_header(line) && level_of(line).path == level.path)
            .unwrap_or_else(|| panic!("`{}` has no table", level.path));
        let section = lines[header + 1..]
            .iter()
            .take_while(|line| !is_header(line))
            .collect::<Vec<_>>();
        for declared in level.keys {
            let has_table = matches!(
                declared.kind,
                KeyKind::Table(_) | KeyKind::Tables(_) | KeyKind::Entries(_)
            );
            let position = section
                .iter()
                .position(|line| !line.starts_with("# ") && key(line) == declared.name);
            match position {
                Some(position) => assert_eq!(
                    *section[position - 1],
                    format!("# {}", declared.doc),
                    "{}",
                    declared.name
                ),
                None => assert!(has_table, "{}.{}", level.path, declared.name),
            }
        }
    }
}
