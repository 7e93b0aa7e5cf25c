//! What was typed: one manifest's `union` table with the place of every key and value, checked
//! against the schema.
//!
//! Every problem is collected. A value of the wrong type stays in the tree as [`Value::Broken`], so
//! that nobody takes it for absent and complains a second time.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::schema::{Kind, Level, keys, levels};
use super::toml_text;
use crate::diag::{Code, Diagnostic, Origin, SourceFile, nearest};

/// A value and where it and its key were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Where the key stands; for an entry of a list, where the entry stands.
    pub key: Origin,
    /// Where the value stands.
    pub origin: Origin,
    /// The value.
    pub value: Value,
}

impl Node {
    /// The table that the value is; anything else becomes an empty one.
    pub(super) fn make_table(&mut self) -> &mut Table {
        if !matches!(self.value, Value::Table(_)) {
            self.value = Value::Table(Table::new());
        }
        let Value::Table(table) = &mut self.value else { unreachable!("the lines before made it a table") };
        table
    }
}

/// What a value can be, once it fits the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A string.
    Text(String),
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A list.
    List(Vec<Node>),
    /// A table.
    Table(Table),
    /// Something that does not fit and was reported.
    Broken,
}

/// Values by key.
pub type Table = BTreeMap<String, Node>;

/// Whose `metadata.union` is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// `[workspace.metadata.union]`.
    Workspace,
    /// `[package.metadata.union]`.
    Package,
}

/// Reads a manifest's `union` table. `None` means that there is none; `Err` that the text is no TOML.
pub fn read(file: &Arc<SourceFile>, section: Section, problems: &mut Vec<Diagnostic>) -> Result<Option<Node>, NotToml> {
    let (document, errors) = DeTable::parse_recoverable(&file.text);
    if !errors.is_empty() {
        problems.extend(errors.iter().map(|error| {
            let span = error.span().unwrap_or(0..0);
            let message = format!("the manifest is not valid TOML: {}", error.message());
            Diagnostic::error(Code::ManifestSyntax, message, &place(file, span), "").help(Code::ManifestSyntax.cure())
        }));
        return Err(NotToml);
    }
    Ok(union_table(document.get_ref(), section).map(|(key, value, span)| {
        let mut checker = Checker { file, problems };
        let value = checker.value("union", Kind::Table(&keys::UNION), span.clone(), value);
        Node { key: place(file, key), origin: place(file, span), value }
    }))
}

/// The text is no TOML; the problems say where.
#[derive(Debug)]
pub struct NotToml;

/// Whether a package's manifest has a `[package.metadata.union]` of its own, and so takes part.
pub fn declares_union(text: &str) -> bool {
    text.contains("union") && union_table(DeTable::parse_recoverable(text).0.get_ref(), Section::Package).is_some()
}

type Found<'a, 'i> = (Range<usize>, &'a DeValue<'i>, Range<usize>);

fn union_table<'a, 'i>(document: &'a DeTable<'i>, section: Section) -> Option<Found<'a, 'i>> {
    let section = match section {
        Section::Workspace => "workspace",
        Section::Package => "package",
    };
    let metadata = document.get(section)?.get_ref().as_table()?.get("metadata")?.get_ref().as_table()?;
    let (key, value) = metadata.get_key_value("union")?;
    Some((key.span(), value.get_ref(), value.span()))
}

fn place(file: &Arc<SourceFile>, span: Range<usize>) -> Origin {
    Origin::File(Arc::clone(file), span)
}

/// One enum word, wherever it was written.
pub(super) fn check_word(path: &str, words: &[&str], typed: &str, origin: &Origin) -> Option<Diagnostic> {
    if words.contains(&typed) {
        return None;
    }
    let list: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    let problem = Diagnostic::error(Code::InvalidValue, format!("`{typed}` is not a value of `{path}`"), origin, "not one of the words");
    let list = format!("the words are {}", list.join(", "));
    Some(match nearest(typed, words.iter().copied()) {
        Some(word) => problem.help(format!("did you mean `{word}`? {list}")).suggest(origin, toml_text::string(word)),
        None => problem.help(list),
    })
}

struct Checker<'a> {
    file: &'a Arc<SourceFile>,
    problems: &'a mut Vec<Diagnostic>,
}

