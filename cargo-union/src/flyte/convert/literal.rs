//! Converts values into literals.

use union_build::spec::TaskKind;
use union_build::spec::time;
use union_build::spec::types::Type;
use union_build::spec::value::InputValue;

use super::{msgpack, types, value};
use crate::flyte::idl::core::primitive::Value as PrimitiveValue;
use crate::flyte::idl::core::{self, Literal, literal, scalar};
use crate::flyte::idl::{Timestamp, core::Scalar};

/// The encoding of structs that a task expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiteralForm {
    /// MessagePack, as in the SDKs.
    MessagePack,
    /// A protobuf struct: copilot writes it as a JSON file, which it does not do for MessagePack.
    Json,
}

impl LiteralForm {
    /// The form for a kind of task.
    pub fn of(kind: TaskKind) -> Self {
        match kind {
            TaskKind::Rust => Self::MessagePack,
            TaskKind::Container => Self::Json,
        }
    }
}

/// A value as a literal of a type.
///
/// # Errors
/// The reason why the value is not of the type.
pub fn literal(ty: &Type, value: &InputValue, form: LiteralForm) -> Result<Literal, String> {
    let misfit = || {
        ty.misfit(value)
            .unwrap_or_else(|| format!("{value} is not of the type `{ty}`"))
    };
    let primitive = |value| {
        Ok(of_scalar(scalar::Value::Primitive(core::Primitive {
            value: Some(value),
        })))
    };
    match (ty, value) {
        (Type::Integer, InputValue::Integer(number)) => primitive(PrimitiveValue::Integer(*number)),
        (Type::Float, InputValue::Float(number)) => primitive(PrimitiveValue::FloatValue(*number)),
        (Type::Float, InputValue::Integer(number)) => {
            primitive(PrimitiveValue::FloatValue(*number as f64))
        }
        (Type::String, InputValue::Text(text)) => {
            primitive(PrimitiveValue::StringValue(text.clone()))
        }
        (Type::Boolean, InputValue::Bool(value)) => primitive(PrimitiveValue::Boolean(*value)),
        (Type::Datetime, InputValue::Text(text)) => {
            let (seconds, nanoseconds) = time::parse_datetime(text).ok_or_else(misfit)?;
            let nanos = i32::try_from(nanoseconds).expect("there are less nanoseconds in a second");
            primitive(PrimitiveValue::Datetime(Timestamp { seconds, nanos }))
        }
        (Type::Duration, InputValue::Text(text)) => primitive(PrimitiveValue::Duration(span(
            time::parse_duration(text).ok_or_else(misfit)?,
        ))),
        (Type::Enum(words), InputValue::Text(text)) if words.contains(text) => {
            primitive(PrimitiveValue::StringValue(text.clone()))
        }
        (Type::Struct, InputValue::Map(fields)) if form == LiteralForm::Json => {
            Ok(of_scalar(scalar::Value::Generic(value::structure(fields)?)))
        }
        (Type::Struct, InputValue::Map(_)) => {
            let binary = core::Binary {
                value: msgpack::encode(value),
                tag: "msgpack".to_owned(),
            };
            Ok(of_scalar(scalar::Value::Binary(binary)))
        }
        (Type::File, InputValue::Text(uri)) => Ok(blob(uri, core::BlobType::default())),
        (Type::Directory, InputValue::Text(uri)) => Ok(blob(uri, types::directory())),
        (Type::List(inner), InputValue::List(values)) => {
            let literals = values
                .iter()
                .map(|value| literal(inner, value, form))
                .collect::<Result<_, _>>()?;
            Ok(of(literal::Value::Collection(core::LiteralCollection {
                literals,
            })))
        }
        (Type::Map(inner), InputValue::Map(values)) => {
            let literals = values
                .iter()
                .map(|(name, value)| Ok((name.clone(), literal(inner, value, form)?)))
                .collect::<Result<_, String>>()?;
            Ok(of(literal::Value::Map(core::LiteralMap { literals })))
        }
        (Type::Optional(_), InputValue::Nothing) => Ok(nothing()),
        (Type::Optional(inner), _) => {
            Ok(union(literal(inner, value, form)?, types::variant(inner)))
        }
        _ => Err(misfit()),
    }
}

/// The literal of an optional without a value.
pub(super) fn nothing() -> Literal {
    union(
        of_scalar(scalar::Value::NoneType(core::Void {})),
        types::nothing(),
    )
}

fn union(value: Literal, ty: core::LiteralType) -> Literal {
    of_scalar(scalar::Value::Union(Box::new(core::Union {
        value: Some(Box::new(value)),
        r#type: Some(ty),
    })))
}

fn blob(uri: &str, ty: core::BlobType) -> Literal {
    of_scalar(scalar::Value::Blob(core::Blob {
        metadata: Some(core::BlobMetadata { r#type: Some(ty) }),
        uri: uri.to_owned(),
    }))
}

/// A duration as a protobuf message.
pub(super) fn span(span: std::time::Duration) -> crate::flyte::idl::Duration {
    let seconds = i64::try_from(span.as_secs())
        .expect("the manifest has no span that is longer than the protocol's");
    crate::flyte::idl::Duration {
        seconds,
        nanos: i32::try_from(span.subsec_nanos()).expect("there are less nanoseconds in a second"),
    }
}

fn of_scalar(value: scalar::Value) -> Literal {
    of(literal::Value::Scalar(Box::new(Scalar {
        value: Some(value),
    })))
}

fn of(value: literal::Value) -> Literal {
    Literal { value: Some(value) }
}
