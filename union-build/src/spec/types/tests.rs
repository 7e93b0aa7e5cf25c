#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn outputs_and_command_lines_take_only_some_types() {
    for (text, is_output, fits) in [
        ("struct", true, false),
        ("directory", true, false),
        ("integer", true, true),
        ("list[list[string]]", false, true),
        ("duration", true, false),
        ("list[file]", false, false),
        ("map[integer]", false, false),
        ("optional[string]", false, false),
    ] {
        let ty = Type::parse(text).unwrap();
        assert_eq!(
            (ty.is_output(), ty.fits_command_line()),
            (is_output, fits),
            "{text}"
        );
    }
    let words = Type::Enum(vec!["a".to_owned()]);
    assert!(!words.is_output() && words.fits_command_line());
}

#[test]
fn type_round_trips_through_its_text() {
    for text in [
        "integer",
        "list[list[float]]",
        "map[optional[file]]",
        "optional[list[datetime]]",
        "directory",
        "struct",
    ] {
        assert_eq!(Type::parse(text).unwrap().to_string(), text);
    }
    assert_eq!(
        Type::parse(" map[ string, list[ integer ] ] ")
            .unwrap()
            .to_string(),
        "map[list[integer]]"
    );
}

#[test]
fn invalid_type_has_a_reason_and_a_suggestion() {
    for (text, why, instead) in [
        ("int", "`int` is not a type", Some("integer")),
        ("list[str]", "`str` is not a type", Some("string")),
        ("lst[string]", "`lst` is not a type", Some("list")),
        ("list[integer", "a bracket is not closed", None),
        ("list", "`list` needs a type in brackets", None),
        ("", "`` is not a type", None),
        (
            "optional[optional[file]]",
            "it is optional twice",
            Some("optional[file]"),
        ),
        ("integer]", "`integer]` is not a type", Some("integer")),
        (
            &("list[".repeat(99) + &"]".repeat(99)),
            "more than 32 types are in one another",
            None,
        ),
    ] {
        let wrong = Type::parse(text).unwrap_err();
        assert_eq!(
            (
                wrong.why.as_str(),
                wrong.instead.as_ref().map(|(_, meant)| meant.as_str())
            ),
            (why, instead),
            "{text}"
        );
    }
}

#[test]
fn type_mismatch_has_a_reason() {
    let number = InputValue::Integer(3);
    let texts = InputValue::List(vec![InputValue::Text("a".to_owned())]);
    for (ty, given, misfit) in [
        ("integer", &number, None),
        ("float", &number, None),
        ("string", &number, Some("`3` is not a string")),
        (
            "optional[boolean]",
            &number,
            Some("`3` is not true or false"),
        ),
        ("list[string]", &texts, None),
        (
            "list[integer]",
            &texts,
            Some("`\"a\"` is not a whole number"),
        ),
        ("optional[integer]", &InputValue::Nothing, None),
        (
            "list[optional[integer]]",
            &InputValue::List(vec![number.clone(), InputValue::Nothing]),
            None,
        ),
        (
            "integer",
            &InputValue::Nothing,
            Some("`null` is not a whole number"),
        ),
        (
            "datetime",
            &InputValue::Text("soon".to_owned()),
            Some("`\"soon\"` is not a time such as `2030-01-31T12:00:00Z`"),
        ),
        ("duration", &InputValue::Text("90s".to_owned()), None),
    ] {
        assert_eq!(
            Type::parse(ty).unwrap().misfit(given).as_deref(),
            misfit,
            "{ty}"
        );
    }
    let words = Type::Enum(vec!["fast".to_owned(), "slow".to_owned()]);
    assert_eq!(words.misfit(&InputValue::Text("fast".to_owned())), None);
    assert_eq!(
        words.misfit(&InputValue::Text("fats".to_owned())).unwrap(),
        "`\"fats\"` is not one of `fast`, `slow`"
    );
}
