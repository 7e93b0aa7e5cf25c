//! Literals as JSON, and JSON-like values as protobuf structs.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};
use union_build::spec::time;
use union_build::spec::value::InputValue;

use super::msgpack;
use crate::flyte::idl::core::primitive::Value as PrimitiveValue;
use crate::flyte::idl::core::{Literal, Primitive, Scalar, literal, scalar};
use crate::flyte::idl::{self, Struct, value::Kind};

/// A `google.protobuf.Struct`, whose numbers are all 64-bit floating point.
///
/// # Errors
/// Names an integer that floating point cannot represent exactly.
pub(super) fn structure(fields: &BTreeMap<String, InputValue>) -> Result<Struct, String> {
    Ok(Struct {
        fields: fields
            .iter()
            .map(|(name, value)| Ok((name.clone(), to_value(value)?)))
            .collect::<Result<_, String>>()?,
    })
}

fn to_value(value: &InputValue) -> Result<idl::Value, String> {
    let kind = match value {
        InputValue::Nothing => Kind::NullValue(0),
        InputValue::Text(text) => Kind::StringValue(text.clone()),
        InputValue::Bool(value) => Kind::BoolValue(*value),
        InputValue::Integer(number) if number.unsigned_abs() > msgpack::EXACT.unsigned_abs() => {
            return Err(format!(
                "`{number}` is too large for a number in a struct; write it as text"
            ));
        }
        InputValue::Integer(number) => Kind::NumberValue(*number as f64),
        InputValue::Float(number) => Kind::NumberValue(*number),
        InputValue::List(values) => Kind::ListValue(idl::ListValue {
            values: values.iter().map(to_value).collect::<Result<_, _>>()?,
        }),
        InputValue::Map(fields) => Kind::StructValue(structure(fields)?),
    };
    Ok(idl::Value { kind: Some(kind) })
}

/// A literal as JSON. Files, directories and offloaded values are represented by their addresses.
pub fn json(literal: &Literal) -> Value {
    match &literal.value {
        Some(literal::Value::Scalar(value)) => of_scalar(value),
        Some(literal::Value::Collection(list)) => list.literals.iter().map(json).collect(),
        Some(literal::Value::Map(map)) => Value::Object(
            map.literals
                .iter()
                .map(|(name, value)| (name.clone(), json(value)))
                .collect(),
        ),
        Some(literal::Value::OffloadedMetadata(elsewhere)) => json!(elsewhere.uri),
        None => Value::Null,
    }
}

fn of_scalar(scalar: &Scalar) -> Value {
    match &scalar.value {
        Some(scalar::Value::Primitive(primitive)) => of_primitive(primitive),
        Some(scalar::Value::Blob(blob)) => json!(blob.uri),
        Some(scalar::Value::Binary(binary)) => {
            msgpack::decode(&binary.value).unwrap_or_else(|| json!(base64(&binary.value)))
        }
        Some(scalar::Value::Generic(fields)) => of_struct(fields),
        Some(scalar::Value::Union(union)) => union.value.as_deref().map_or(Value::Null, json),
        Some(scalar::Value::NoneType(_)) | None => Value::Null,
    }
}

fn of_primitive(primitive: &Primitive) -> Value {
    match &primitive.value {
        Some(PrimitiveValue::Integer(number)) => json!(number),
        Some(PrimitiveValue::FloatValue(number)) => msgpack::float(*number),
        Some(PrimitiveValue::StringValue(text)) => json!(text),
        Some(PrimitiveValue::Boolean(value)) => json!(value),
        Some(PrimitiveValue::Datetime(time)) => json!(time::datetime(
            time.seconds,
            u32::try_from(time.nanos).unwrap_or_default()
        )),
        Some(PrimitiveValue::Duration(span)) => json!(of_span(*span)),
        None => Value::Null,
    }
}

fn of_span(span: idl::Duration) -> String {
    let sign = if span.seconds < 0 || span.nanos < 0 {
        "-"
    } else {
        ""
    };
    format!(
        "{sign}{}",
        time::duration(Duration::new(
            span.seconds.unsigned_abs(),
            span.nanos.unsigned_abs()
        ))
    )
}

fn of_struct(fields: &Struct) -> Value {
    let field = |(name, value): (&String, &idl::Value)| (name.clone(), of_any(value));
    Value::Object(fields.fields.iter().map(field).collect::<Map<_, _>>())
}

