//! What was typed: one manifest's `union` table with the place of every key and value, checked
//! against the schema.
//!
//! Every problem is collected. A value of the wrong type stays in the tree as [`TomlValue::Broken`], so
//! that nobody takes it for absent and complains a second time.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::schema::{KeyKind, keys};
use crate::diag::{Code, Diagnostic, Origin, SourceFile};
use check::Checker;

mod check;
mod words;

pub(super) use words::check_word;

/// A value and where it and its key were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TomlNode {
    /// Where the key stands; for an entry of a list, where the entry stands.
    pub key: Origin,
    /// Where the value stands.
    pub origin: Origin,
    /// The value.
    pub value: TomlValue,
}

impl TomlNode {
    /// The table that the value is; anything else becomes an empty one.
    pub(super) fn make_table(&mut self) -> &mut Table {
        if !matches!(self.value, TomlValue::Table(_)) {
            self.value = TomlValue::Table(Table::new());
        }
        let TomlValue::Table(table) = &mut self.value else { unreachable!("the lines before made it a table") };
        table
    }
}

/// What a value can be, once it fits the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TomlValue {
    /// A string.
    Text(String),
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction or an exponent, as typed; it is finite.
    Number(String),
    /// A list.
    List(Vec<TomlNode>),
    /// A table.
    Table(Table),
    /// Something that does not fit and was reported.
    Broken,
}

/// Values by key.
pub type Table = BTreeMap<String, TomlNode>;

/// Whose `metadata.union` is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// `[workspace.metadata.union]`.
    Workspace,
    /// `[package.metadata.union]`.
    Package,
}

/// Reads a manifest's `union` table. `None` means that there is none; `Err` that the text is no TOML.
pub fn read(file: &Arc<SourceFile>, section: Section, problems: &mut Vec<Diagnostic>) -> Result<Option<TomlNode>, NotToml> {
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
        let value = Checker { file, problems }.value("union", KeyKind::Table(&keys::UNION), span.clone(), value);
        TomlNode { key: place(file, key), origin: place(file, span), value }
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

#[cfg(test)]
mod tests;
