//! A manifest as the compiler sees it: parsed, without comments, order and what is ours.

use std::path::PathBuf;

use toml::{Table, Value as Toml};
use union_build::diag::{Code, SourceFile};
use union_build::key::{Inputs, Value};

use crate::sys::error::{Error, Result};

/// Tables of a root manifest that reach the compile of its members.
const ROOT_TABLES: &[&[&str]] = &[
    &["profile"],
    &["patch"],
    &["replace"],
    &["workspace", "resolver"],
    &["workspace", "package"],
    &["workspace", "dependencies"],
    &["workspace", "lints"],
];

/// A manifest, parsed.
///
/// # Errors
/// `ManifestSyntax`.
pub(super) fn parse(file: &SourceFile) -> Result<Table> {
    file.text.parse().map_err(|cause: toml::de::Error| {
        Error::new(Code::ManifestSyntax, format!("could not parse `{}`", file.path.display())).because(cause)
    })
}

/// Keys of `[package]` that no compile sees: they serve registries, readers and `cargo run`.
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

/// What of a package's manifest feeds its key: not `metadata.union`, since a changed `retries` or
/// `registry` compiles nothing again, and not the root tables, which are inputs of their own. What serves only
/// tests counts `with_dev`.
pub(super) fn of_package(mut manifest: Table, with_dev: bool) -> Value {
    for table in ["workspace", "profile", "patch", "replace", "badges", "test", "bench", "example"] {
        manifest.remove(table);
    }
    if !with_dev {
        remove_dev(&mut manifest);
        let targets = manifest.get_mut("target").and_then(Toml::as_table_mut);
        targets.into_iter().flatten().filter_map(|(_, target)| target.as_table_mut()).for_each(remove_dev);
    }
    if let Some(package) = manifest.get_mut("package").and_then(Toml::as_table_mut) {
        NOT_COMPILED.iter().for_each(|key| drop(package.remove(*key)));
        if let Some(metadata) = package.get_mut("metadata").and_then(Toml::as_table_mut) {
            metadata.remove("union");
            if metadata.is_empty() {
                package.remove("metadata");
            }
        }
    }
    hash(&canonical(&Toml::Table(manifest)))
}

fn remove_dev(table: &mut Table) {
    table.remove("dev-dependencies");
    table.remove("dev_dependencies");
}

/// What of a root manifest feeds the keys of all packages, by name.
pub(super) fn of_root(manifest: &Table) -> Vec<(String, Value)> {
    let find = |path: &[&str]| {
        let (last, tables) = path.split_last()?;
        tables.iter().try_fold(manifest, |table, key| table.get(*key)?.as_table())?.get(*last)
    };
    let named = ROOT_TABLES.iter().filter_map(|path| Some((path.join("."), find(path)?)));
    named.map(|(name, value)| (format!("Cargo.toml: {name}"), hash(&canonical(value)))).collect()
}

/// Folders that `[patch]` and `[replace]` name, as typed.
pub(super) fn patched_folders(manifest: &Table) -> Vec<PathBuf> {
    let path = |entry: &Toml| Some(PathBuf::from(entry.get("path")?.as_str()?));
    let tables = |key| manifest.get(key).and_then(Toml::as_table);
    let patched = tables("patch").into_iter().flat_map(Table::values).filter_map(Toml::as_table).flat_map(Table::values);
    patched.chain(tables("replace").into_iter().flat_map(Table::values)).filter_map(path).collect()
}

/// TOML as a key's value. A float or a date keeps its spelling under a name that no key has.
pub(super) fn canonical(value: &Toml) -> Value {
    let spelled = |kind: &str, text: String| Value::Map([(format!("\0{kind}"), Value::from(text))].into());
    match value {
        Toml::String(text) => Value::from(text.as_str()),
        Toml::Integer(number) => Value::Number(*number),
        Toml::Boolean(value) => Value::Bool(*value),
        Toml::Float(number) => spelled("float", number.to_string()),
        Toml::Datetime(date) => spelled("date", date.to_string()),
        Toml::Array(values) => Value::List(values.iter().map(canonical).collect()),
        Toml::Table(table) => Value::Map(table.iter().map(|(key, value)| (key.clone(), canonical(value))).collect()),
    }
}

/// The hash of a value that would be too long to keep.
pub(super) fn hash(value: &Value) -> Value {
    let mut inputs = Inputs::new();
    inputs.insert("value", value.clone());
    inputs.key("value").into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn package(text: &str) -> Value {
        of_package(text.parse().unwrap(), false)
    }

    const MANIFEST: &str = "[package]\nname = 'a'\nversion = '1.0.0'\n[dependencies]\nserde = '1'\n";

    #[test]
    fn comments_order_and_our_own_tables_change_nothing() {
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
    fn what_reaches_the_compiler_changes_it() {
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
    fn root_tables_are_inputs_of_their_own() {
        let root = "[workspace]\nmembers = ['a']\nresolver = '3'\n[workspace.dependencies]\nserde = '1'\n[profile.release]\nlto = true\n";
        let names: Vec<String> = of_root(&root.parse().unwrap()).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["Cargo.toml: profile", "Cargo.toml: workspace.resolver", "Cargo.toml: workspace.dependencies"]);
    }

    #[test]
    fn patches_name_folders() {
        let root = "[patch.crates-io]\nserde = { path = '../serde' }\nlog = { git = 'x' }\n";
        assert_eq!(patched_folders(&root.parse().unwrap()), [PathBuf::from("../serde")]);
    }
}