impl Checker<'_> {
    fn value(&mut self, path: &str, kind: Kind, span: Range<usize>, value: &DeValue<'_>) -> Value {
        match (kind, value) {
            (Kind::Text | Kind::Path | Kind::Quantity, DeValue::String(text)) => Value::Text(text.to_string()),
            (Kind::Word(words), DeValue::String(text)) => match check_word(path, words, text, &place(self.file, span)) {
                None => Value::Text(text.to_string()),
                Some(problem) => self.broken(problem),
            },
            (Kind::Bool, DeValue::Boolean(value)) => Value::Bool(*value),
            (Kind::Integer | Kind::Quantity, DeValue::Integer(digits)) => match i64::from_str_radix(digits.as_str(), digits.radix()) {
                Ok(number) => Value::Integer(number),
                Err(_) => {
                    let origin = place(self.file, span);
                    self.broken(Diagnostic::error(Code::InvalidValue, format!("the number of `{path}` is too large"), &origin, "too large"))
                }
            },
            (Kind::Texts | Kind::Paths, DeValue::Array(entries)) => {
                self.entries(path, entries, |checker, path, span, entry| checker.value(path, Kind::Text, span, entry))
            }
            (Kind::Entries(level), DeValue::Array(entries)) => {
                self.entries(path, entries, |checker, path, span, entry| checker.value(path, Kind::Table(level), span, entry))
            }
            (Kind::PathsOrEntries(level), DeValue::Array(entries)) => {
                self.entries(path, entries, |checker, path, span, entry| match entry {
                    DeValue::Table(_) => checker.value(path, Kind::Table(level), span, entry),
                    DeValue::String(text) => Value::Text(text.to_string()),
                    other => checker.wrong_type(path, "a path or a table", span, other),
                })
            }
            (Kind::TextMap, DeValue::Table(table)) => self.named(path, Kind::Text, table),
            (Kind::Tables(level), DeValue::Table(table)) => self.named(path, Kind::Table(level), table),
            (Kind::Table(level), DeValue::Table(table)) => self.table(path, level, table),
            _ => self.wrong_type(path, kind.words(), span, value),
        }
    }

    fn entries(
        &mut self,
        path: &str,
        entries: &toml::de::DeArray<'_>,
        mut check: impl FnMut(&mut Self, &str, Range<usize>, &DeValue<'_>) -> Value,
    ) -> Value {
        let mut list = Vec::new();
        for entry in entries.iter() {
            let origin = place(self.file, entry.span());
            list.push(Node { key: origin.clone(), origin, value: check(self, path, entry.span(), entry.get_ref()) });
        }
        Value::List(list)
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
            DeValue::String(text) if expected == "an integer" && text.parse::<i64>().is_ok() => Some(text.to_string()),
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

fn unknown_key(path: &str, level: &'static Level, name: &str, origin: &Origin) -> Diagnostic {
    let kebab = name.replace('_', "-").to_lowercase();
    if let Some((_, reason)) = level.refused.iter().find(|(refused, _)| *refused == kebab) {
        let message = format!("`{name}` of the Python SDK has no meaning here");
        return Diagnostic::error(Code::Refused, message, origin, "refused").help(format!("remove it: {reason}"));
    }
    let table = if path == "union" { "`[package.metadata.union]`".to_owned() } else { format!("`{path}`") };
    let problem = Diagnostic::error(Code::UnknownKey, format!("`{name}` is not a key of {table}"), origin, "unknown key");
    let known = level.keys.iter().map(|key| key.name).collect::<Vec<_>>().join(", ");
    let known = format!("its keys are {known}");
    let alias = level.aliases.iter().find(|(alias, _)| *alias == kebab).map(|(_, meant)| *meant);
    let exact = level.key(&kebab).map(|key| key.name);
    if let Some(meant) = exact.or(alias) {
        return problem.help(format!("did you mean `{meant}`?")).suggest(origin, meant);
    }
    let others = levels().into_iter().filter(|other| other.path != level.path && other.key(&kebab).is_some());
    let others: Vec<String> = others
        .map(|other| if other.path.is_empty() { "`[package.metadata.union]` itself".to_owned() } else { format!("`{}`", other.path) })
        .collect();
    if !others.is_empty() {
        return problem.help(format!("`{kebab}` belongs to {}; {known}", others.join(" or ")));
    }
    match nearest(name, level.keys.iter().map(|key| key.name)) {
        Some(meant) => problem.help(format!("did you mean `{meant}`?")).suggest(origin, meant),
        None => problem.help(known),
    }
}

#[cfg(test)]
mod tests;
