//! Strategies for property tests: unexpected texts, bytes and JSON from servers, files and users.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Value, json};

/// The number of cases for slow tests; PROPTEST_CASES overrides it.
pub fn cases(default: u32) -> ProptestConfig {
    let from_environment = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    ProptestConfig::with_cases(from_environment.unwrap_or(default))
}

/// Any text, and texts that are edge cases of lengths, signs, paths and units.
pub fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => any::<String>(),
        3 => "[a-z0-9._:/@{}\\[\\]=, -]{0,24}",
        2 => proptest::sample::select(EDGE_CASES).prop_map(str::to_owned),
        1 => "[a-zé\u{0}-\u{1f}\u{7f}\u{feff}\u{1f600}]{0,300}",
    ]
}

const EDGE_CASES: &[&str] = &[
    "",
    " ",
    ".",
    "..",
    "../../x",
    "/",
    "//",
    "~",
    "-",
    "--",
    "-1",
    "+",
    "0",
    "00",
    "1e400",
    "NaN",
    "inf",
    "18446744073709551616",
    "-9223372036854775808",
    "9999999999999999999999h",
    "1.5.5s",
    "é\u{301}",
    "\u{0}",
    "\r\n",
    "{{",
    "{{.inputs.",
    "{{.inputs.x}}",
    "${A}",
    "$",
    "list[",
    "list[]",
    "optional[optional[x]]",
    "linux/arm/v99",
    "localhost:5000/a:b@sha256:00",
    "[::1]:5000/x",
    "https://",
    "0000-00-00T00:00:00Z",
    "9999-12-31T23:59:59.999999999-23:59",
    "* * * * * *",
    "0/0 0 0 0 0",
    "true",
];

/// Any JSON value, a few levels deep.
pub fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            btree_map(text(), inner, 0..5).prop_map(|map| json!(map))
        ]
    })
}

/// An object with some of these fields, each with its valid value or any value, and possibly with other fields.
pub fn object(fields: &'static [(&'static str, &'static str)]) -> impl Strategy<Value = Value> {
    let field = |&(name, valid): &(&'static str, &'static str)| {
        let valid: Value = serde_json::from_str(valid).expect("a test writes JSON");
        prop_oneof![4 => Just(Some(valid)), 2 => value().prop_map(Some), 1 => Just(None)]
            .prop_map(move |value| (name, value))
    };
    let known: Vec<_> = fields.iter().map(field).collect();
    (known, btree_map(text(), value(), 0..2)).prop_map(|(known, others)| {
        let mut object = json!(others);
        for (name, value) in known {
            if let Some(value) = value {
                object[name] = value;
            }
        }
        object
    })
}

/// A valid text with a part of it replaced.
pub fn spoiled(valid: &'static str) -> impl Strategy<Value = String> {
    (0..=valid.len(), 0..40_usize, text()).prop_map(move |(from, count, replacement)| {
        let boundary = |at: usize| {
            (0..=at.min(valid.len()))
                .rev()
                .find(|at| valid.is_char_boundary(*at))
                .unwrap_or_default()
        };
        let to = boundary(from.saturating_add(count));
        let from = boundary(from);
        format!("{}{replacement}{}", &valid[..from], &valid[to.max(from)..])
    })
}

/// Any bytes, and bytes that are likely to be length prefixes or tags.
pub fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..max),
        vec(
            proptest::sample::select(vec![0_u8, 1, 2, 0x7f, 0x80, 0x90, 0xc1, 0xdb, 0xff]),
            0..max
        )
    ]
}
