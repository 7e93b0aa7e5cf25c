//! The `union` table of one manifest, with the place of every key and value, checked against the schema.
//!
//! All problems are collected. A value of the wrong type stays in the tree as [`TomlValue::Broken`](super::tree::TomlValue::Broken), so
//! that later stages do not report it a second time as missing.

use std::ops::Range;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::schema::{KeyKind, keys};
use super::tree::TomlNode;
use crate::diag::{Code, Diagnostic, Origin, SourceFile};
use check::Checker;

mod check;
mod words;

pub(super) use words::check_word;

/// The section whose `metadata.union` is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// `[workspace.metadata.union]`.
    Workspace,
    /// `[package.metadata.union]`.
    Package,
}

/// Reads a manifest's `union` table; `None` when it has none.
///
/// # Errors
/// When the text is not valid TOML; the reasons are in `problems` (U0101).
pub fn read(
    file: &Arc<SourceFile>,
    section: Section,
    problems: &mut Vec<Diagnostic>,
) -> Result<Option<TomlNode>, NotToml> {
    let (document, errors) = DeTable::parse_recoverable(&file.text);
    if !errors.is_empty() {
        problems.extend(errors.iter().map(|error| {
            let span = error.span().unwrap_or(0..0);
            let message = format!("the manifest is not valid TOML: {}", error.message());
            Diagnostic::error(Code::ManifestSyntax, message, &place(file, span), "")
                .help(Code::ManifestSyntax.help())
        }));
        return Err(NotToml);
    }
    Ok(
        union_table(document.get_ref(), section).map(|(key, value, span)| {
            let value = Checker { file, problems }.value(
                "union",
                KeyKind::Table(&keys::UNION),
                span.clone(),
                value,
            );
            TomlNode {
                key: place(file, key),
                origin: place(file, span),
                value,
            }
        }),
    )
}

/// The text is not valid TOML; the collected problems say where.
#[derive(Debug)]
pub struct NotToml;

/// Whether a package's manifest has its own `[package.metadata.union]`, and so takes part.
pub fn declares_union(text: &str) -> bool {
    text.contains("union")
        && union_table(
            DeTable::parse_recoverable(text).0.get_ref(),
            Section::Package,
        )
        .is_some()
}

type UnionTable<'a, 'i> = (Range<usize>, &'a DeValue<'i>, Range<usize>);

/// The `union` table of a section, as `(span of its key, value, span of the value)`.
fn union_table<'a, 'i>(document: &'a DeTable<'i>, section: Section) -> Option<UnionTable<'a, 'i>> {
    let section = match section {
        Section::Workspace => "workspace",
        Section::Package => "package",
    };
    let metadata = document
        .get(section)?
        .get_ref()
        .as_table()?
        .get("metadata")?
        .get_ref()
        .as_table()?;
    let (key, value) = metadata.get_key_value("union")?;
    Some((key.span(), value.get_ref(), value.span()))
}

fn place(file: &Arc<SourceFile>, span: Range<usize>) -> Origin {
    Origin::File(Arc::clone(file), span)
}

#[cfg(test)]
mod tests;
