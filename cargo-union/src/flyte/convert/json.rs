//! What a worker has given, as JSON.

use serde_json::{Value, json as of};

use super::unpack::{float, unpack};
use crate::flyte::idl::core::primitive::Value as Is;
use crate::flyte::idl::core::{Literal, literal, scalar};

/// A value of a type that tasks of the `flyte` crate have.
///
/// # Errors
/// Why it is none, as a sentence goes on that begins with its name.
pub fn json(value: &Literal) -> Result<Value, String> {
    const UNKNOWN: &str = "has a type that tasks of the `flyte` crate do not have";
    let Some(literal::Value::Scalar(scalar)) = &value.value else { return Err(UNKNOWN.to_owned()) };
    match &scalar.value {
        Some(scalar::Value::Primitive(primitive)) => match &primitive.value {
            Some(Is::Integer(number)) => Ok(of!(number)),
            Some(Is::FloatValue(number)) => Ok(float(*number)),
            Some(Is::StringValue(text)) => Ok(of!(text)),
            Some(Is::Boolean(value)) => Ok(of!(value)),
            _ => Err(UNKNOWN.to_owned()),
        },
        Some(scalar::Value::Binary(binary)) if binary.tag == "msgpack" => unpack(&binary.value),
        _ => Err(UNKNOWN.to_owned()),
    }
}
