#![allow(clippy::unwrap_used)]

use super::*;

fn value(ty: &str, given: &InputValue) -> Result<InputLiteral, String> {
    InputLiteral::of(&Type::parse(ty).unwrap(), given)
}

fn text(text: &str) -> InputValue {
    InputValue::Text(text.to_owned())
}

#[test]
fn input_literal_has_a_text_and_an_entry_in_the_list() {
    let fields = InputValue::Map(
        [
            ("b".to_owned(), InputValue::Float(2.0)),
            ("a".to_owned(), InputValue::List(vec![InputValue::Nothing])),
        ]
        .into(),
    );
    for (ty, given, file, listed) in [
        ("string", text(" a\n"), " a\n", r#"" a\n""#),
        ("boolean", InputValue::Bool(true), "true", "true"),
        ("integer", InputValue::Integer(-7), "-7", "-7"),
        ("float", InputValue::Integer(3), "3", "3"),
        ("float", InputValue::Float(0.25), "0.25", "0.25"),
        (
            "datetime",
            text("2030-01-31T12:00:00.50+02:00"),
            "2030-01-31T10:00:00.5Z",
            r#""2030-01-31T10:00:00.5Z""#,
        ),
        ("duration", text("90m"), "1h30m0s", "5400000000000"),
        (
            "struct",
            fields,
            r#"{"a":[null],"b":2}"#,
            r#"{"a":[null],"b":2}"#,
        ),
        ("optional[integer]", InputValue::Nothing, "null", "null"),
        ("optional[integer]", InputValue::Integer(1), "1", "1"),
    ] {
        let value = value(ty, &given).unwrap();
        assert_eq!(value.text().as_deref(), Some(file), "{ty}");
        assert_eq!(value.listed().unwrap().to_string(), listed, "{ty}");
    }
}

#[test]
fn value_of_another_type_is_refused_with_a_reason() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path().to_str().unwrap();
    for (ty, given, why) in [
        (
            "integer",
            text("abc"),
            "`\"abc\"` is not a whole number".to_owned(),
        ),
        (
            "list[integer]",
            InputValue::List(vec![InputValue::Bool(true)]),
            "`true` is not a whole number".to_owned(),
        ),
        (
            "file",
            text(here),
            format!("`{here}` is a directory, not a file"),
        ),
        (
            "file",
            text("/no/such/file"),
            "`/no/such/file` cannot be read: No such file or directory (os error 2)".to_owned(),
        ),
        (
            "directory",
            text("s3://a/b"),
            "`s3://a/b` is an address, but a local run requires local paths".to_owned(),
        ),
        (
            "map[integer]",
            InputValue::Map([("../x".to_owned(), InputValue::Integer(1))].into()),
            "the name `../x` cannot be a file name".to_owned(),
        ),
        (
            "optional[struct]",
            InputValue::Map([("n".to_owned(), InputValue::Integer((1 << 53) + 1))].into()),
            "`9007199254740993` is too large for a number in a struct; write it as text".to_owned(),
        ),
    ] {
        assert_eq!(value(ty, &given).unwrap_err(), why);
    }
    assert_eq!(
        value("directory", &text(here)).unwrap(),
        InputLiteral::Directory(here.into())
    );
}
