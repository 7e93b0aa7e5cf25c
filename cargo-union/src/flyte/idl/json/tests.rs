use super::super::{core, task};
use super::*;

#[test]
fn json_supports_all_field_types_of_the_messages() {
    const KNOWN: [Type; 8] = [
        Type::Message,
        Type::String,
        Type::Bytes,
        Type::Double,
        Type::Bool,
        Type::Int64,
        Type::Enum,
        Type::Uint32,
    ];
    for (name, message) in Descriptors::of_proto_files()
        .messages
        .iter()
        .filter(|(name, _)| name.starts_with(".flyteidl2."))
    {
        for field in &message.field {
            assert!(KNOWN.contains(&field.r#type()), "{name}.{}", field.name());
            let packed_double = field.r#type() == Type::Double && field.label() == Label::Repeated;
            assert!(
                !packed_double,
                "{name}.{}: only varints are unpacked",
                field.name()
            );
        }
    }
}

#[test]
fn json_follows_the_protobuf_mapping() {
    let primitive = |value| core::Literal {
        value: Some(core::literal::Value::Scalar(Box::new(core::Scalar {
            value: Some(core::scalar::Value::Primitive(core::Primitive {
                value: Some(value),
            })),
        }))),
    };
    use core::primitive::Value as Is;
    for (literal, expected) in [
        (primitive(Is::Integer(-3)), json!({ "integer": "-3" })),
        (primitive(Is::FloatValue(2.5)), json!({ "floatValue": 2.5 })),
        (
            primitive(Is::FloatValue(f64::NAN)),
            json!({ "floatValue": "NaN" }),
        ),
        (
            primitive(Is::StringValue(String::new())),
            json!({ "stringValue": "" }),
        ),
        (primitive(Is::Boolean(false)), json!({ "boolean": false })),
        (
            primitive(Is::Duration(prost_types::Duration {
                seconds: 1,
                nanos: 500_000_000,
            })),
            json!({ "duration": "1.500s" }),
        ),
        (
            primitive(Is::Datetime(prost_types::Timestamp {
                seconds: 0,
                nanos: 0,
            })),
            json!({ "datetime": "1970-01-01T00:00:00Z" }),
        ),
    ] {
        assert_eq!(
            to_json(&literal),
            json!({ "scalar": { "primitive": expected } })
        );
    }
}

#[test]
fn json_has_enum_names_and_omits_absent_fields() {
    let metadata = core::TaskMetadata {
        runtime: Some(core::RuntimeMetadata {
            r#type: 1,
            ..Default::default()
        }),
        generates_deck: Some(false),
        interruptible_value: Some(core::task_metadata::InterruptibleValue::Interruptible(
            false,
        )),
        cache_ignore_input_vars: vec!["b".to_owned(), "a".to_owned()],
        ..Default::default()
    };
    let expected = json!({
        "runtime": { "type": "FLYTE_SDK" }, "generatesDeck": false, "interruptible": false, "cacheIgnoreInputVars": ["b", "a"]
    });
    assert_eq!(to_json(&metadata), expected);
    assert_eq!(to_json(&task::DeployTaskResponse {}), json!({}));
}

#[test]
fn json_has_maps_and_base64_bytes() {
    let binary = core::Scalar {
        value: Some(core::scalar::Value::Binary(core::Binary {
            value: vec![0xfb, 0xff],
            tag: String::new(),
        })),
    };
    let literal = core::Literal {
        value: Some(core::literal::Value::Scalar(Box::new(binary))),
    };
    let map = core::LiteralMap {
        literals: [
            ("a".to_owned(), literal),
            ("b".to_owned(), core::Literal::default()),
        ]
        .into(),
    };
    let expected =
        json!({ "literals": { "a": { "scalar": { "binary": { "value": "+/8=" } } }, "b": {} } });
    assert_eq!(to_json(&map), expected);
}