fn of_any(value: &idl::Value) -> Value {
    match &value.kind {
        Some(Kind::NullValue(_)) | None => Value::Null,
        Some(Kind::NumberValue(number)) => msgpack::float(*number),
        Some(Kind::StringValue(text)) => json!(text),
        Some(Kind::BoolValue(value)) => json!(value),
        Some(Kind::StructValue(fields)) => of_struct(fields),
        Some(Kind::ListValue(list)) => list.values.iter().map(of_any).collect(),
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use union_build::spec::types::Type;

    use super::*;
    use crate::flyte::convert::{LiteralForm, literal};

    /// Converts a value to a literal and back to JSON.
    fn shown(ty: &str, value: &InputValue, form: LiteralForm) -> String {
        json(&literal(&Type::parse(ty).unwrap(), value, form).unwrap()).to_string()
    }

    fn fields() -> InputValue {
        let list = InputValue::List(vec![
            InputValue::Nothing,
            InputValue::Bool(true),
            InputValue::Float(0.5),
            InputValue::Integer(-70_000),
        ]);
        let inner = InputValue::Map([("é".to_owned(), InputValue::Text("x".repeat(40)))].into());
        InputValue::Map(
            [
                ("a".to_owned(), list),
                ("b".to_owned(), inner),
                ("c".to_owned(), InputValue::Integer(200)),
            ]
            .into(),
        )
    }

    #[test]
    fn literal_is_shown_as_in_a_local_run() {
        let text = |text: &str| InputValue::Text(text.to_owned());
        for (ty, given, expected) in [
            ("integer", InputValue::Integer(-7), "-7"),
            ("float", InputValue::Float(1000.0), "1000"),
            ("float", InputValue::Float(0.25), "0.25"),
            ("boolean", InputValue::Bool(true), "true"),
            ("string", text("a\nb"), r#""a\nb""#),
            (
                "datetime",
                text("2030-01-31T12:00:00.5+02:00"),
                r#""2030-01-31T10:00:00.5Z""#,
            ),
            ("duration", text("90m"), r#""1h30m0s""#),
            ("file", text("s3://a/b"), r#""s3://a/b""#),
            (
                "list[integer]",
                InputValue::List(vec![InputValue::Integer(1)]),
                "[1]",
            ),
            (
                "map[boolean]",
                InputValue::Map([("k".to_owned(), InputValue::Bool(false))].into()),
                r#"{"k":false}"#,
            ),
            ("optional[integer]", InputValue::Nothing, "null"),
            ("optional[integer]", InputValue::Integer(1), "1"),
        ] {
            assert_eq!(shown(ty, &given, LiteralForm::Json), expected, "{ty}");
        }
    }

    #[test]
    fn struct_round_trips_in_both_forms() {
        let expected = format!(
            r#"{{"a":[null,true,0.5,-70000],"b":{{"é":"{}"}},"c":200}}"#,
            "x".repeat(40)
        );
        for form in [LiteralForm::Json, LiteralForm::MessagePack] {
            assert_eq!(shown("struct", &fields(), form), expected, "{form:?}");
        }
    }

    #[test]
    fn integer_beyond_floating_point_is_refused_in_a_struct() {
        for number in [i64::MIN, i64::MAX] {
            let odd = InputValue::Map([("n".to_owned(), InputValue::Integer(number))].into());
            assert!(
                literal(&Type::Struct, &odd, LiteralForm::Json)
                    .unwrap_err()
                    .contains("too large")
            );
        }
        let large =
            InputValue::Map([("n".to_owned(), InputValue::Integer(msgpack::EXACT + 1))].into());
        assert!(
            literal(&Type::Struct, &large, LiteralForm::Json)
                .unwrap_err()
                .contains("9007199254740993")
        );
        assert_eq!(
            shown("struct", &large, LiteralForm::MessagePack),
            r#"{"n":9007199254740993}"#
        );
    }

    #[test]
    fn nan_infinity_and_negative_durations_are_strings() {
        assert_eq!(
            [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(msgpack::float),
            [json!("NaN"), json!("Infinity"), json!("-Infinity")]
        );
        let span = idl::Duration {
            seconds: -90,
            nanos: 0,
        };
        assert_eq!(of_span(span), "-1m30s");
    }
}
