//! Types of a task's inputs and outputs, in the syntax of the manifest.

use std::fmt;

use super::time;
use super::value::InputValue;
use crate::diag::nearest;

/// The type of an input or an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// A signed 64-bit integer.
    Integer,
    /// A 64-bit floating-point number.
    Float,
    /// A string.
    String,
    /// A boolean.
    Boolean,
    /// A point in time.
    Datetime,
    /// A duration.
    Duration,
    /// Named values of arbitrary types, as in a JSON object.
    Struct,
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A list of values of one type.
    List(Box<Type>),
    /// A map from strings to values of one type.
    Map(Box<Type>),
    /// A value or nothing.
    Optional(Box<Type>),
    /// One of the listed words.
    Enum(Vec<String>),
}

/// The types without a parameter.
const WORDS: &[(&str, Type)] = &[
    ("integer", Type::Integer),
    ("float", Type::Float),
    ("string", Type::String),
    ("boolean", Type::Boolean),
    ("datetime", Type::Datetime),
    ("duration", Type::Duration),
    ("struct", Type::Struct),
    ("file", Type::File),
    ("directory", Type::Directory),
];

/// The words that require a type in brackets.
const OF: [&str; 3] = ["list", "map", "optional"];

/// Names of types in other languages, for suggestions.
const ALIASES: &[(&str, &str)] = &[
    ("int", "integer"),
    ("i64", "integer"),
    ("f64", "float"),
    ("double", "float"),
    ("number", "float"),
    ("str", "string"),
    ("text", "string"),
    ("bool", "boolean"),
    ("timestamp", "datetime"),
    ("timedelta", "duration"),
    ("dict", "struct"),
    ("object", "struct"),
    ("dir", "directory"),
    ("folder", "directory"),
];

/// The maximum nesting depth of a type: it bounds the recursion of all code that walks types.
const DEEPEST: usize = 32;

impl Type {
    /// Whether an output of a container task can have this type: Flyte's copilot uploads no other.
    pub fn is_output(&self) -> bool {
        !matches!(
            self,
            Self::List(_) | Self::Map(_) | Self::Optional(_) | Self::Enum(_)
        )
    }

    /// Whether the backend can insert a value of this type into a command line.
    pub fn fits_command_line(&self) -> bool {
        match self {
            Self::Integer
            | Self::Float
            | Self::String
            | Self::Boolean
            | Self::Datetime
            | Self::Enum(_) => true,
            Self::List(inner) => inner.fits_command_line(),
            // The backend formats a duration as protobuf text and a struct as a Go map, and a file is an address of
            // its storage; it refuses the other types.
            Self::Duration
            | Self::Struct
            | Self::File
            | Self::Directory
            | Self::Map(_)
            | Self::Optional(_) => false,
        }
    }

    /// Reads a type such as `list[optional[integer]]`.
    ///
    /// # Errors
    /// The reason, and a correction when there is a likely one.
    pub fn parse(text: &str) -> Result<Self, NotAType> {
        Self::parse_within(text, DEEPEST)
    }

    fn parse_within(text: &str, levels: usize) -> Result<Self, NotAType> {
        let text = text.trim();
        if let Some((_, plain)) = WORDS.iter().find(|(word, _)| *word == text) {
            return Ok(plain.clone());
        }
        let Some((word, rest)) = text.split_once('[') else {
            return Err(match OF.contains(&text) {
                true => NotAType {
                    why: format!("`{text}` needs a type in brackets"),
                    instead: None,
                },
                false => unknown(text),
            });
        };
        let word = word.trim();
        if !OF.contains(&word) {
            return Err(unknown(word));
        }
        let Some(inner) = rest.trim_end().strip_suffix(']') else {
            return Err(NotAType {
                why: "a bracket is not closed".to_owned(),
                instead: None,
            });
        };
        // The key type of a map is always `string`, so it is optional.
        let inner = if word == "map" {
            inner.trim().strip_prefix("string,").unwrap_or(inner)
        } else {
            inner
        };
        let Some(levels) = levels.checked_sub(1) else {
            return Err(NotAType {
                why: format!("more than {DEEPEST} types are in one another"),
                instead: None,
            });
        };
        let inner = Box::new(Self::parse_within(inner, levels)?);
        match word {
            "list" => Ok(Self::List(inner)),
            "map" => Ok(Self::Map(inner)),
            _ if matches!(*inner, Self::Optional(_)) => Err(NotAType {
                why: "it is optional twice".to_owned(),
                instead: Some((text.to_owned(), inner.to_string())),
            }),
            _ => Ok(Self::Optional(inner)),
        }
    }

