//! Merges the layers of a configuration: fallbacks, workspace, package, environment variables, flags. Tables merge key
//! by key, other values replace one another, and each value keeps its origin.

use std::path::{Path, PathBuf};

use super::Sourced;
use super::raw::check_word;
use super::schema::{KeyKind, SchemaKey, overridable};
use super::tree::{Table, TomlNode, TomlValue};
use crate::diag::{Code, Diagnostic, Origin};

/// Merges `upper` over `lower`.
pub fn merge(lower: Option<TomlNode>, upper: Option<TomlNode>) -> Option<TomlNode> {
    let (Some(lower), Some(upper)) = (&lower, &upper) else {
        return upper.or(lower);
    };
    let value = match (&lower.value, &upper.value) {
        (TomlValue::Table(lower), TomlValue::Table(upper)) => {
            let mut merged = lower.clone();
            for (key, node) in upper {
                let below = merged.remove(key);
                merged.extend(merge(below, Some(node.clone())).map(|node| (key.clone(), node)));
            }
            TomlValue::Table(merged)
        }
        (_, upper) => upper.clone(),
    };
    Some(TomlNode {
        value,
        ..upper.clone()
    })
}

/// The values of environment variables and flags, which take precedence over the manifests, and of fallbacks, which do
/// not.
#[derive(Clone, Debug)]
pub struct Overrides {
    directory: PathBuf,
    fallbacks: Vec<Override>,
    env: Vec<Override>,
    flags: Vec<Override>,
}

/// A value from outside of the manifests, still as text.
#[derive(Clone, Debug)]
struct Override {
    table: &'static [&'static str],
    key: &'static SchemaKey,
    text: String,
    origin: Origin,
}

impl Overrides {
    /// No overrides; relative paths in variables and flags start from `directory`.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            fallbacks: Vec::new(),
            env: Vec::new(),
            flags: Vec::new(),
        }
    }

    /// Adds all variables of the schema that are set and not empty.
    #[must_use]
    pub fn env(mut self, lookup: impl Fn(&str) -> Option<String>) -> Self {
        for (table, key) in overridable() {
            let Some(name) = key.env else { continue };
            if let Some(text) = lookup(name).filter(|text| !text.is_empty()) {
                self.env.push(Override {
                    table,
                    key,
                    text,
                    origin: Origin::Env(name),
                });
            }
        }
        self
    }

    /// Adds the value of a flag, such as `--registry`. Lists are separated by commas or spaces; a switch
    /// passes the value of its key: `false` for `--no-default-features`.
    ///
    /// # Panics
    /// When the schema has no such flag.
    #[must_use]
    pub fn flag(mut self, flag: &str, text: impl Into<String>) -> Self {
        let (table, key) = overridable()
            .find(|(_, key)| key.flag == Some(flag))
            .expect("the flag is declared in the schema");
        let origin = Origin::Flag(key.flag.expect("the key was found by its flag"));
        self.flags.push(Override {
            table,
            key,
            text: text.into(),
            origin,
        });
        self
    }

    /// Adds a value for a key of the `union` table that is used only when no other source sets the key.
    ///
    /// # Panics
    /// When the schema has no such key.
    #[must_use]
    pub fn fallback(mut self, name: &str, value: Sourced<String>) -> Self {
        let (table, key) = overridable()
            .find(|(table, key)| table.is_empty() && key.name == name)
            .expect("the key is declared in the schema");
        self.fallbacks.push(Override {
            table,
            key,
            text: value.value,
            origin: value.origin,
        });
        self
    }

    /// The value of a key of the `union` table when there is no manifest.
    pub fn named(&self, name: &str) -> Option<&str> {
        let levels = [&self.flags, &self.env, &self.fallbacks];
        let is_key = |entry: &&Override| entry.table.is_empty() && entry.key.name == name;
        levels
            .into_iter()
            .find_map(|level| level.iter().rev().find(is_key))
            .map(|entry| entry.text.as_str())
    }

    /// The directory that relative paths in variables and flags start from.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Applies all overrides to a tree; flags take precedence over variables. A fallback never replaces a value.
    pub(super) fn apply(&self, tree: &mut Table, problems: &mut Vec<Diagnostic>) {
        for entry in self
            .fallbacks
            .iter()
            .filter(|entry| !tree.contains_key(entry.key.name))
            .collect::<Vec<_>>()
        {
            let value = entry.value(problems);
            tree.insert(entry.key.name.to_owned(), entry.node(value));
        }
        for entry in self.env.iter().chain(&self.flags) {
            let mut table = &mut *tree;
            for step in entry.table {
                table = table
                    .entry((*step).to_owned())
                    .or_insert_with(|| entry.node(TomlValue::Table(Table::new())))
                    .make_table();
            }
            let value = entry.value(problems);
            table.insert(entry.key.name.to_owned(), entry.node(value));
        }
    }
}

impl Override {
    /// A node whose key and value come from this override.
    fn node(&self, value: TomlValue) -> TomlNode {
        TomlNode {
            key: self.origin.clone(),
            origin: self.origin.clone(),
            value,
        }
    }

    fn value(&self, problems: &mut Vec<Diagnostic>) -> TomlValue {
        match self.key.kind {
            KeyKind::Word(words) => {
                match check_word(self.key.name, words, &self.text, &self.origin) {
                    // A value from outside of the manifests has no text that an edit could replace.
                    Some(problem) => {
                        problems.push(Diagnostic {
                            suggestion: None,
                            ..problem
                        });
                        TomlValue::Broken
                    }
                    None => TomlValue::Text(self.text.clone()),
                }
            }
            KeyKind::Bool => match self.text.parse() {
                Ok(value) => TomlValue::Bool(value),
                Err(_) => {
                    let message = format!("`{}` is not a value of `{}`", self.text, self.key.name);
                    problems.push(
                        Diagnostic::error(Code::InvalidValue, message, &self.origin, "")
                            .help("the values are `true`, `false`"),
                    );
                    TomlValue::Broken
                }
            },
            KeyKind::Texts => {
                let entries = self
                    .text
                    .split([',', ' '])
                    .filter(|entry| !entry.is_empty());
                let nodes = entries.map(|entry| self.node(TomlValue::Text(entry.to_owned())));
                TomlValue::List(nodes.collect())
            }
            _ => TomlValue::Text(self.text.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_without_a_manifest_prefer_flags_to_variables_to_fallbacks() {
        let resort = |text: &str| Sourced {
            value: text.to_owned(),
            origin: Origin::Default,
        };
        let overrides = Overrides::new("/ws")
            .fallback("project", resort("config"))
            .fallback("domain", resort("config"));
        let overrides =
            overrides.env(|name| (name == "UNION_PROJECT").then(|| "variable".to_owned()));
        let by_env = overrides.named("project").unwrap_or_default().to_owned();
        let by_flag = overrides.flag("--project", "flag");
        let all = [
            by_flag.named("project"),
            by_flag.named("domain"),
            by_flag.named("registry"),
        ];
        assert_eq!(
            (by_env.as_str(), all),
            ("variable", [Some("flag"), Some("config"), None])
        );
    }
}
