//! MessagePack as JSON: the structs that programs give.

use serde_json::{Map, Number, Value, json};

/// How deep values may lie in one another.
const DEEPEST: usize = 100;

/// The one value that these bytes hold.
///
/// # Errors
/// Why they hold none, as a sentence goes on that begins with its name.
pub(super) fn unpack(bytes: &[u8]) -> Result<Value, String> {
    let mut rest = bytes;
    let value = next(&mut rest, DEEPEST)?;
    if rest.is_empty() { Ok(value) } else { Err("is no MessagePack: it goes on after its end".to_owned()) }
}

fn next(rest: &mut &[u8], deepest: usize) -> Result<Value, String> {
    let deeper = deepest.checked_sub(1).ok_or_else(|| format!("has more than {DEEPEST} values in one another"))?;
    let tag = take(rest, 1)?[0];
    Ok(match tag {
        0x00..=0x7f => json!(tag),
        0xe0..=0xff => json!(i16::from(tag) - 0x100),
        0x80..=0x8f => map(rest, u64::from(tag & 0x0f), deeper)?,
        0xde | 0xdf => length(rest, tag - 0xdd).and_then(|count| map(rest, count, deeper))?,
        0x90..=0x9f => list(rest, u64::from(tag & 0x0f), deeper)?,
        0xdc | 0xdd => length(rest, tag - 0xdb).and_then(|count| list(rest, count, deeper))?,
        0xa0..=0xbf => text(rest, u64::from(tag & 0x1f))?,
        0xd9..=0xdb => length(rest, tag - 0xd9).and_then(|count| text(rest, count))?,
        0xc0 => Value::Null,
        0xc2 | 0xc3 => json!(tag == 0xc3),
        0xca => float(f64::from(f32::from_be_bytes(array(rest)?))),
        0xcb => float(f64::from_be_bytes(array(rest)?)),
        0xcc => json!(u8::from_be_bytes(array(rest)?)),
        0xcd => json!(u16::from_be_bytes(array(rest)?)),
        0xce => json!(u32::from_be_bytes(array(rest)?)),
        0xcf => json!(u64::from_be_bytes(array(rest)?)),
        0xd0 => json!(i8::from_be_bytes(array(rest)?)),
        0xd1 => json!(i16::from_be_bytes(array(rest)?)),
        0xd2 => json!(i32::from_be_bytes(array(rest)?)),
        0xd3 => json!(i64::from_be_bytes(array(rest)?)),
        other => return Err(format!("has a MessagePack value of the kind {other:#x}, which JSON does not have")),
    })
}

/// A number of 1, 2 or 4 bytes: 2 to the power of `size`.
fn length(rest: &mut &[u8], size: u8) -> Result<u64, String> {
    Ok(take(rest, 1 << size)?.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)))
}

fn list(rest: &mut &[u8], count: u64, deepest: usize) -> Result<Value, String> {
    (0..count).map(|_| next(rest, deepest)).collect()
}

fn map(rest: &mut &[u8], count: u64, deepest: usize) -> Result<Value, String> {
    let mut entries = Map::new();
    for _ in 0..count {
        let name = match next(rest, deepest)? {
            Value::String(name) => name,
            other => other.to_string(),
        };
        entries.insert(name, next(rest, deepest)?);
    }
    Ok(Value::Object(entries))
}

fn text(rest: &mut &[u8], count: u64) -> Result<Value, String> {
    Ok(json!(String::from_utf8_lossy(take(rest, count)?)))
}

/// As a local run shows it: `1`, not `1.0`. JSON has no word for those that are not finite.
pub(super) fn float(number: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        return json!(number as i64);
    }
    Number::from_f64(number).map_or_else(|| json!(number.to_string()), Value::Number)
}

fn array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], String> {
    Ok(take(rest, N as u64)?.try_into().expect("as many were taken"))
}

fn take<'a>(rest: &mut &'a [u8], count: u64) -> Result<&'a [u8], String> {
    let taken = usize::try_from(count).ok().and_then(|count| rest.split_at_checked(count));
    let (taken, after) = taken.ok_or("is no MessagePack: it ends too early")?;
    *rest = after;
    Ok(taken)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use union_build::spec::given::Given;

    use super::super::msgpack::encode;
    use super::*;

    fn any_given() -> impl Strategy<Value = Given> {
        let plain = prop_oneof![
            Just(Given::Nothing),
            any::<bool>().prop_map(Given::Bool),
            any::<i64>().prop_map(Given::Integer),
            (-1e9..1e9).prop_map(Given::Float),
            ".{0,40}".prop_map(Given::Text),
        ];
        plain.prop_recursive(3, 40, 20, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..20).prop_map(Given::List),
                prop::collection::btree_map(".{0,4}", inner, 0..20).prop_map(Given::Map),
            ]
        })
    }

    fn as_json(given: &Given) -> Value {
        match given {
            Given::Nothing => Value::Null,
            Given::Bool(value) => json!(value),
            Given::Integer(number) => json!(number),
            Given::Float(number) => float(*number),
            Given::Text(text) => json!(text),
            Given::List(values) => values.iter().map(as_json).collect(),
            Given::Map(values) => Value::Object(values.iter().map(|(name, value)| (name.clone(), as_json(value))).collect()),
        }
    }

    proptest! {
        #[test]
        fn what_was_packed_is_unpacked(given in any_given()) {
            prop_assert_eq!(unpack(&encode(&given)).unwrap(), as_json(&given));
        }

        #[test]
        fn other_bytes_are_refused_and_nothing_more(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = unpack(&bytes);
        }
    }

    #[test]
    fn long_texts_and_rare_numbers() {
        for (bytes, value) in [
            (&[0xd9, 1, b'a'][..], json!("a")),
            (&[0xda, 0, 1, b'a'], json!("a")),
            (&[0xdb, 0, 0, 0, 1, b'a'], json!("a")),
            (&[0xdc, 0, 1, 0xc0], json!([null])),
            (&[0xdd, 0, 0, 0, 1, 0xc0], json!([null])),
            (&[0xde, 0, 1, 0x01, 0xc2], json!({ "1": false })),
            (&[0xdf, 0, 0, 0, 1, 0xa0, 0xc3], json!({ "": true })),
            (&[0xca, 0x3f, 0xc0, 0, 0], json!(1.5)),
            (&[0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0], json!("NaN")),
        ] {
            assert_eq!(unpack(bytes).unwrap(), value, "{bytes:?}");
        }
        for (bytes, why) in [
            (&[][..], "is no MessagePack: it ends too early"),
            (&[0xdb, 0xff, 0xff, 0xff, 0xff], "is no MessagePack: it ends too early"),
            (&[0xc0, 0xc0], "is no MessagePack: it goes on after its end"),
            (&[0xc1], "has a MessagePack value of the kind 0xc1, which JSON does not have"),
            (&[0x91; 200], "has more than 100 values in one another"),
        ] {
            assert_eq!(unpack(bytes).unwrap_err(), why);
        }
    }
}
