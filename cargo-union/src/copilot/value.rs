//! Input values that are checked against their types.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Number, json};
use union_build::spec::time;
use union_build::spec::types::Type;
use union_build::spec::value::InputValue;

use super::number;

/// A value of an input. Files and directories are local.
#[derive(Clone, Debug, PartialEq)]
pub enum InputLiteral {
    /// The absence of an optional value (`null`).
    Nothing,
    /// A string, or a word of an enum.
    Text(String),
    /// A boolean.
    Bool(bool),
    /// A signed 64-bit integer.
    Integer(i64),
    /// A finite floating-point number.
    Float(f64),
    /// A point in time: seconds since 1970, and nanoseconds.
    Datetime(i64, u32),
    /// A duration.
    Span(Duration),
    /// A JSON object.
    Struct(serde_json::Value),
    /// A local file.
    File(PathBuf),
    /// A local directory.
    Directory(PathBuf),
    /// An ordered list.
    List(Vec<InputLiteral>),
    /// Values by name.
    Map(BTreeMap<String, InputLiteral>),
}

impl InputLiteral {
    /// Checks a value against a type. Paths must be absolute, and exist.
    ///
    /// # Errors
    /// The reason why the value is not of the type.
    pub fn of(ty: &Type, value: &InputValue) -> Result<Self, String> {
        let literal = Self::convert(ty, value)?;
        match ty.unfit_for_files(value) {
            Some(why) => Err(why),
            None => Ok(literal),
        }
    }

    fn convert(ty: &Type, value: &InputValue) -> Result<Self, String> {
        Ok(match (ty, value) {
            (Type::Optional(_), InputValue::Nothing) => Self::Nothing,
            (Type::Optional(inner), _) => Self::convert(inner, value)?,
            (Type::List(inner), InputValue::List(values)) => Self::List(
                values
                    .iter()
                    .map(|element| Self::convert(inner, element))
                    .collect::<Result<_, _>>()?,
            ),
            (Type::Map(inner), InputValue::Map(values)) => {
                let entry = |(name, element): (&String, &InputValue)| {
                    Ok((name.clone(), Self::convert(inner, element)?))
                };
                Self::Map(values.iter().map(entry).collect::<Result<_, String>>()?)
            }
            _ => match ty.misfit(value) {
                Some(why) => return Err(why),
                None => Self::plain(ty, value)?,
            },
        })
    }

    /// A value of a type without a type parameter.
    fn plain(ty: &Type, value: &InputValue) -> Result<Self, String> {
        let misfit = || format!("{value} is not {}", ty.words());
        Ok(match (ty, value) {
            (Type::File | Type::Directory, InputValue::Text(path)) => return path_of(ty, path),
            (Type::Datetime, InputValue::Text(text)) => {
                let (seconds, nanoseconds) = time::parse_datetime(text).ok_or_else(misfit)?;
                Self::Datetime(seconds, nanoseconds)
            }
            (Type::Duration, InputValue::Text(text)) => {
                Self::Span(time::parse_duration(text).ok_or_else(misfit)?)
            }
            (Type::Struct, _) => Self::Struct(as_json(value)),
            (Type::Float, InputValue::Integer(number)) => Self::Float(*number as f64),
            (_, InputValue::Float(number)) => Self::Float(*number),
            (_, InputValue::Integer(number)) => Self::Integer(*number),
            (_, InputValue::Bool(boolean)) => Self::Bool(*boolean),
            (_, InputValue::Text(text)) => Self::Text(text.clone()),
            _ => return Err(misfit()),
        })
    }

    /// The content of the input's file; `None` for values that consist of other files.
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
            Self::File(_) | Self::Directory(_) | Self::List(_) | Self::Map(_) => return None,
        })
    }

    /// The value in the file that lists all inputs; `None` as for [`text`](Self::text).
    pub(super) fn listed(&self) -> Option<serde_json::Value> {
        Some(match self {
            Self::Nothing => serde_json::Value::Null,
            Self::Bool(value) => json!(value),
            Self::Integer(number) => json!(number),
            Self::Float(number) => float(*number),
            // Go encodes a `time.Duration` as nanoseconds.
            Self::Span(span) => u64::try_from(span.as_nanos())
                .map_or(serde_json::Value::Null, |nanoseconds| json!(nanoseconds)),
            Self::Struct(value) => value.clone(),
            _ => json!(self.text()?),
        })
    }
}

fn path_of(ty: &Type, path: &str) -> Result<InputLiteral, String> {
    if path.contains("://") {
        return Err(format!(
            "`{path}` is an address, but a local run requires local paths"
        ));
    }
    let metadata =
        std::fs::metadata(path).map_err(|cause| format!("`{path}` cannot be read: {cause}"))?;
    match (ty, metadata.is_dir()) {
        (Type::File, false) => Ok(InputLiteral::File(path.into())),
        (Type::Directory, true) => Ok(InputLiteral::Directory(path.into())),
        (Type::File, true) => Err(format!("`{path}` is a directory, not a file")),
        _ => Err(format!("`{path}` is a file, not a directory")),
    }
}

/// A struct as JSON. The backend stores its numbers as floating point, so 1.0 and 1 are the same.
fn as_json(value: &InputValue) -> serde_json::Value {
    match value {
        InputValue::Nothing => serde_json::Value::Null,
        InputValue::Text(text) => json!(text),
        InputValue::Bool(value) => json!(value),
        InputValue::Integer(number) => json!(number),
        InputValue::Float(number) => float(*number),
        InputValue::List(values) => values.iter().map(as_json).collect(),
        InputValue::Map(values) => values
            .iter()
            .map(|(name, value)| (name.clone(), as_json(value)))
            .collect(),
    }
}

/// A number as encoded by Go: `1` instead of `1.0`.
pub(super) fn float(number: f64) -> serde_json::Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        return json!(number as i64);
    }
    Number::from_f64(number).map_or(serde_json::Value::Null, serde_json::Value::Number)
}

#[cfg(test)]
mod tests;
