//! Tables as MessagePack, each value in its shortest form, as the Python SDK writes them.

use union_build::spec::given::Given;

/// The bytes of a value.
pub(in crate::flyte) fn encode(given: &Given) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(given, &mut bytes);
    bytes
}

fn write(given: &Given, to: &mut Vec<u8>) {
    match given {
        Given::Nothing => to.push(0xc0),
        Given::Bool(value) => to.push(0xc2 + u8::from(*value)),
        Given::Integer(number) => integer(*number, to),
        Given::Float(number) => {
            to.push(0xcb);
            to.extend(number.to_be_bytes());
        }
        Given::Text(text) => string(text, to),
        Given::List(values) => {
            length(values.len(), (0x90, 0xdc, 0xdd), to);
            values.iter().for_each(|value| write(value, to));
        }
        Given::Map(values) => {
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
        -32..=127 => to.extend(i8::try_from(number).expect("it is that small").to_be_bytes()),
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

/// A number of elements: in the tag itself, in two bytes, in four.
fn length(count: usize, (short, two, four): (u8, u8, u8), to: &mut Vec<u8>) {
    match (u8::try_from(count), u16::try_from(count)) {
        (Ok(count), _) if count < 16 && short != 0 => to.push(short | count),
        (_, Ok(count)) => sized(two, &count.to_be_bytes(), to),
        _ => sized(four, &u32::try_from(count).expect("no manifest has so much").to_be_bytes(), to),
    }
}

fn sized(tag: u8, bytes: &[u8], to: &mut Vec<u8>) {
    to.push(tag);
    to.extend(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_its_shortest_form() {
        for (number, bytes) in [
            (0_i64, &[0x00][..]),
            (127, &[0x7f]),
            (128, &[0xcc, 0x80]),
            (256, &[0xcd, 0x01, 0x00]),
            (65_536, &[0xce, 0x00, 0x01, 0x00, 0x00]),
            (4_294_967_296, &[0xcf, 0, 0, 0, 1, 0, 0, 0, 0]),
            (-1, &[0xff]),
            (-32, &[0xe0]),
            (-33, &[0xd0, 0xdf]),
            (-129, &[0xd1, 0xff, 0x7f]),
            (-32_769, &[0xd2, 0xff, 0xff, 0x7f, 0xff]),
            (i64::MIN, &[0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        ] {
            assert_eq!(encode(&Given::Integer(number)), bytes, "{number}");
        }
    }

    #[test]
    fn texts_lists_and_tables_say_how_long_they_are() {
        let text = |count: usize| Given::Text("a".repeat(count));
        for (given, start) in [
            (text(31), &[0xbf][..]),
            (text(32), &[0xd9, 32]),
            (text(256), &[0xda, 1, 0]),
            (text(65_536), &[0xdb, 0, 1, 0, 0]),
            (Given::List(vec![Given::Bool(true); 15]), &[0x9f, 0xc3]),
            (Given::List(vec![Given::Bool(false); 16]), &[0xdc, 0, 16, 0xc2]),
            (Given::Float(1.5), &[0xcb, 0x3f, 0xf8]),
            (Given::Nothing, &[0xc0]),
        ] {
            assert_eq!(&encode(&given)[..start.len()], start, "{given}");
        }
        let table = Given::Map([("b".to_owned(), text(1)), ("a".to_owned(), Given::Integer(1))].into());
        assert_eq!(encode(&table), b"\x82\xa1a\x01\xa1b\xa1a");
    }
}
