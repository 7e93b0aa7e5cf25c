//! Checks TOML values against the schema.

use std::ops::Range;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::place;
use super::words::{check_word, unknown_key};
use crate::diag::{Code, Diagnostic, SourceFile};
use crate::spec::schema::{KeyKind, SchemaLevel};
use crate::spec::toml_text;
use crate::spec::tree::{Table, TomlNode, TomlValue};

/// The kinds of an entry of a [`KeyKind::Types`].
const TYPE: KeyKind = KeyKind::Either(
    &[KeyKind::Text, KeyKind::Texts],
    "a type or a list of strings",
);

/// Checks the values of one manifest.
pub(super) struct Checker<'a> {
    /// The manifest that is checked.
    pub(super) file: &'a Arc<SourceFile>,
    /// Collects the problems.
    pub(super) problems: &'a mut Vec<Diagnostic>,
}

impl Checker<'_> {
    /// The converted value, or [`TomlValue::Broken`] when it does not match the kind.
    pub(super) fn value(
        &mut self,
        path: &str,
        kind: KeyKind,
        span: Range<usize>,
        value: &DeValue<'_>,
    ) -> TomlValue {
        match (kind, value) {
            (KeyKind::Either(kinds, words), _) => {
                match kinds.iter().find(|kind| takes(**kind, value)) {
                    Some(kind) => self.value(path, *kind, span, value),
                    None => self.wrong_type(path, words, span, value),
                }
            }
            _ if !takes(kind, value) => self.wrong_type(path, kind.words(), span, value),
            (KeyKind::Word(words), DeValue::String(text)) => {
                match check_word(path, words, text, &place(self.file, span)) {
                    None => TomlValue::Text(text.to_string()),
                    Some(problem) => self.broken(problem),
                }
            }
            (KeyKind::Amount, DeValue::Array(entries)) => self.pair(path, entries, span),
            (KeyKind::Texts | KeyKind::Paths, DeValue::Array(entries)) => {
                self.entries(path, entries, |_| KeyKind::Text)
            }
            (KeyKind::Entries(level), DeValue::Array(entries)) => {
                self.entries(path, entries, |_| KeyKind::Table(level))
            }
            (
                KeyKind::PathsOrEntries(level) | KeyKind::NamesOrEntries(level),
                DeValue::Array(entries),
            ) => self.entries(path, entries, |entry| match entry {
                DeValue::Table(_) => KeyKind::Table(level),
                DeValue::String(_) => KeyKind::Text,
                _ => KeyKind::Either(&[], "a string or a table"),
            }),
            (KeyKind::TextMap, DeValue::Table(table)) => self.named(path, KeyKind::Text, table),
            (KeyKind::Types, DeValue::Table(table)) => self.named(path, TYPE, table),
            (KeyKind::Values, DeValue::Table(table)) => self.named(path, KeyKind::Any, table),
            (KeyKind::Tables(level), DeValue::Table(table)) => {
                self.named(path, KeyKind::Table(level), table)
            }
            (KeyKind::Table(level), DeValue::Table(table)) => self.table(path, level, table),
            _ => self.any(path, span, value),
        }
    }

    /// Converts a value of any type.
    fn any(&mut self, path: &str, span: Range<usize>, value: &DeValue<'_>) -> TomlValue {
        let mut refuse = |message: String, label: &str| {
            let origin = place(self.file, span.clone());
            self.broken(Diagnostic::error(
                Code::InvalidValue,
                message,
                &origin,
                label,
            ))
        };
        match value {
            DeValue::String(text) => TomlValue::Text(text.to_string()),
            DeValue::Boolean(value) => TomlValue::Bool(*value),
            DeValue::Datetime(time) => TomlValue::Text(time.to_string()),
            DeValue::Integer(digits) => {
                match i64::from_str_radix(digits.as_str(), digits.radix()) {
                    Ok(number) => TomlValue::Integer(number),
                    Err(_) => refuse(format!("the number of `{path}` is too large"), "too large"),
                }
            }
            DeValue::Float(digits) => match digits.as_str().parse::<f64>() {
                Ok(number) if number.is_finite() => TomlValue::Number(digits.as_str().to_owned()),
                _ => refuse(format!("`{path}` is not a finite number"), "not a number"),
            },
            DeValue::Array(entries) => {
                let node = |entry: &toml::Spanned<DeValue<'_>>| {
                    let origin = place(self.file, entry.span());
                    TomlNode {
                        key: origin.clone(),
                        origin,
                        value: self.any(path, entry.span(), entry.get_ref()),
                    }
                };
                TomlValue::List(entries.iter().map(node).collect())
            }
            DeValue::Table(table) => self.named(path, KeyKind::Any, table),
        }
    }

    fn pair(
        &mut self,
        path: &str,
        entries: &toml::de::DeArray<'_>,
        span: Range<usize>,
    ) -> TomlValue {
        if entries.len() == 2 {
            return self.entries(path, entries, |_| KeyKind::Quantity);
        }
        let message = format!("`{path}` has {} quantities", entries.len());
        let problem = Diagnostic::error(
            Code::InvalidValue,
            message,
            &place(self.file, span),
            "not a pair",
        );
        self.broken(problem.help("write one quantity, or two: the request and the limit"))
    }

    fn entries(
        &mut self,
        path: &str,
        entries: &toml::de::DeArray<'_>,
        kind: impl Fn(&DeValue<'_>) -> KeyKind,
    ) -> TomlValue {
        let node = |entry: &toml::Spanned<DeValue<'_>>| {
            let origin = place(self.file, entry.span());
            let value = self.value(path, kind(entry.get_ref()), entry.span(), entry.get_ref());
            TomlNode {
                key: origin.clone(),
                origin,
                value,
            }
        };
        TomlValue::List(entries.iter().map(node).collect())
    }

    /// A table with keys that the user chooses.
    fn named(&mut self, path: &str, kind: KeyKind, table: &DeTable<'_>) -> TomlValue {
        let mut nodes = Table::new();
        for (key, value) in table.iter() {
            let path = format!("{path}.{}", key.get_ref());
            let node = self.node(&path, kind, key.span(), value.span(), value.get_ref());
            nodes.insert(key.get_ref().to_string(), node);
        }
        TomlValue::Table(nodes)
    }

    /// A table with keys that the schema declares.
    fn table(&mut self, path: &str, level: &'static SchemaLevel, table: &DeTable<'_>) -> TomlValue {
        let mut nodes = Table::new();
        for (key, value) in table.iter() {
            let name = key.get_ref().as_ref();
            match level.key(name) {
                Some(declared) => {
                    let path = if path == "union" {
                        name.to_owned()
                    } else {
                        format!("{path}.{name}")
                    };
                    let node = self.node(
                        &path,
                        declared.kind,
                        key.span(),
                        value.span(),
                        value.get_ref(),
                    );
                    nodes.insert(name.to_owned(), node);
                }
                None => {
                    let problem = unknown_key(path, level, name, &place(self.file, key.span()));
                    self.problems.push(problem);
                }
            }
        }
        TomlValue::Table(nodes)
    }

    fn node(
        &mut self,
        path: &str,
        kind: KeyKind,
        key: Range<usize>,
        span: Range<usize>,
        value: &DeValue<'_>,
    ) -> TomlNode {
        let value = self.value(path, kind, span.clone(), value);
        TomlNode {
            key: place(self.file, key),
            origin: place(self.file, span),
            value,
        }
    }

    fn wrong_type(
        &mut self,
        path: &str,
        expected: &str,
        span: Range<usize>,
        value: &DeValue<'_>,
    ) -> TomlValue {
        let actual = match value {
            DeValue::Integer(_) => "an integer".to_owned(),
            DeValue::Array(_) => "a list".to_owned(),
            other => format!("a {}", other.type_str()),
        };
        let origin = place(self.file, span.clone());
        let message = format!("`{path}` has the wrong type: expected {expected}, found {actual}");
        let mut problem = Diagnostic::error(
            Code::WrongType,
            message,
            &origin,
            format!("expected {expected}"),
        );
        let typed = self.file.text.get(span).unwrap_or_default();
        let better = match value {
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_)
                if expected.starts_with("a string") =>
            {
                Some(toml_text::string(typed))
            }
            DeValue::String(_)
                if expected.starts_with("a list of") && !expected.ends_with(" tables") =>
            {
                Some(format!("[{typed}]"))
            }
            DeValue::String(text)
                if expected == "true or false" && matches!(text.as_ref(), "true" | "false") =>
            {
                Some(text.to_string())
            }
            DeValue::Integer(_) if expected.starts_with("a duration") => {
                Some(toml_text::string(&format!("{typed}s")))
            }
            DeValue::String(text)
                if expected.starts_with("an integer") && text.parse::<i64>().is_ok() =>
            {
                Some(text.to_string())
            }
            _ => None,
        };
        if let Some(better) = better {
            problem = problem
                .help(format!("write `{better}`"))
                .suggest(&origin, better);
        }
        self.broken(problem)
    }

    fn broken(&mut self, problem: Diagnostic) -> TomlValue {
        self.problems.push(problem);
        TomlValue::Broken
    }
}

