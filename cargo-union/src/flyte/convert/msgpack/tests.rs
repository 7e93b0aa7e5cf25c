use super::*;

#[test]
fn integers_have_their_shortest_form() {
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
        assert_eq!(encode(&InputValue::Integer(number)), bytes, "{number}");
    }
}

#[test]
fn strings_lists_and_maps_have_their_length_prefix() {
    let text = |count: usize| InputValue::Text("a".repeat(count));
    for (given, start) in [
        (text(31), &[0xbf][..]),
        (text(32), &[0xd9, 32]),
        (text(256), &[0xda, 1, 0]),
        (text(65_536), &[0xdb, 0, 1, 0, 0]),
        (
            InputValue::List(vec![InputValue::Bool(true); 15]),
            &[0x9f, 0xc3],
        ),
        (
            InputValue::List(vec![InputValue::Bool(false); 16]),
            &[0xdc, 0, 16, 0xc2],
        ),
        (InputValue::Float(1.5), &[0xcb, 0x3f, 0xf8]),
        (InputValue::Nothing, &[0xc0]),
    ] {
        assert_eq!(&encode(&given)[..start.len()], start, "{given}");
    }
    let table = InputValue::Map(
        [
            ("b".to_owned(), text(1)),
            ("a".to_owned(), InputValue::Integer(1)),
        ]
        .into(),
    );
    assert_eq!(encode(&table), b"\x82\xa1a\x01\xa1b\xa1a");
}

#[test]
fn encoded_values_are_decoded() {
    let numbers = [
        0,
        127,
        128,
        65_536,
        4_294_967_296,
        -1,
        -33,
        -129,
        -32_769,
        i64::MIN,
        i64::MAX,
    ];
    for number in numbers {
        assert_eq!(
            decode(&encode(&InputValue::Integer(number))),
            Some(json!(number))
        );
    }
    for count in [0, 31, 32, 256, 65_536] {
        let long = "é".repeat(count);
        assert_eq!(
            decode(&encode(&InputValue::Text(long.clone()))),
            Some(json!(long))
        );
        let list = InputValue::List(vec![InputValue::Nothing; count]);
        assert_eq!(
            decode(&encode(&list)),
            Some(json!(vec![Value::Null; count]))
        );
    }
}

#[test]
fn malformed_bytes_are_refused() {
    for bytes in [
        &b""[..],
        b"\xc1",
        b"\xa5abc",
        b"\xdd\xff\xff\xff\xff",
        b"\x01\x01",
        b"\x81\x01\x01",
        b"\xa1\xff",
        &[0x91; 1000],
    ] {
        assert_eq!(decode(bytes), None, "{bytes:?}");
    }
}

proptest::proptest! {
    #[test]
    fn arbitrary_bytes_are_decoded_or_refused(bytes in union_tests::arbitrary::bytes(128)) {
        decode(&bytes);
    }

    #[test]
    fn arbitrary_encoded_values_are_decoded(value in union_tests::arbitrary::value()) {
        let given = super::super::tests::given(value);
        proptest::prop_assert!(decode(&encode(&given)).is_some(), "{given:?}");
    }
}
