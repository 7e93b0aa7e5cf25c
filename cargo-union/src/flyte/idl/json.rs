//! The JSON encoding of protobuf messages.
//!
//! It converts a message's own encoding by the descriptors of `proto/`, which needs neither generated code for each
//! message nor a reflection library. Parsing JSON is not needed.

use std::collections::HashMap;

use base64::Engine as _;
use prost::{Message, Name};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet, Struct,
    Value as Wkt, value::Kind,
};
use serde_json::{Map, Value, json};

/// A message as JSON. Fields with their default value are omitted, as in the wire encoding.
pub fn to_json<M: Message + Name>(message: &M) -> Value {
    Descriptors::of_proto_files().message(&format!(".{}", M::full_name()), &message.encode_to_vec())
}

/// The messages and enums of `proto/` by their full names, with a leading dot.
struct Descriptors {
    messages: HashMap<String, DescriptorProto>,
    enums: HashMap<String, EnumDescriptorProto>,
}

impl Descriptors {
    fn of_proto_files() -> Self {
        let bytes: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
        let set = FileDescriptorSet::decode(bytes).expect("the build script wrote it");
        let mut descriptors = Self {
            messages: HashMap::new(),
            enums: HashMap::new(),
        };
        for file in set.file {
            let scope = format!(".{}", file.package());
            descriptors.enums.extend(
                file.enum_type
                    .into_iter()
                    .map(|declared| (format!("{scope}.{}", declared.name()), declared)),
            );
            file.message_type
                .into_iter()
                .for_each(|message| descriptors.add(&scope, message));
        }
        descriptors
    }

    fn add(&mut self, scope: &str, mut message: DescriptorProto) {
        let name = format!("{scope}.{}", message.name());
        let inner = std::mem::take(&mut message.enum_type);
        self.enums.extend(
            inner
                .into_iter()
                .map(|declared| (format!("{name}.{}", declared.name()), declared)),
        );
        std::mem::take(&mut message.nested_type)
            .into_iter()
            .for_each(|inner| self.add(&name, inner));
        self.messages.insert(name, message);
    }

    fn message(&self, name: &str, bytes: &[u8]) -> Value {
        if let Some(value) = well_known(name, bytes) {
            return value;
        }
        let descriptor = &self.messages[name];
        let mut object = Map::new();
        for (number, wire) in fields(bytes) {
            // The encoded message contains only fields of its descriptor.
            let Some(field) = descriptor
                .field
                .iter()
                .find(|field| field.number() == number)
            else {
                continue;
            };
            let key = field.json_name().to_owned();
            if self.is_map(field) {
                let entries = object.entry(key).or_insert_with(|| json!({}));
                let entry = self.message(field.type_name(), wire.bytes());
                let name = entry["key"].as_str().unwrap_or_default().to_owned();
                entries[name] = entry
                    .get("value")
                    .cloned()
                    .unwrap_or_else(|| self.map_default(field));
            } else if field.label() == Label::Repeated {
                let list = object.entry(key).or_insert_with(|| json!([]));
                list.as_array_mut()
                    .expect("a repeated field is a list")
                    .extend(self.values(field, wire));
            } else {
                object.extend(self.values(field, wire).pop().map(|value| (key, value)));
            }
        }
        Value::Object(object)
    }

    fn is_map(&self, field: &FieldDescriptorProto) -> bool {
        let entry = self.messages.get(field.type_name());
        entry
            .and_then(|entry| entry.options.as_ref())
            .is_some_and(|options| options.map_entry())
    }

    /// The JSON of a map entry's default value.
    fn map_default(&self, field: &FieldDescriptorProto) -> Value {
        let value = self.messages[field.type_name()]
            .field
            .iter()
            .find(|field| field.number() == 2);
        match value.map(FieldDescriptorProto::r#type) {
            Some(Type::Message) => json!({}),
            _ => json!(""),
        }
    }

