#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use toml::Value;
use union_build::diag::{Code, SourceFile};
use union_build::spec::schema::{KeyKind, SchemaLevel, keys};
use union_build::spec::{Overrides, PackageInfo, load};
use union_tests::arbitrary::{spoiled, text};

use super::*;

/// Any TOML value.
fn any_value() -> BoxedStrategy<Value> {
    let time = "1979-05-27T07:32:00Z"
        .parse::<toml::value::Datetime>()
        .unwrap();
    let leaf = prop_oneof![
        text().prop_map(Value::String),
        any::<i64>().prop_map(Value::Integer),
        any::<f64>().prop_map(Value::Float),
        any::<bool>().prop_map(Value::Boolean),
        Just(Value::Datetime(time)),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            btree_map(text(), inner, 0..4).prop_map(table)
        ]
    })
    .boxed()
}

fn table(entries: impl IntoIterator<Item = (String, Value)>) -> Value {
    Value::Table(entries.into_iter().collect())
}

/// Names that users choose, with frequent duplicates.
fn name() -> BoxedStrategy<String> {
    prop_oneof![4 => "[ab]{1,2}(-[ab])?", 2 => Just("default".to_owned()), 1 => Just("app".to_owned()), 1 => text()].boxed()
}

fn texts() -> BoxedStrategy<Value> {
    prop_oneof![3 => text(), 2 => name()]
        .prop_map(Value::String)
        .boxed()
}

fn list(item: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    vec(item, 0..4).prop_map(Value::Array).boxed()
}

fn tables(value: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    btree_map(name(), value, 0..3).prop_map(table).boxed()
}

/// A value of a key's kind, or sometimes any other value.
fn value_of_kind(kind: KeyKind) -> BoxedStrategy<Value> {
    let valid = match kind {
        KeyKind::Word(words) => proptest::sample::select(words.to_vec())
            .prop_map(|word| Value::String(word.to_owned()))
            .boxed(),
        KeyKind::Bool => any::<bool>().prop_map(Value::Boolean).boxed(),
        KeyKind::Integer | KeyKind::Number => prop_oneof![
            any::<i64>().prop_map(Value::Integer),
            any::<f64>().prop_map(Value::Float)
        ]
        .boxed(),
        KeyKind::Texts | KeyKind::Paths => list(texts()),
        KeyKind::TextMap => tables(texts()),
        KeyKind::Types => {
            const WORDS: &[&str] = &[
                "integer",
                "list[file]",
                "map[optional[float]]",
                "directory",
                "duration",
                "struct",
            ];
            tables(
                prop_oneof![
                    proptest::sample::select(WORDS).prop_map(|word| Value::String(word.to_owned())),
                    list(texts())
                ]
                .boxed(),
            )
        }
        KeyKind::Any => any_value(),
        KeyKind::Values => tables(any_value()),
        KeyKind::Table(level) => table_of_level(level),
        KeyKind::Tables(level) => tables(table_of_level(level)),
        KeyKind::Entries(level) => list(table_of_level(level)),
        KeyKind::PathsOrEntries(level) | KeyKind::NamesOrEntries(level) => {
            list(prop_oneof![texts(), table_of_level(level)].boxed())
        }
        KeyKind::Either(kinds, _) => proptest::sample::select(kinds.to_vec())
            .prop_flat_map(value_of_kind)
            .boxed(),
        KeyKind::Text | KeyKind::Quantity | KeyKind::Amount | KeyKind::Duration | KeyKind::Path => {
            texts()
        }
    };
    prop_oneof![9 => valid, 1 => any_value()].boxed()
}

/// A table with some keys of a level, and some unknown keys.
fn table_of_level(level: &'static SchemaLevel) -> BoxedStrategy<Value> {
    let subset = proptest::sample::subsequence(level.keys.to_vec(), 0..=level.keys.len().min(5));
    let known = subset.prop_flat_map(|keys| {
        keys.into_iter()
            .map(|key| value_of_kind(key.kind).prop_map(move |value| (key.name.to_owned(), value)))
            .collect::<Vec<_>>()
    });
    (known, btree_map(text(), any_value(), 0..2))
        .prop_map(|(known, others)| table(others.into_iter().chain(known)))
        .boxed()
}

