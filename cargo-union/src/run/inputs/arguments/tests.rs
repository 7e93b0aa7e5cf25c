#![allow(clippy::unwrap_used)]

use super::*;

fn types() -> BTreeMap<String, Type> {
    let types = [
        ("x", "integer"),
        ("rate", "float"),
        ("label", "string"),
        ("ok", "boolean"),
        ("names", "list[string]"),
        ("grid", "list[list[integer]]"),
        ("fields", "struct"),
        ("learning_rate", "optional[float]"),
        ("verbose", "optional[boolean]"),
    ];
    types
        .iter()
        .map(|(name, ty)| ((*name).to_owned(), Type::parse(ty).unwrap()))
        .collect()
}

fn parse_words(words: &[&str]) -> ParsedArgs {
    parse(
        &words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>(),
        &types(),
    )
}

fn parse_one(name: &str, words: &[&str]) -> InputValue {
    let mut parsed = parse_words(words);
    assert_eq!(parsed.problems, [""; 0], "{words:?}");
    parsed.values.remove(name).unwrap()
}

fn text(text: &str) -> InputValue {
    InputValue::Text(text.to_owned())
}

#[test]
fn arguments_are_parsed_by_the_type_of_their_input() {
    assert_eq!(parse_one("x", &["--x", "-5"]), InputValue::Integer(-5));
    assert_eq!(
        parse_one("rate", &["--rate=1e3"]),
        InputValue::Float(1000.0)
    );
    assert_eq!(parse_one("label", &["--label", "a=b c"]), text("a=b c"));
    assert_eq!(parse_one("label", &["--label=--x"]), text("--x"));
    assert_eq!(parse_one("label", &["--label="]), text(""));
    assert_eq!(
        parse_one("ok", &["--ok", "--x", "1"]),
        InputValue::Bool(true)
    );
    assert_eq!(parse_one("ok", &["--ok", "false"]), InputValue::Bool(false));
    assert_eq!(parse_one("verbose", &["--verbose"]), InputValue::Bool(true));
    assert_eq!(
        parse_one("learning_rate", &["--learning-rate", "0.1"]),
        InputValue::Float(0.1)
    );
    assert_eq!(
        parse_one("names", &["--names", "a", "--x", "1", "--names", "b"]),
        InputValue::List(vec![text("a"), text("b")])
    );
    assert_eq!(
        parse_one("names", &["--names", r#"["a"]"#]),
        InputValue::List(vec![text("a")])
    );
    assert_eq!(
        parse_one("names", &["--names", "[]"]),
        InputValue::List(vec![])
    );
    let row = || InputValue::List(vec![InputValue::Integer(1), InputValue::Integer(2)]);
    assert_eq!(
        parse_one("grid", &["--grid", "[[1,2],[1,2]]"]),
        InputValue::List(vec![row(), row()])
    );
    assert_eq!(
        parse_one("fields", &["--fields", r#"{"a": null}"#]),
        InputValue::Map([("a".to_owned(), InputValue::Nothing)].into())
    );
}

#[test]
fn problem_of_an_argument_has_an_example() {
    for (words, problem) in [
        (vec!["21"], "`21` belongs to no input: write `--NAME VALUE`"),
        (
            vec!["--lable", "a"],
            "`--lable` is not an input; did you mean `--label`?",
        ),
        (vec!["--zzzzzz"], "`--zzzzzz` is not an input"),
        (vec!["--x"], "`--x` has no value; an example is `--x 21`"),
        (
            vec!["--x", "1", "--x", "2"],
            "`--x`: given 2 times, but the input is not a list; an example is `--x 21`",
        ),
        (
            vec!["--x", "1.5"],
            "`--x`: `1.5` is not a whole number; an example is `--x 21`",
        ),
        (
            vec!["--x", "9999999999999999999"],
            "`--x`: `9999999999999999999` does not fit into 64 bits; an example is `--x 21`",
        ),
        (
            vec!["--rate", "inf"],
            "`--rate`: `inf` is not a number; an example is `--rate 0.5`",
        ),
        (
            vec!["--ok", "yes"],
            "`--ok`: `yes` is neither `true` nor `false`; an example is `--ok=false`",
        ),
        (
            vec!["--fields", "{a:1}"],
            "`--fields`: `{a:1}` is not JSON: key must be a string at line 1 column 2; an example is `--fields '{\"a\": 1}'`",
        ),
    ] {
        assert_eq!(parse_words(&words).problems, [problem]);
    }
    assert!(
        parse_words(&["--x", "1.5"]).invalid.contains("x"),
        "an invalid input is not reported as missing"
    );
}

#[test]
fn examples_are_valid_arguments() {
    let inputs = [
        ("a", "list[integer]"),
        ("b", "list[list[float]]"),
        ("c", "map[list[boolean]]"),
        ("d", "optional[duration]"),
        ("e", "list[struct]"),
    ];
    let examples: Vec<String> = inputs
        .iter()
        .map(|(name, ty)| example(name, &Type::parse(ty).unwrap()))
        .collect();
    assert_eq!(
        examples,
        [
            "--a 21 --a 21",
            "--b '[[0.5]]'",
            "--c '{\"a\": [true]}'",
            "--d 1h30m",
            "--e '{\"a\": 1}' --e '{\"a\": 1}'"
        ]
    );
    for ((name, ty), example) in inputs.iter().zip(examples) {
        let ty = Type::parse(ty).unwrap();
        let words: Vec<String> = example
            .split(" --")
            .enumerate()
            .flat_map(|(n, part)| {
                let part = if n == 0 {
                    part.to_owned()
                } else {
                    format!("--{part}")
                };
                let (flag, value) = part.split_once(' ').unwrap();
                [flag.to_owned(), value.trim_matches('\'').to_owned()]
            })
            .collect();
        let parsed = parse(&words, &[((*name).to_owned(), ty.clone())].into());
        assert_eq!(ty.misfit(&parsed.values[*name]), None, "{words:?}");
    }
}
