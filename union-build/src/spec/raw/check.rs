//! A TOML value against what the schema says of its key.

use std::ops::Range;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::words::{check_word, unknown_key};
use super::{Node, Table, Value, place};
use crate::diag::{Code, Diagnostic, SourceFile};
use crate::spec::schema::{Kind, Level};
use crate::spec::toml_text;

/// What one entry of a [`Kind::Types`] may be.
const TYPE: Kind = Kind::Either(&[Kind::Text, Kind::Texts], "a type or a list of words");

/// Checks the values of one manifest.
pub(super) struct Checker<'a> {
    /// The manifest.
    pub(super) file: &'a Arc<SourceFile>,
    /// Where problems go.
    pub(super) problems: &'a mut Vec<Diagnostic>,
}

impl Checker<'_> {
    /// The value, or [`Value::Broken`] when it does not fit.
    pub(super) fn value(&mut self, path: &str, kind: Kind, span: Range<usize>, value: &DeValue<'_>) -> Value {
        match (kind, value) {
            (Kind::Either(kinds, words), _) => match kinds.iter().find(|kind| takes(**kind, value)) {
                Some(kind) => self.value(path, *kind, span, value),
                None => self.wrong_type(path, words, span, value),
            },
            _ if !takes(kind, value) => self.wrong_type(path, kind.words(), span, value),
            (Kind::Word(words), DeValue::String(text)) => match check_word(path, words, text, &place(self.file, span)) {
                None => Value::Text(text.to_string()),
                Some(problem) => self.broken(problem),
            },
            (Kind::Amount, DeValue::Array(entries)) => self.pair(path, entries, span),
            (Kind::Texts | Kind::Paths, DeValue::Array(entries)) => self.entries(path, entries, |_| Kind::Text),
            (Kind::Entries(level), DeValue::Array(entries)) => self.entries(path, entries, |_| Kind::Table(level)),
            (Kind::PathsOrEntries(level) | Kind::NamesOrEntries(level), DeValue::Array(entries)) => {
                self.entries(path, entries, |entry| match entry {
                    DeValue::Table(_) => Kind::Table(level),
                    DeValue::String(_) => Kind::Text,
                    _ => Kind::Either(&[], "a string or a table"),
                })
            }
            (Kind::TextMap, DeValue::Table(table)) => self.named(path, Kind::Text, table),
            (Kind::Types, DeValue::Table(table)) => self.named(path, TYPE, table),
            (Kind::Values, DeValue::Table(table)) => self.named(path, Kind::Any, table),
            (Kind::Tables(level), DeValue::Table(table)) => self.named(path, Kind::Table(level), table),
            (Kind::Table(level), DeValue::Table(table)) => self.table(path, level, table),
            _ => self.any(path, span, value),
        }
    }

    /// A value as it is.
    fn any(&mut self, path: &str, span: Range<usize>, value: &DeValue<'_>) -> Value {
        let mut refuse = |message: String, label: &str| {
            let origin = place(self.file, span.clone());
            self.broken(Diagnostic::error(Code::InvalidValue, message, &origin, label))
        };
        match value {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Boolean(value) => Value::Bool(*value),
            DeValue::Datetime(time) => Value::Text(time.to_string()),
            DeValue::Integer(digits) => match i64::from_str_radix(digits.as_str(), digits.radix()) {
                Ok(number) => Value::Integer(number),
                Err(_) => refuse(format!("the number of `{path}` is too large"), "too large"),
            },
            DeValue::Float(digits) => match digits.as_str().parse::<f64>() {
                Ok(number) if number.is_finite() => Value::Number(digits.as_str().to_owned()),
                _ => refuse(format!("`{path}` is not a finite number"), "not a number"),
            },
            DeValue::Array(entries) => {
                let node = |entry: &toml::Spanned<DeValue<'_>>| {
                    let origin = place(self.file, entry.span());
                    Node { key: origin.clone(), origin, value: self.any(path, entry.span(), entry.get_ref()) }
                };
                Value::List(entries.iter().map(node).collect())
            }
            DeValue::Table(table) => self.named(path, Kind::Any, table),
        }
    }

    fn pair(&mut self, path: &str, entries: &toml::de::DeArray<'_>, span: Range<usize>) -> Value {
        if entries.len() == 2 {
            return self.entries(path, entries, |_| Kind::Quantity);
        }
        let message = format!("`{path}` has {} quantities", entries.len());
        let problem = Diagnostic::error(Code::InvalidValue, message, &place(self.file, span), "not a pair");
        self.broken(problem.help("write one quantity, or two: the request and the limit"))
    }

    fn entries(&mut self, path: &str, entries: &toml::de::DeArray<'_>, kind: impl Fn(&DeValue<'_>) -> Kind) -> Value {
        let node = |entry: &toml::Spanned<DeValue<'_>>| {
            let origin = place(self.file, entry.span());
            let value = self.value(path, kind(entry.get_ref()), entry.span(), entry.get_ref());
            Node { key: origin.clone(), origin, value }
        };
        Value::List(entries.iter().map(node).collect())
    }

    /// A table whose keys the user chooses.
    fn named(&mut self, path: &str, kind: Kind, table: &DeTable<'_>) -> Value {
        let mut nodes = Table::new();
        for (key, value) in table.iter() {
            let path = format!("{path}.{}", key.get_ref());
            let node = self.node(&path, kind, key.span(), value.span(), value.get_ref());
            nodes.insert(key.get_ref().to_string(), node);
        }
        Value::Table(nodes)
    }

    /// A table whose keys the schema declares.
    fn table(&mut self, path: &str, level: &'static Level, table: &DeTable<'_>) -> Value {
        let mut nodes = Table::new();
        for (key, value) in table.iter() {
            let name = key.get_ref().as_ref();
            match level.key(name) {
                Some(declared) => {
                    let path = if path == "union" { name.to_owned() } else { format!("{path}.{name}") };
                    let node = self.node(&path, declared.kind, key.span(), value.span(), value.get_ref());
                    nodes.insert(name.to_owned(), node);
                }
                None => {
                    let problem = unknown_key(path, level, name, &place(self.file, key.span()));
                    self.problems.push(problem);
                }
            }
        }
        Value::Table(nodes)
    }

    fn node(&mut self, path: &str, kind: Kind, key: Range<usize>, span: Range<usize>, value: &DeValue<'_>) -> Node {
        let value = self.value(path, kind, span.clone(), value);
        Node { key: place(self.file, key), origin: place(self.file, span), value }
    }

    fn wrong_type(&mut self, path: &str, expected: &str, span: Range<usize>, value: &DeValue<'_>) -> Value {
        let found = match value {
            DeValue::Integer(_) => "an integer".to_owned(),
            DeValue::Array(_) => "a list".to_owned(),
            other => format!("a {}", other.type_str()),
        };
        let origin = place(self.file, span.clone());
        let message = format!("`{path}` has the wrong type: expected {expected}, found {found}");
        let mut problem = Diagnostic::error(Code::WrongType, message, &origin, format!("expected {expected}"));
        let typed = self.file.text.get(span).unwrap_or_default();
        let better = match value {
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) if expected.starts_with("a string") => {
                Some(toml_text::string(typed))
            }
            DeValue::String(_) if expected.starts_with("a list of") && !expected.ends_with(" tables") => Some(format!("[{typed}]")),
            DeValue::String(text) if expected == "true or false" && matches!(text.as_ref(), "true" | "false") => Some(text.to_string()),
            DeValue::Integer(_) if expected.starts_with("a duration") => Some(toml_text::string(&format!("{typed}s"))),
            DeValue::String(text) if expected.starts_with("an integer") && text.parse::<i64>().is_ok() => Some(text.to_string()),
            _ => None,
        };
        if let Some(better) = better {
            problem = problem.help(format!("write `{better}`")).suggest(&origin, better);
        }
        self.broken(problem)
    }

    fn broken(&mut self, problem: Diagnostic) -> Value {
        self.problems.push(problem);
        Value::Broken
    }
}

/// Whether a kind is written as a value of this type.
fn takes(kind: Kind, value: &DeValue<'_>) -> bool {
    match value {
        _ if matches!(kind, Kind::Any) => true,
        DeValue::String(_) => {
            matches!(kind, Kind::Text | Kind::Word(_) | Kind::Path | Kind::Quantity | Kind::Amount | Kind::Duration)
        }
        DeValue::Integer(_) => matches!(kind, Kind::Integer | Kind::Number | Kind::Quantity | Kind::Amount),
        DeValue::Float(_) => matches!(kind, Kind::Number),
        DeValue::Boolean(_) => matches!(kind, Kind::Bool),
        DeValue::Datetime(_) => false,
        DeValue::Array(_) => {
            matches!(kind, Kind::Texts | Kind::Paths | Kind::Entries(_) | Kind::PathsOrEntries(_) | Kind::NamesOrEntries(_) | Kind::Amount)
        }
        DeValue::Table(_) => matches!(kind, Kind::TextMap | Kind::Types | Kind::Values | Kind::Table(_) | Kind::Tables(_)),
    }
}