    /// The values of a field; several when numbers are packed.
    fn values(&self, field: &FieldDescriptorProto, wire: WireValue<'_>) -> Vec<Value> {
        match (field.r#type(), wire) {
            (Type::Message, WireValue::Bytes(bytes)) => {
                vec![self.message(field.type_name(), bytes)]
            }
            (Type::String, WireValue::Bytes(bytes)) => vec![json!(String::from_utf8_lossy(bytes))],
            (Type::Bytes, WireValue::Bytes(bytes)) => vec![json!(
                base64::engine::general_purpose::STANDARD.encode(bytes)
            )],
            (_, WireValue::Bytes(mut packed)) => {
                let mut values = Vec::new();
                while let Some(number) = varint(&mut packed) {
                    values.extend(self.values(field, WireValue::Number(number)));
                }
                values
            }
            (Type::Double, WireValue::Number(bits)) => vec![double(f64::from_bits(bits))],
            (Type::Bool, WireValue::Number(number)) => vec![json!(number != 0)],
            // Strings by protobuf's JSON mapping: JSON readers lose digits of 64-bit integers.
            (Type::Int64, WireValue::Number(number)) => {
                vec![json!(number.cast_signed().to_string())]
            }
            (Type::Enum, WireValue::Number(number)) => {
                vec![self.enum_name(field.type_name(), number)]
            }
            (_, WireValue::Number(number)) => vec![json!(number)],
        }
    }

    fn enum_name(&self, name: &str, number: u64) -> Value {
        let values = &self.enums[name].value;
        let word = values
            .iter()
            .find(|value| u64::try_from(value.number()) == Ok(number));
        word.map_or_else(|| json!(number), |word| json!(word.name()))
    }
}

/// An encoded field.
#[derive(Clone, Copy)]
enum WireValue<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> WireValue<'a> {
    fn bytes(self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Number(_) => &[],
        }
    }
}

/// The fields of a message that was encoded by this crate, and so is well-formed.
fn fields(mut bytes: &[u8]) -> Vec<(i32, WireValue<'_>)> {
    let mut fields = Vec::new();
    while let Some(key) = varint(&mut bytes) {
        let wire = match key & 7 {
            0 => varint(&mut bytes).map(WireValue::Number),
            1 => bytes.split_off(..8).map(|bits| {
                WireValue::Number(u64::from_le_bytes(bits.try_into().expect("8 bytes")))
            }),
            _ => varint(&mut bytes)
                .and_then(|length| bytes.split_off(..usize::try_from(length).ok()?))
                .map(WireValue::Bytes),
        };
        fields.extend(i32::try_from(key >> 3).ok().zip(wire));
    }
    fields
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = bytes.split_off_first()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Well-known types with a JSON form of their own; `None` for other types.
fn well_known(name: &str, bytes: &[u8]) -> Option<Value> {
    const VALID: &str = "the message was encoded here";
    Some(match name {
        ".google.protobuf.Duration" => json!(
            prost_types::Duration::decode(bytes)
                .expect(VALID)
                .to_string()
        ),
        ".google.protobuf.Timestamp" => json!(
            prost_types::Timestamp::decode(bytes)
                .expect(VALID)
                .to_string()
        ),
        ".google.protobuf.BoolValue" => json!(bool::decode(bytes).expect(VALID)),
        ".google.protobuf.Struct" => structure(Struct::decode(bytes).expect(VALID)),
        _ => return None,
    })
}

fn structure(fields: Struct) -> Value {
    Value::Object(
        fields
            .fields
            .into_iter()
            .map(|(name, value)| (name, any(value)))
            .collect(),
    )
}

fn any(value: Wkt) -> Value {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::NumberValue(number)) => double(number),
        Some(Kind::StringValue(text)) => json!(text),
        Some(Kind::BoolValue(value)) => json!(value),
        Some(Kind::StructValue(inner)) => structure(inner),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(any).collect(),
    }
}

/// Strings for values that JSON numbers cannot represent.
fn double(number: f64) -> Value {
    match number {
        _ if number.is_nan() => json!("NaN"),
        f64::INFINITY => json!("Infinity"),
        f64::NEG_INFINITY => json!("-Infinity"),
        number => json!(number),
    }
}

#[cfg(test)]
mod tests;
