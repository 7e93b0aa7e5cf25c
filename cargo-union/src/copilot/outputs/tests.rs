#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

/// Reads the output `n` from a directory with these files.
fn taken(files: &[(&str, &str)], ty: &str) -> Result<OutputValue, String> {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let declared = BTreeMap::from([("n".to_owned(), Type::parse(ty).unwrap())]);
    let read = outputs(
        &OutputDir::existing(directory.path()).unwrap(),
        &declared,
        "/var/outputs",
    );
    read.map(|mut outputs| outputs.remove(0).taken)
        .map_err(|problems| problems.join("\n"))
}

fn value(ty: &str, text: &str) -> Result<String, String> {
    taken(&[("n", text)], ty).map(|taken| match taken {
        OutputValue::Value(value) => value.to_string(),
        OutputValue::Path(path) => path.display().to_string(),
    })
}

#[test]
fn output_text_is_parsed_by_its_type() {
    for (ty, text, expected) in [
        ("integer", " -42\n", "-42"),
        ("float", "1e3", "1000"),
        ("float", "-inf", "\"-Infinity\""),
        ("boolean", "True\n", "true"),
        ("string", "  two words \n", "\"two words\""),
        ("string", "", "\"\""),
        (
            "datetime",
            "2030-01-31T12:00:00+02:00",
            "\"2030-01-31T10:00:00Z\"",
        ),
        ("duration", "-90m", "\"-1h30m0s\""),
        (
            "struct",
            "{\"b\": null, \"a\": [1]}",
            "{\"a\":[1],\"b\":null}",
        ),
        // Quick parsers round these to the next number.
        (
            "struct",
            "{\"a\": [7.2057594037927933e16, 17976931348623158e292]}",
            "{\"a\":[7.205759403792794e+16,1.7976931348623157e+308]}",
        ),
        ("file", "any", "n"),
    ] {
        assert_eq!(value(ty, text).as_deref(), Ok(expected), "{ty}");
    }
}

#[test]
fn output_that_copilot_refuses_is_refused() {
    let long = "x".repeat(1025);
    for (ty, text, why) in [
        (
            "integer",
            "4.2",
            "`n` holds `4.2`, which is not a whole number such as `21`",
        ),
        (
            "integer",
            "5\r\n",
            "`n` holds `5\r`, which is not a whole number such as `21`",
        ),
        (
            "boolean",
            "yes",
            "`n` holds `yes`, which is not `true` or `false`",
        ),
        (
            "datetime",
            "2030-01-31 12:00:00Z",
            "`n` holds `2030-01-31 12:00:00Z`, which is not a time such as `2030-01-31T12:00:00Z`",
        ),
        (
            "duration",
            "1d",
            "`n` holds `1d`, which is not a duration such as `1h30m0s`",
        ),
        (
            "struct",
            "[1]",
            "`n` holds `[1]`, which is not a JSON object such as `{\"a\": 1}`",
        ),
        (
            "string",
            &long,
            "`n` has 1025 bytes; copilot accepts at most 1024 of a value that is not a file: declare it as `file`, or write less",
        ),
        (
            "directory",
            "x",
            "`/var/outputs/n` is a file, and `n` is declared as a directory",
        ),
    ] {
        assert_eq!(value(ty, text).unwrap_err(), why);
    }
    assert_eq!(value("string", &long[1..]).unwrap().len(), 1026);
}

#[test]
fn output_file_may_have_an_extension_when_unambiguous() {
    assert_eq!(
        taken(&[("n.bin", "x"), ("m", "y")], "file"),
        Ok(OutputValue::Path("n.bin".into()))
    );
    assert_eq!(
        taken(&[("n", "1"), ("n.txt", "2")], "integer"),
        Ok(OutputValue::Value(json!(1)))
    );
    assert_eq!(
        taken(&[("n.a", "x"), ("n.b", "y")], "file").unwrap_err(),
        "`n` matches each of `n.a`, `n.b`: write only one of them"
    );
    assert_eq!(
        taken(&[("n/a", "x")], "directory"),
        Ok(OutputValue::Path("n".into()))
    );
    assert_eq!(
        taken(&[("n/a", "x")], "integer").unwrap_err(),
        "`/var/outputs/n` is a directory, and `n` is declared as `integer`"
    );
}

