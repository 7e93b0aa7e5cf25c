//! One input: a value that is known to be of its type.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Number, json};
use union_build::spec::time;
use union_build::spec::types::Type;
use union_build::spec::value::InputValue;

use super::number;

/// A value. Files and folders are those of this machine.
#[derive(Clone, Debug, PartialEq)]
pub enum InputLiteral {
    /// The absence of an optional value.
    Nothing,
    /// Text, or the word of an enum.
    Text(String),
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number, finite.
    Float(f64),
    /// Seconds since 1970, and nanoseconds.
    Datetime(i64, u32),
    /// A span of time.
    Span(Duration),
    /// Named values.
    Struct(serde_json::Value),
    /// A file.
    File(PathBuf),
    /// A folder.
    Folder(PathBuf),
    /// Values in order.
    List(Vec<InputLiteral>),
    /// Values by name.
    Map(BTreeMap<String, InputLiteral>),
}

impl InputLiteral {
    /// A given value, if it is of this type; paths are absolute.
    ///
    /// # Errors
    /// Why it is not.
    pub fn of(ty: &Type, given: &InputValue) -> Result<Self, String> {
        Ok(match (ty, given) {
            (Type::Optional(_), InputValue::Nothing) => Self::Nothing,
            (Type::Optional(inner), _) => Self::of(inner, given)?,
            (Type::List(inner), InputValue::List(values)) => {
                Self::List(values.iter().map(|value| Self::of(inner, value)).collect::<Result<_, _>>()?)
            }
            (Type::Map(inner), InputValue::Map(values)) => {
                let value = |(name, value): (&String, &InputValue)| Ok((file_name(name)?, Self::of(inner, value)?));
                Self::Map(values.iter().map(value).collect::<Result<_, String>>()?)
            }
            _ => match ty.misfit(given) {
                Some(why) => return Err(why),
                None => Self::plain(ty, given)?,
            },
        })
    }

    /// A value that fits a type without an inner one.
    fn plain(ty: &Type, given: &InputValue) -> Result<Self, String> {
        let misfit = || format!("{given} is not {}", ty.words());
        Ok(match (ty, given) {
            (Type::File | Type::Directory, InputValue::Text(path)) => return path_of(ty, path),
            (Type::Datetime, InputValue::Text(text)) => {
                let (seconds, nanoseconds) = time::parse_datetime(text).ok_or_else(misfit)?;
                Self::Datetime(seconds, nanoseconds)
            }
            (Type::Duration, InputValue::Text(text)) => Self::Span(time::parse_duration(text).ok_or_else(misfit)?),
            (Type::Struct, _) => Self::Struct(as_json(given)),
            (Type::Float, InputValue::Integer(number)) => Self::Float(*number as f64),
            (_, InputValue::Float(number)) => Self::Float(*number),
            (_, InputValue::Integer(number)) => Self::Integer(*number),
            (_, InputValue::Bool(value)) => Self::Bool(*value),
            (_, InputValue::Text(text)) => Self::Text(text.clone()),
            _ => return Err(misfit()),
        })
    }

    /// What its file holds; `None` for what is a folder or a file already.
    pub(super) fn text(&self) -> Option<String> {
        Some(match self {
            Self::Nothing => "null".to_owned(),
            Self::Text(text) => text.clone(),
            Self::Bool(value) => value.to_string(),
            Self::Integer(number) => number.to_string(),
            Self::Float(number) => number::plain(*number),
            Self::Datetime(seconds, nanoseconds) => time::datetime(*seconds, *nanoseconds),
            Self::Span(span) => time::duration(*span),
            Self::Struct(value) => value.to_string(),
            Self::File(_) | Self::Folder(_) | Self::List(_) | Self::Map(_) => return None,
        })
    }

    /// What stands for it in the file that lists all inputs; `None` as for [`text`](Self::text).
    pub(super) fn listed(&self) -> Option<serde_json::Value> {
        Some(match self {
            Self::Nothing => serde_json::Value::Null,
            Self::Bool(value) => json!(value),
            Self::Integer(number) => json!(number),
            Self::Float(number) => float(*number),
            // Go's JSON of a span is its number of nanoseconds.
            Self::Span(span) => u64::try_from(span.as_nanos()).map_or(serde_json::Value::Null, |nanoseconds| json!(nanoseconds)),
            Self::Struct(value) => value.clone(),
            _ => json!(self.text()?),
        })
    }
}