/// Loads a manifest and renders its problems.
fn load_and_render(package: &str, workspace: Option<&str>) {
    let directory = tempfile::tempdir().unwrap();
    let facts = PackageInfo {
        package: "app".to_owned(),
        directory: directory.path().join("app"),
        workspace_root: directory.path().to_owned(),
        binaries: vec!["app".to_owned(), "a".to_owned()],
        ..PackageInfo::default()
    };
    let workspace =
        workspace.map(|text| SourceFile::new(directory.path().join("Cargo.toml"), text));
    let package = SourceFile::new(facts.directory.join("Cargo.toml"), package);
    let overrides = Overrides::new(directory.path());
    let (_, problems, _) = load(workspace.as_ref(), &package, &overrides, &facts);
    problems
        .iter()
        .for_each(|problem| drop((render(problem, true), render(problem, false))));
}

fn manifest(section: &str, union: Value) -> String {
    let metadata = table([("metadata".to_owned(), table([("union".to_owned(), union)]))]);
    toml::to_string(&table([(section.to_owned(), metadata)])).unwrap_or_default()
}

const VALID: &str = r#"
[package]
name = "app"

[package.metadata.union]
registry = "ghcr.io/acme" # é
project = "p"
domain = "d"

[package.metadata.union.images.default]
base-image = "debian:12"
apt-packages = ["libpq5"]
copy = [{ from = "conf", to = "/etc/app", mode = "0644" }]
env = { A = "1", "B" = """
two
lines""" }

[package.metadata.union.images.child]
extends = "default"
platforms = ["linux/amd64", "linux/arm64/v8"]

[package.metadata.union.tasks.train]
image = "child"
command = ["app", "--x={{.inputs.x}}"]
inputs = { x = "integer", w = ["fast", "slow"], l = "list[optional[file]]" }
resources = { cpu = ["500m", 2], memory = "1Gi" }
timeout = "1h30m"
triggers.t = { cron = "0 3 * * 1", inputs = { x = 1 } }
"#;

proptest! {
    #[test]
    fn any_tables_of_a_manifest_are_rendered(package in table_of_level(&keys::UNION), workspace in table_of_level(&keys::UNION)) {
load_and_render(&manifest("package", package), Some(&manifest("workspace", workspace)));
    }

    #[test]
    fn any_values_in_place_of_tables_are_rendered(union in any_value()) {
load_and_render(&manifest("package", union.clone()), Some(&manifest("workspace", union)));
    }

    #[test]
    fn any_corrupted_manifest_is_rendered(text in spoiled(VALID)) {
load_and_render(&text, None);
        load_and_render(VALID, Some(&text.replace("[package", "[workspace")));
    }

    #[test]
    fn any_span_of_any_text_is_rendered(text in text(), start in 0..400_usize, end in 0..400_usize) {
        let file: Arc<SourceFile> = SourceFile::new("Cargo.toml", text);
        let origin = Origin::File(file, std::ops::Range { start, end });
        let problem = Diagnostic::error(Code::ManifestSyntax, "message", &origin, "label").help("help").suggest(&origin, "other".to_owned());
        render(&problem, false);
    }
}

#[test]
fn deeply_nested_values_do_not_overflow_the_stack() {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(20_000), close.repeat(20_000));
    for value in [
        deep("[", "]"),
        deep("{a=", "}"),
        format!("\"{}\"", deep("list[", "]")),
        format!("1{}", ".1".repeat(20_000)),
    ] {
        load_and_render(
            &format!("[package.metadata.union.tasks.a.inputs]\nx = {value}\n"),
            None,
        );
    }
    load_and_render(
        &format!("[package.metadata.union.images{}]\n", ".a".repeat(20_000)),
        None,
    );
    load_and_render(
        &format!("package.metadata.union{} = 1\n", ".a".repeat(20_000)),
        None,
    );
}
