//! Values that are given to a task's inputs.

use std::collections::BTreeMap;
use std::fmt;

/// A value, before anybody has looked at the type that it should have.
#[derive(Clone, Debug, PartialEq)]
pub enum InputValue {
    /// The absence of a value; a manifest has no word for it.
    Nothing,
    /// Text.
    Text(String),
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number, finite.
    Float(f64),
    /// Values in order.
    List(Vec<InputValue>),
    /// Values by name.
    Map(BTreeMap<String, InputValue>),
}

impl fmt::Display for InputValue {
    /// In backticks, so that a message can show it; what is long is only named.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("`null`"),
            Self::Text(text) if text.chars().count() <= 60 => write!(f, "`{text:?}`"),
            Self::Text(_) => f.write_str("a long string"),
            Self::Bool(value) => write!(f, "`{value}`"),
            Self::Integer(number) => write!(f, "`{number}`"),
            Self::Float(number) => write!(f, "`{number}`"),
            Self::List(_) => f.write_str("a list"),
            Self::Map(_) => f.write_str("a table"),
        }
    }
}