/// Whether a value of this TOML type may match the kind.
fn takes(kind: KeyKind, value: &DeValue<'_>) -> bool {
    match value {
        _ if matches!(kind, KeyKind::Any) => true,
        DeValue::String(_) => {
            matches!(
                kind,
                KeyKind::Text
                    | KeyKind::Word(_)
                    | KeyKind::Path
                    | KeyKind::Quantity
                    | KeyKind::Amount
                    | KeyKind::Duration
            )
        }
        DeValue::Integer(_) => matches!(
            kind,
            KeyKind::Integer | KeyKind::Number | KeyKind::Quantity | KeyKind::Amount
        ),
        DeValue::Float(_) => matches!(kind, KeyKind::Number),
        DeValue::Boolean(_) => matches!(kind, KeyKind::Bool),
        DeValue::Datetime(_) => false,
        DeValue::Array(_) => {
            matches!(
                kind,
                KeyKind::Texts
                    | KeyKind::Paths
                    | KeyKind::Entries(_)
                    | KeyKind::PathsOrEntries(_)
                    | KeyKind::NamesOrEntries(_)
                    | KeyKind::Amount
            )
        }
        DeValue::Table(_) => matches!(
            kind,
            KeyKind::TextMap
                | KeyKind::Types
                | KeyKind::Values
                | KeyKind::Table(_)
                | KeyKind::Tables(_)
        ),
    }
}
