//! Manifests as inputs of a key: parsed, so that comments and order do not matter, and without `metadata.union`.

use std::path::PathBuf;

use toml::{Table, Value as Toml};
use union_build::diag::{Code, SourceFile};
use union_build::key::{Inputs, Value};

use crate::sys::error::{Error, Result};

/// Tables of a root manifest that affect the compile of its members.
const ROOT_TABLES: &[&[&str]] = &[
    &["profile"],
    &["patch"],
    &["replace"],
    &["workspace", "resolver"],
    &["workspace", "package"],
    &["workspace", "dependencies"],
    &["workspace", "lints"],
];

/// Parses a manifest.
///
/// # Errors
/// `ManifestSyntax`.
pub(super) fn parse(file: &SourceFile) -> Result<Table> {
    file.text.parse().map_err(|cause: toml::de::Error| {
        Error::new(
            Code::ManifestSyntax,
            format!("could not parse `{}`", file.path.display()),
        )
        .because(cause)
    })
}

/// Keys of `[package]` that do not affect a compile.
const NOT_COMPILED: &[&str] = &[
    "autobenches",
    "autoexamples",
    "autotests",
    "categories",
    "default-run",
    "documentation",
    "exclude",
    "include",
    "keywords",
    "publish",
];

/// A package's manifest as an input: without `metadata.union`, since a changed `retries` or `registry` does not require a
/// compile, and without the root tables, which are separate inputs. `with_dev` includes dev-dependencies.
pub(super) fn package_value(mut manifest: Table, with_dev: bool) -> Value {
    for table in [
        "workspace",
        "profile",
        "patch",
        "replace",
        "badges",
        "test",
        "bench",
        "example",
    ] {
        manifest.remove(table);
    }
    if !with_dev {
        remove_dev_dependencies(&mut manifest);
        let targets = manifest.get_mut("target").and_then(Toml::as_table_mut);
        targets
            .into_iter()
            .flatten()
            .filter_map(|(_, target)| target.as_table_mut())
            .for_each(remove_dev_dependencies);
    }
    if let Some(package) = manifest.get_mut("package").and_then(Toml::as_table_mut) {
        NOT_COMPILED
            .iter()
            .for_each(|key| drop(package.remove(*key)));
        if let Some(metadata) = package.get_mut("metadata").and_then(Toml::as_table_mut) {
            metadata.remove("union");
            if metadata.is_empty() {
                package.remove("metadata");
            }
        }
    }
    hash_value(&canonical(&Toml::Table(manifest)))
}

fn remove_dev_dependencies(table: &mut Table) {
    table.remove("dev-dependencies");
    table.remove("dev_dependencies");
}

/// The tables of a root manifest that are inputs of all packages, by name.
pub(super) fn root_inputs(manifest: &Table) -> Vec<(String, Value)> {
    let find = |path: &[&str]| {
        let (last, tables) = path.split_last()?;
        tables
            .iter()
            .try_fold(manifest, |table, key| table.get(*key)?.as_table())?
            .get(*last)
    };
    let named = ROOT_TABLES
        .iter()
        .filter_map(|path| Some((path.join("."), find(path)?)));
    named
        .map(|(name, value)| (format!("Cargo.toml: {name}"), hash_value(&canonical(value))))
        .collect()
}

/// The directories in `[patch]` and `[replace]`, as written.
pub(super) fn patched_directories(manifest: &Table) -> Vec<PathBuf> {
    let path = |entry: &Toml| Some(PathBuf::from(entry.get("path")?.as_str()?));
    let table = |key| manifest.get(key).and_then(Toml::as_table);
    let patched = table("patch")
        .into_iter()
        .flat_map(Table::values)
        .filter_map(Toml::as_table)
        .flat_map(Table::values);
    patched
        .chain(table("replace").into_iter().flat_map(Table::values))
        .filter_map(path)
        .collect()
}

/// Converts TOML to a key's value. Floats and dates become maps with a key that TOML cannot contain.
pub(super) fn canonical(value: &Toml) -> Value {
    let tagged =
        |kind: &str, text: String| Value::Map([(format!("\0{kind}"), Value::from(text))].into());
    match value {
        Toml::String(text) => Value::from(text.as_str()),
        Toml::Integer(number) => Value::Number(*number),
        Toml::Boolean(value) => Value::Bool(*value),
        Toml::Float(number) => tagged("float", number.to_string()),
        Toml::Datetime(date) => tagged("date", date.to_string()),
        Toml::Array(values) => Value::List(values.iter().map(canonical).collect()),
        Toml::Table(table) => Value::Map(
            table
                .iter()
                .map(|(key, value)| (key.clone(), canonical(value)))
                .collect(),
        ),
    }
}

/// The hash of a value, for values that are too long for a plan.
pub(super) fn hash_value(value: &Value) -> Value {
    let mut inputs = Inputs::new();
    inputs.insert("value", value.clone());
    inputs.key("value").into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn package(text: &str) -> Value {
        package_value(text.parse().unwrap(), false)
    }

    const MANIFEST: &str =
        "[package]\nname = 'a'\nversion = '1.0.0'\n[dependencies]\nserde = '1'\n";

    #[test]
    fn manifest_value_ignores_comments_order_and_union_metadata() {
        let same = [
            "# hi\n[dependencies]\nserde = \"1\" # why\n[package]\nversion = '1.0.0'\nname = 'a'\n".to_owned(),
            format!("{MANIFEST}[package.metadata.union.tasks.train]\nretries = 3\n"),
            format!("{MANIFEST}[workspace.metadata.union]\nregistry = 'ghcr.io/acme'\n"),
            MANIFEST.replace("version", "keywords = ['k']\ncategories = ['c']\nversion"),
            format!("{MANIFEST}[dev-dependencies]\nproptest = '1'\n[target.'cfg(unix)'.dev-dependencies]\nlibc = '1'\n")
                .replace("[target.'cfg(unix)'.dev-dependencies]\nlibc = '1'\n", ""),
            format!("{MANIFEST}[[test]]\nname = 'a'\n[[bench]]\nname = 'b'\n[[example]]\nname = 'c'\n"),
        ];
        for text in same {
            assert_eq!(package(&text), package(MANIFEST), "{text}");
        }
    }

    #[test]
    fn manifest_value_changes_with_what_reaches_the_compiler() {
        let others = [
            MANIFEST.replace("1.0.0", "1.0.1"),
            MANIFEST.replace("serde = '1'", "serde = 1"),
            format!("{MANIFEST}[package.metadata.other]\nkey = 1\n"),
            format!("{MANIFEST}[features]\ndefault = []\n"),
        ];
        for text in others {
            assert_ne!(package(&text), package(MANIFEST), "{text}");
        }
    }

    #[test]
    fn root_tables_are_separate_inputs() {
        let root = "[workspace]\nmembers = ['a']\nresolver = '3'\n[workspace.dependencies]\nserde = '1'\n[profile.release]\nlto = true\n";
        let names: Vec<String> = root_inputs(&root.parse().unwrap())
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(
            names,
            [
                "Cargo.toml: profile",
                "Cargo.toml: workspace.resolver",
                "Cargo.toml: workspace.dependencies"
            ]
        );
    }

    #[test]
    fn patched_directories_are_listed() {
        let root = "[patch.crates-io]\nserde = { path = '../serde' }\nlog = { git = 'x' }\n";
        assert_eq!(
            patched_directories(&root.parse().unwrap()),
            [PathBuf::from("../serde")]
        );
    }
}