    /// Why a value is not one of this type; `None` when it is.
    pub fn misfit(&self, given: &InputValue) -> Option<String> {
        let fits = match (self, given) {
            (Self::Integer, InputValue::Integer(_))
            | (Self::Float, InputValue::Float(_) | InputValue::Integer(_)) => true,
            (Self::String | Self::File | Self::Directory, InputValue::Text(_))
            | (Self::Boolean, InputValue::Bool(_)) => true,
            (Self::Struct, InputValue::Map(_)) => true,
            (Self::Datetime, InputValue::Text(text)) => time::parse_datetime(text).is_some(),
            (Self::Duration, InputValue::Text(text)) => time::parse_duration(text).is_some(),
            (Self::Enum(words), InputValue::Text(text)) => words.contains(text),
            (Self::Optional(_), InputValue::Nothing) => true,
            (Self::Optional(inner), _) => return inner.misfit(given),
            (Self::List(inner), InputValue::List(values)) => {
                return values.iter().find_map(|value| inner.misfit(value));
            }
            (Self::Map(inner), InputValue::Map(values)) => {
                return values.values().find_map(|value| inner.misfit(value));
            }
            _ => false,
        };
        (!fits).then(|| format!("{given} is not {}", self.words()))
    }

    /// Why a container task cannot get a value of this type although it is valid: the inputs are files, and structs in
    /// them are JSON with numbers of 64-bit floating point.
    pub fn unfit_for_files(&self, given: &InputValue) -> Option<String> {
        match (self, given) {
            (Self::Optional(inner), _) => inner.unfit_for_files(given),
            (Self::List(inner), InputValue::List(values)) => {
                values.iter().find_map(|value| inner.unfit_for_files(value))
            }
            (Self::Map(inner), InputValue::Map(values)) => {
                values.iter().find_map(|(name, value)| {
                    if is_file_name(name) {
                        inner.unfit_for_files(value)
                    } else {
                        Some(format!("the name `{name}` cannot be a file name"))
                    }
                })
            }
            (Self::Struct, InputValue::Map(_)) => inexact_number(given),
            _ => None,
        }
    }

    /// The type as messages name it, with an article.
    pub fn words(&self) -> String {
        match self {
            Self::Integer => "a whole number".to_owned(),
            Self::Float => "a number".to_owned(),
            Self::String => "a string".to_owned(),
            Self::Boolean => "true or false".to_owned(),
            Self::Datetime => "a time such as `2030-01-31T12:00:00Z`".to_owned(),
            Self::Duration => "a duration such as `1h30m`".to_owned(),
            Self::Struct => "a table".to_owned(),
            Self::File => "the address of a file".to_owned(),
            Self::Directory => "the address of a directory".to_owned(),
            Self::List(inner) => format!("a list of `{inner}`"),
            Self::Map(inner) => format!("a table of `{inner}`"),
            Self::Optional(inner) => inner.words(),
            Self::Enum(words) => format!(
                "one of {}",
                words
                    .iter()
                    .map(|word| format!("`{word}`"))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        }
    }
}

/// Whether a text can be the name of a file in a directory.
fn is_file_name(name: &str) -> bool {
    const LONGEST: usize = 255;
    !matches!(name, "" | "." | "..") && name.len() <= LONGEST && !name.contains(['/', '\0'])
}

/// The problem of the first integer of a struct that floating point cannot represent.
fn inexact_number(value: &InputValue) -> Option<String> {
    const EXACT: u64 = 1 << 53;
    match value {
        InputValue::Integer(number) if number.unsigned_abs() > EXACT => Some(format!(
            "`{number}` is too large for a number in a struct; write it as text"
        )),
        InputValue::List(values) => values.iter().find_map(inexact_number),
        InputValue::Map(values) => values.values().find_map(inexact_number),
        _ => None,
    }
}

impl fmt::Display for Type {
    /// In the syntax of [`Type::parse`]; an enum as its list of words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(inner) => write!(f, "list[{inner}]"),
            Self::Map(inner) => write!(f, "map[{inner}]"),
            Self::Optional(inner) => write!(f, "optional[{inner}]"),
            Self::Enum(words) => write!(f, "{words:?}"),
            plain => f.write_str(
                WORDS
                    .iter()
                    .find(|(_, known)| known == plain)
                    .map_or("", |(word, _)| word),
            ),
        }
    }
}

/// Why a text is not a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAType {
    /// The reason.
    pub why: String,
    /// The part of the text to replace, and its replacement.
    pub instead: Option<(String, String)>,
}

/// All type words in backticks, for messages and for the reference page.
pub(super) fn words() -> String {
    let plain_types = WORDS.iter().map(|(word, _)| format!("`{word}`"));
    let parameterized = OF.iter().map(|word| format!("`{word}[…]`"));
    plain_types
        .chain(parameterized)
        .collect::<Vec<_>>()
        .join(", ")
}

fn unknown(word: &str) -> NotAType {
    let lower = word.to_lowercase();
    let alias = ALIASES
        .iter()
        .find(|(alias, _)| *alias == lower)
        .map(|(_, meant)| *meant);
    let meant = alias.or_else(|| nearest(word, WORDS.iter().map(|(word, _)| *word).chain(OF)));
    NotAType {
        why: format!("`{word}` is not a type"),
        instead: meant.map(|meant| (word.to_owned(), meant.to_owned())),
    }
}

#[cfg(test)]
mod tests;
