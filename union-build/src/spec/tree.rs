//! The values of a manifest with the places where they were set.

use std::collections::BTreeMap;

use crate::diag::Origin;

/// A value with the places of its key and itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TomlNode {
    /// Place of the key; for an entry of a list, place of the entry.
    pub key: Origin,
    /// Place of the value.
    pub origin: Origin,
    /// The value.
    pub value: TomlValue,
}

impl TomlNode {
    /// The table of the value; a value of another type is replaced by an empty table.
    pub(super) fn make_table(&mut self) -> &mut Table {
        if !matches!(self.value, TomlValue::Table(_)) {
            self.value = TomlValue::Table(Table::new());
        }
        let TomlValue::Table(table) = &mut self.value else {
            unreachable!("the lines before made it a table")
        };
        table
    }
}

/// A value that was checked against the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TomlValue {
    /// A string.
    Text(String),
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A finite number with a fraction or an exponent, as typed.
    Number(String),
    /// A list.
    List(Vec<TomlNode>),
    /// A table.
    Table(Table),
    /// A value that does not match the schema and was reported.
    Broken,
}

/// Values by key.
pub type Table = BTreeMap<String, TomlNode>;
