//! The resolved configuration, one line per value, for `cargo union config`.

use super::toml_text;
use super::tree::{Table, TomlValue};
use crate::diag::Origin;

/// One resolved value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Dotted path below the `union` table: `images.gpu.base-image`.
    pub key: String,
    /// TOML value on one line.
    pub value: String,
    /// Where the value was set.
    pub origin: Origin,
}

/// All leaves of a tree, defaults included, sorted by path.
pub(super) fn settings(tree: &Table) -> Vec<Setting> {
    let mut settings = Vec::new();
    collect(tree, "", &mut settings);
    settings
}

fn collect(table: &Table, path: &str, settings: &mut Vec<Setting>) {
    for (name, node) in table {
        let name = toml_text::key(name);
        let key = if path.is_empty() {
            name
        } else {
            format!("{path}.{name}")
        };
        match &node.value {
            TomlValue::Table(inner) if !inner.is_empty() => collect(inner, &key, settings),
            TomlValue::Broken => {}
            value => settings.push(Setting {
                key,
                value: toml_text::value(value),
                origin: node.origin.clone(),
            }),
        }
    }
}
