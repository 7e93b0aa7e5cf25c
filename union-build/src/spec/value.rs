//! Values of a task's inputs.

use std::collections::BTreeMap;
use std::fmt;

/// A value that is not yet checked against the type of its input.
#[derive(Clone, Debug, PartialEq)]
pub enum InputValue {
    /// No value (`null`); it cannot be written in a manifest.
    Nothing,
    /// A string.
    Text(String),
    /// A boolean.
    Bool(bool),
    /// A signed 64-bit integer.
    Integer(i64),
    /// A finite floating-point number.
    Float(f64),
    /// An ordered list.
    List(Vec<InputValue>),
    /// Values by name.
    Map(BTreeMap<String, InputValue>),
}

impl fmt::Display for InputValue {
    /// For messages: in backticks, or only its type when it is long.
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