#[test]
fn missing_output_names_the_file_that_was_written_instead() {
    let declared = BTreeMap::from([
        ("count".to_owned(), Type::Integer),
        ("model".to_owned(), Type::File),
    ]);
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("cuont"), "1").unwrap();
    let problems = outputs(
        &OutputDir::existing(directory.path()).unwrap(),
        &declared,
        "/out",
    )
    .unwrap_err();
    assert_eq!(
        problems,
        [
            "`count` is missing: the program must write a whole number such as `21` to `/out/count`; it wrote `cuont`",
            "`model` is missing: the program must write a file to `/out/model`",
        ]
    );
}

#[test]
fn link_in_outputs_is_never_followed() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("n")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", directory.path().join("n/latest")).unwrap();
    let declared = BTreeMap::from([("n".to_owned(), Type::Directory)]);
    let problems = outputs(
        &OutputDir::existing(directory.path()).unwrap(),
        &declared,
        "/out",
    )
    .unwrap_err();
    assert_eq!(
        problems,
        ["`/out/n/latest` is a symbolic link, which copilot does not support: write a file"]
    );
}

/// Every type that copilot can upload.
fn uploaded() -> Vec<(Type, OutputType)> {
    let words = [
        "integer",
        "float",
        "string",
        "boolean",
        "datetime",
        "duration",
        "struct",
        "file",
        "directory",
    ];
    words
        .map(|word| (Type::parse(word).unwrap(), OutputType::of(word).unwrap()))
        .to_vec()
}

#[test]
fn parse_duration_equals_that_of_go() {
    for (text, nanoseconds) in [
        ("1h30m0s", 5_400_000_000_000),
        ("-1.5h", -5_400_000_000_000),
        ("300ms", 300_000_000),
        ("1µs", 1_000),
        ("0", 0),
        ("+0", 0),
        (".5s", 500_000_000),
        ("1.s", 1_000_000_000),
        ("1s1s", 2_000_000_000),
        ("0.3333333333333333333h", 1_200_000_000_000),
        ("0.100000000000000000000h", 360_000_000_000),
        ("9223372036854775807ns", i64::MAX),
        ("-9223372036854775808ns", i64::MIN),
    ] {
        assert_eq!(
            output_type::parse_duration(text),
            Some(nanoseconds),
            "{text}"
        );
    }
    for text in [
        "",
        "-",
        "5",
        "1d",
        "s",
        "1.s.",
        ".s",
        "1..s",
        "1h ",
        "9999999999h",
        "--1s",
        "9223372036854775808ns",
        "9223372036854775807ns1ns",
    ] {
        assert_eq!(output_type::parse_duration(text), None, "{text}");
    }
}

#[test]
fn float_that_go_rounds_to_infinity_is_refused() {
    for text in [
        "1e400",
        "-1.7976931348623159e308",
        "179769313486231580793728e285",
        "+nan",
        "-NaN",
        "1e",
        "e5",
        ".",
        "1.5.",
        "",
        "1_0",
    ] {
        assert!(!OutputType::Float.accepts(text), "{text}");
    }
    for text in [
        "1.7976931348623157e308",
        "0.00017976931348623157E+312",
        "1e-400",
        "0e999999999999999999999",
        "Infinity",
        "-inf",
        "nAn",
        "1.",
        ".5",
    ] {
        assert!(OutputType::Float.accepts(text), "{text}");
    }
}

#[test]
fn json_object_is_accepted_as_deep_as_serde_json_reads_it() {
    for (levels, is_accepted) in [(126, true), (127, false)] {
        let text = format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(OutputType::Struct.accepts(&text), is_accepted);
        assert_eq!(parse(&Type::Struct, &text).is_some(), is_accepted);
    }
}