/// The name of a map's value, which becomes that of a file.
fn file_name(name: &str) -> Result<String, String> {
    let fitting = !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0']);
    fitting.then(|| name.to_owned()).ok_or_else(|| format!("the name `{name}` cannot be that of a file"))
}

fn path_of(ty: &Type, path: &str) -> Result<InputLiteral, String> {
    if path.contains("://") {
        return Err(format!("`{path}` is an address, and a run on this machine takes what is on it"));
    }
    let found = std::fs::metadata(path).map_err(|cause| format!("`{path}` cannot be read: {cause}"))?;
    match (ty, found.is_dir()) {
        (Type::File, false) => Ok(InputLiteral::File(path.into())),
        (Type::Directory, true) => Ok(InputLiteral::Folder(path.into())),
        (Type::File, true) => Err(format!("`{path}` is a folder, not a file")),
        _ => Err(format!("`{path}` is a file, not a folder")),
    }
}

/// A struct as JSON. The backend has no whole numbers in it, so that 1.0 and 1 are the same.
fn as_json(given: &InputValue) -> serde_json::Value {
    match given {
        InputValue::Nothing => serde_json::Value::Null,
        InputValue::Text(text) => json!(text),
        InputValue::Bool(value) => json!(value),
        InputValue::Integer(number) => json!(number),
        InputValue::Float(number) => float(*number),
        InputValue::List(values) => values.iter().map(as_json).collect(),
        InputValue::Map(values) => values.iter().map(|(name, value)| (name.clone(), as_json(value))).collect(),
    }
}

/// A number as Go's JSON has it: `1`, not `1.0`.
pub(super) fn float(number: f64) -> serde_json::Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        return json!(number as i64);
    }
    Number::from_f64(number).map_or(serde_json::Value::Null, serde_json::Value::Number)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn value(ty: &str, given: &InputValue) -> Result<InputLiteral, String> {
        InputLiteral::of(&Type::parse(ty).unwrap(), given)
    }

    fn text(text: &str) -> InputValue {
        InputValue::Text(text.to_owned())
    }

    #[test]
    fn a_value_is_a_text_in_its_file_and_json_in_the_list() {
        let fields = InputValue::Map(
            [("b".to_owned(), InputValue::Float(2.0)), ("a".to_owned(), InputValue::List(vec![InputValue::Nothing]))].into(),
        );
        for (ty, given, file, listed) in [
            ("string", text(" a\n"), " a\n", r#"" a\n""#),
            ("boolean", InputValue::Bool(true), "true", "true"),
            ("integer", InputValue::Integer(-7), "-7", "-7"),
            ("float", InputValue::Integer(3), "3", "3"),
            ("float", InputValue::Float(0.25), "0.25", "0.25"),
            ("datetime", text("2030-01-31T12:00:00.50+02:00"), "2030-01-31T10:00:00.5Z", r#""2030-01-31T10:00:00.5Z""#),
            ("duration", text("90m"), "1h30m0s", "5400000000000"),
            ("struct", fields, r#"{"a":[null],"b":2}"#, r#"{"a":[null],"b":2}"#),
            ("optional[integer]", InputValue::Nothing, "null", "null"),
            ("optional[integer]", InputValue::Integer(1), "1", "1"),
        ] {
            let value = value(ty, &given).unwrap();
            assert_eq!(value.text().as_deref(), Some(file), "{ty}");
            assert_eq!(value.listed().unwrap().to_string(), listed, "{ty}");
        }
    }

    #[test]
    fn what_is_not_of_its_type_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().to_str().unwrap();
        for (ty, given, why) in [
            ("integer", text("abc"), "`\"abc\"` is not a whole number".to_owned()),
            ("list[integer]", InputValue::List(vec![InputValue::Bool(true)]), "`true` is not a whole number".to_owned()),
            ("file", text(here), format!("`{here}` is a folder, not a file")),
            ("file", text("/no/such/file"), "`/no/such/file` cannot be read: No such file or directory (os error 2)".to_owned()),
            ("directory", text("s3://a/b"), "`s3://a/b` is an address, and a run on this machine takes what is on it".to_owned()),
            (
                "map[integer]",
                InputValue::Map([("../x".to_owned(), InputValue::Integer(1))].into()),
                "the name `../x` cannot be that of a file".to_owned(),
            ),
        ] {
            assert_eq!(value(ty, &given).unwrap_err(), why);
        }
        assert_eq!(value("directory", &text(here)).unwrap(), InputLiteral::Folder(here.into()));
    }
}
