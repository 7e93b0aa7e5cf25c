//! MessagePack encoding and decoding of structs; values have their shortest form, as in the Python SDK.

use serde_json::{Map, Value, json};
use union_build::spec::value::InputValue;

/// Encodes a value.
pub(in crate::flyte) fn encode(value: &InputValue) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(value, &mut bytes);
    bytes
}

fn write(value: &InputValue, to: &mut Vec<u8>) {
    match value {
        InputValue::Nothing => to.push(0xc0),
        InputValue::Bool(value) => to.push(0xc2 + u8::from(*value)),
        InputValue::Integer(number) => integer(*number, to),
        InputValue::Float(number) => {
            to.push(0xcb);
            to.extend(number.to_be_bytes());
        }
        InputValue::Text(text) => string(text, to),
        InputValue::List(values) => {
            length(values.len(), (0x90, 0xdc, 0xdd), to);
            values.iter().for_each(|value| write(value, to));
        }
        InputValue::Map(values) => {
            length(values.len(), (0x80, 0xde, 0xdf), to);
            for (name, value) in values {
                string(name, to);
                write(value, to);
            }
        }
    }
}

fn integer(number: i64, to: &mut Vec<u8>) {
    match number {
        -32..=127 => to.extend(
            i8::try_from(number)
                .expect("it is that small")
                .to_be_bytes(),
        ),
        128..=0xff => to.extend([0xcc, number.to_be_bytes()[7]]),
        0x100..=0xffff => sized(0xcd, &number.to_be_bytes()[6..], to),
        0x1_0000..=0xffff_ffff => sized(0xce, &number.to_be_bytes()[4..], to),
        0x1_0000_0000.. => sized(0xcf, &number.to_be_bytes(), to),
        -0x80..=-33 => to.extend([0xd0, number.to_be_bytes()[7]]),
        -0x8000..=-0x81 => sized(0xd1, &number.to_be_bytes()[6..], to),
        -0x8000_0000..=-0x8001 => sized(0xd2, &number.to_be_bytes()[4..], to),
        _ => sized(0xd3, &number.to_be_bytes(), to),
    }
}

fn string(text: &str, to: &mut Vec<u8>) {
    match text.len() {
        count @ 0..=31 => to.push(0xa0 | u8::try_from(count).expect("it is that small")),
        count @ 32..=0xff => to.extend([0xd9, u8::try_from(count).expect("it is that small")]),
        count => length(count, (0, 0xda, 0xdb), to),
    }
    to.extend(text.as_bytes());
}

/// Writes the number of elements: in the tag itself, in two bytes or in four bytes.
fn length(count: usize, (short, two, four): (u8, u8, u8), to: &mut Vec<u8>) {
    match (u8::try_from(count), u16::try_from(count)) {
        (Ok(count), _) if count < 16 && short != 0 => to.push(short | count),
        (_, Ok(count)) => sized(two, &count.to_be_bytes(), to),
        _ => sized(
            four,
            &u32::try_from(count)
                .expect("no manifest has so much")
                .to_be_bytes(),
            to,
        ),
    }
}

fn sized(tag: u8, bytes: &[u8], to: &mut Vec<u8>) {
    to.push(tag);
    to.extend(bytes);
}

/// Decodes a value as JSON; `None` when the bytes are malformed or JSON cannot represent the value.
pub(super) fn decode(mut bytes: &[u8]) -> Option<Value> {
    let value = read(&mut bytes, 0)?;
    bytes.is_empty().then_some(value)
}

fn read(bytes: &mut &[u8], depth: u8) -> Option<Value> {
    const DEEPEST: u8 = 100;
    if depth > DEEPEST {
        return None;
    }
    Some(match *bytes.split_off_first()? {
        tag @ 0x00..=0x7f => json!(tag),
        tag @ 0x80..=0x8f => map(bytes, usize::from(tag & 0x0f), depth)?,
        tag @ 0x90..=0x9f => list(bytes, usize::from(tag & 0x0f), depth)?,
        tag @ 0xa0..=0xbf => text(bytes, usize::from(tag & 0x1f))?,
        0xc0 => Value::Null,
        0xc2 => json!(false),
        0xc3 => json!(true),
        0xca => float(f64::from(f32::from_be_bytes(array(bytes)?))),
        0xcb => float(f64::from_be_bytes(array(bytes)?)),
        tag @ 0xcc..=0xcf => json!(unsigned(bytes, 1 << (tag - 0xcc))?),
        0xd0 => json!(i8::from_be_bytes(array(bytes)?)),
        0xd1 => json!(i16::from_be_bytes(array(bytes)?)),
        0xd2 => json!(i32::from_be_bytes(array(bytes)?)),
        0xd3 => json!(i64::from_be_bytes(array(bytes)?)),
        tag @ 0xd9..=0xdb => {
            let length = unsigned(bytes, 1 << (tag - 0xd9))?;
            text(bytes, usize::try_from(length).ok()?)?
        }
        tag @ 0xdc..=0xdd => {
            let length = unsigned(bytes, 2 << (tag - 0xdc))?;
            list(bytes, usize::try_from(length).ok()?, depth)?
        }
        tag @ 0xde..=0xdf => {
            let length = unsigned(bytes, 2 << (tag - 0xde))?;
            map(bytes, usize::try_from(length).ok()?, depth)?
        }
        tag @ 0xe0..=0xff => json!(tag.cast_signed()),
        _ => return None,
    })
}

fn list(bytes: &mut &[u8], count: usize, depth: u8) -> Option<Value> {
    (0..count)
        .map(|_| read(bytes, depth + 1))
        .collect::<Option<Vec<_>>>()
        .map(Value::Array)
}

fn map(bytes: &mut &[u8], count: usize, depth: u8) -> Option<Value> {
    let entry = |_| match read(bytes, depth + 1)? {
        Value::String(name) => Some((name, read(bytes, depth + 1)?)),
        _ => None,
    };
    (0..count)
        .map(entry)
        .collect::<Option<Map<_, _>>>()
        .map(Value::Object)
}

fn text(bytes: &mut &[u8], length: usize) -> Option<Value> {
    let text = std::str::from_utf8(bytes.split_off(..length)?).ok()?;
    Some(json!(text))
}

/// A big-endian unsigned integer of `count` bytes.
fn unsigned(bytes: &mut &[u8], count: usize) -> Option<u64> {
    let bytes = bytes.split_off(..count)?;
    Some(
        bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)),
    )
}

fn array<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    bytes.split_off(..N)?.try_into().ok()
}

/// The upper bound up to which floating point represents every integer exactly.
pub(super) const EXACT: i64 = 1 << 53;

/// A number as in a local run: `1` instead of `1.0`, and strings for NaN and infinity.
pub(super) fn float(number: f64) -> Value {
    match number {
        _ if number.is_nan() => json!("NaN"),
        f64::INFINITY => json!("Infinity"),
        f64::NEG_INFINITY => json!("-Infinity"),
        _ if number.fract() == 0.0 && number.abs() <= EXACT as f64 => json!(number as i64),
        _ => json!(number),
    }
}

#[cfg(test)]
mod tests;
