//! Reads typed values from a table; violations are reported at their place.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::ValidationContext;
use super::grammar::GrammarRule;
use super::paths::normalize_path;
use crate::diag::{Code, Diagnostic, Origin};
use crate::spec::Sourced;
use crate::spec::tree::{Table, TomlNode, TomlValue};

/// Reads the values of one table.
pub(super) struct TableReader<'a> {
    /// The table that is read.
    pub table: &'a Table,
    /// Directories and facts from cargo.
    pub context: &'a ValidationContext<'a>,
    /// Collects the problems.
    pub problems: &'a mut Vec<Diagnostic>,
}

impl<'a> TableReader<'a> {
    pub(super) fn new(
        table: &'a Table,
        context: &'a ValidationContext<'a>,
        problems: &'a mut Vec<Diagnostic>,
    ) -> Self {
        Self {
            table,
            context,
            problems,
        }
    }

    /// A reader for a table inside of this one.
    pub(super) fn inner<'b>(&'b mut self, table: &'b Table) -> TableReader<'b> {
        TableReader {
            table,
            context: self.context,
            problems: self.problems,
        }
    }

    /// The table under a key.
    pub(super) fn table(&self, key: &str) -> Option<&'a Table> {
        match &self.table.get(key)?.value {
            TomlValue::Table(table) => Some(table),
            _ => None,
        }
    }

    /// A string that follows a rule.
    pub(super) fn text(&mut self, key: &str, rule: &GrammarRule) -> Option<Sourced<String>> {
        self.node_text(self.table.get(key)?, rule)
    }

    /// One of an enum's words. An unknown word was reported when the manifest was read.
    pub(super) fn word<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Option<Sourced<T>> {
        let TomlNode {
            origin,
            value: TomlValue::Text(text),
            ..
        } = self.table.get(key)?
        else {
            return None;
        };
        let (_, value) = words.iter().find(|(word, _)| word == text)?;
        Some(Sourced {
            value: *value,
            origin: origin.clone(),
        })
    }

    /// A boolean.
    pub(super) fn bool(&self, key: &str) -> Option<Sourced<bool>> {
        let TomlNode {
            origin,
            value: TomlValue::Bool(value),
            ..
        } = self.table.get(key)?
        else {
            return None;
        };
        Some(Sourced {
            value: *value,
            origin: origin.clone(),
        })
    }

    /// The entries of a list.
    pub(super) fn entries(&self, key: &str) -> &'a [TomlNode] {
        match self.table.get(key) {
            Some(TomlNode {
                value: TomlValue::List(entries),
                ..
            }) => entries,
            _ => &[],
        }
    }

    /// A list of strings, each of which follows a rule.
    pub(super) fn texts(&mut self, key: &str, rule: &GrammarRule) -> Vec<Sourced<String>> {
        self.entries(key)
            .iter()
            .filter_map(|node| self.node_text(node, rule))
            .collect()
    }

    /// An optional list of strings, as one value.
    pub(super) fn list(&mut self, key: &str, rule: &GrammarRule) -> Option<Sourced<Vec<String>>> {
        let origin = self.table.get(key)?.origin.clone();
        let value = self
            .texts(key, rule)
            .into_iter()
            .map(|text| text.value)
            .collect();
        Some(Sourced { value, origin })
    }

    /// A table of strings; names and values follow a rule each.
    pub(super) fn text_map(
        &mut self,
        key: &str,
        names: &GrammarRule,
        values: &GrammarRule,
    ) -> BTreeMap<String, Sourced<String>> {
        let mut map = BTreeMap::new();
        for (name, node) in self.table(key).into_iter().flatten() {
            self.problems.extend(names.problem(name, &node.key));
            map.extend(
                self.node_text(node, values)
                    .map(|text| (name.clone(), text)),
            );
        }
        map
    }

    /// An absolute path. Whether it exists is not checked.
    pub(super) fn path(&mut self, key: &str) -> Option<Sourced<PathBuf>> {
        let TomlNode {
            origin,
            value: TomlValue::Text(text),
            ..
        } = self.table.get(key)?
        else {
            return None;
        };
        Some(Sourced {
            value: self.absolute(text, origin),
            origin: origin.clone(),
        })
    }

    /// An absolute path of an existing file.
    pub(super) fn file(&mut self, key: &str) -> Option<Sourced<PathBuf>> {
        let path = self.path(key)?;
        self.must_be_a_file(key, &path);
        Some(path)
    }

    /// Reports a path that is not a readable file.
    pub(super) fn must_be_a_file(&mut self, key: &str, path: &Sourced<PathBuf>) {
        let why = match path.value.metadata() {
            Ok(metadata) if metadata.is_file() => return,
            Ok(_) => "is not a file".to_owned(),
            Err(error) => format!("cannot be read: {error}"),
        };
        let message = format!("the `{key}` file {} {why}", path.value.display());
        let help = "paths are relative to the manifest that declares them";
        self.problems.push(
            Diagnostic::error(Code::FileUnreadable, message, &path.origin, "no file here")
                .help(help),
        );
    }

    /// The absolute form of a path, without `.` and `..`, relative to where it was declared.
    pub(super) fn absolute(&self, typed: &str, origin: &Origin) -> PathBuf {
        normalize_path(&self.directory(origin).join(typed))
    }

    /// The directory that relative paths declared at `origin` start from.
    pub(super) fn directory(&self, origin: &Origin) -> PathBuf {
        match origin {
            Origin::File(file, _) => file.directory().to_owned(),
            Origin::Env(_) | Origin::Flag(_) | Origin::Default => self.context.directory.to_owned(),
        }
    }

    fn node_text(&mut self, node: &TomlNode, rule: &GrammarRule) -> Option<Sourced<String>> {
        let text = match &node.value {
            TomlValue::Text(text) => text.clone(),
            TomlValue::Integer(number) => number.to_string(),
            _ => return None,
        };
        self.problems.extend(rule.problem(&text, &node.origin));
        Some(Sourced {
            value: text,
            origin: node.origin.clone(),
        })
    }
}