/// Texts that are of some type, or nearly so.
fn near_text() -> impl Strategy<Value = String> {
    let object = union_tests::arbitrary::object(&[(
        "a",
        "[1, 1.7976931348623157e308, \"\\ud83d\\ude00\", {}, null]",
    )]);
    prop_oneof![
        union_tests::arbitrary::text(),
        "[+-]?[0-9]{0,3}[.]?[0-9]{0,3}([eE][+-]?[0-9]{0,3})?",
        "-?1.?797693134862315[0-9]{1,6}[eE]3?(07|08|09|292|293)",
        "-?0{0,3}[.]?0{0,3}[0-9]{0,30}[.]?[0-9]{0,3}(e[+-]?[23][0-9]{2})?",
        "[+-]?([0-9]{0,20}[.]?[0-9]{0,20}(ns|us|µs|ms|s|m|h)){0,3}",
        "[0-2][09][0-9]{2}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9]:[0-6][0-9]([.][0-9]{0,10})?([Zz]|[+-][0-2][0-9]:[0-6][0-9])?",
        "[{]\"a\": ?(-?[0-9]{0,25}[.]?[0-9]{0,3}([eE][+-]?[0-9]{0,4})?|-?1.?797693134862315[0-9]{1,6}e(308|293|292)) ?[}]",
        "[{]\"(a|\\\\u?[dD][89a-fA-F][0-9a-g]{2}|\\\\[a-z\"/\\\\]|[\u{0}-\u{20}é]){0,3}\" ?: ?[\\[{]?(null|true|false|[\"]|,| ){0,3}[\\]}]{0,2}[}]",
        "[\\[\\]{}\":,a ]{0,12}",
        object.prop_map(|object| object.to_string()),
        union_tests::arbitrary::spoiled(
            "{\"a\": [1, -0.5e3, \"\\ud83d\\ude00\", {\"b\": {}}, []], \"c\": null, \"d\": true}"
        ),
        union_tests::arbitrary::spoiled("2030-01-31T12:00:00.123456789+02:00"),
    ]
}

/// What other parsers say about a text.
fn is_accepted_elsewhere(ty: OutputType, text: &str) -> Option<bool> {
    match ty {
        OutputType::Integer => Some(text.parse::<i64>().is_ok()),
        OutputType::Float => {
            let has_signed_nan =
                text.starts_with(['+', '-']) && text.to_lowercase().ends_with("nan");
            let is_spelled = |number: &f64| {
                number.is_finite() || text.to_lowercase().contains('n') && !has_signed_nan
            };
            Some(text.parse::<f64>().ok().filter(is_spelled).is_some())
        }
        OutputType::Datetime => {
            Some(!text.contains(['t', 'z', ' ']) && time::parse_datetime(text).is_some())
        }
        OutputType::Struct => {
            Some(serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).is_ok())
        }
        _ => None,
    }
}

proptest::proptest! {
    #[test]
    fn launcher_and_copilot_accept_the_same_texts(text in near_text()) {
        for (ty, uploaded) in uploaded() {
            let is_accepted = uploaded.accepts(&text);
            prop_assert_eq!(parse(&ty, &text).is_some(), is_accepted, "{} {:?}", ty, text);
            if let Some(expected) = is_accepted_elsewhere(uploaded, &text) {
                prop_assert_eq!(is_accepted, expected, "{} {:?}", ty, text);
            }
            drop((quoted(&text), output_type::parse_duration(&text)));
        }
    }

    #[test]
    fn arbitrary_files_are_outputs_or_refused(name in "n(\\.[a-z]{0,2})?|[a-z]{1,2}", bytes in union_tests::arbitrary::bytes(40), ty in proptest::sample::select(&["integer", "file", "directory", "struct"][..])) {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(&name), bytes).unwrap();
        let declared = BTreeMap::from([("n".to_owned(), Type::parse(ty).unwrap())]);
        drop(outputs(&OutputDir::existing(directory.path()).unwrap(), &declared, "/var/outputs"));
    }
}
